"""`harness accuracy`: labels, agreement and their intervals, through the real stages in real processes."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from harness import store
from harness.commands.accuracy import deliver
from harness.commands.options import Share
from harness.errors import ScenarioError, UsageError
from harness.outputs.serve import Outputs, serve
from harness.scenario import parse_axes
from harness.scenario.model import Source
from harness.stages import build, source
from harness.stages.postprocess import RANKED
from harness.stats.proportions import paired_difference, share
from harness.studies.accuracy.dataset import Dataset, Files, of_folder, wnids
from harness.studies.accuracy.document import EVALUATION, AccuracyDocument, GateResult, VariantResult
from harness.studies.accuracy.evaluate import Evaluation
from harness.studies.accuracy.judge import Judge, ranks
from harness.studies.accuracy.variants import combine
from tests.command import harness
from tests.pipelines import plan

ROOT = Path(__file__).parents[2]
CLOSED = {"arrivals": "closed", "requests": 1}


# Intervals


@settings(deadline=None)
@given(st.integers(0, 5000), st.integers(1, 5000), st.sampled_from((0.9, 0.95, 0.999)))
def test_a_share_has_the_interval_that_scipy_gives_it(count: int, of: int, confidence: float) -> None:
    from scipy.stats import binomtest

    found = share(min(count, of), of, confidence)
    expected = binomtest(found.count, of).proportion_ci(confidence, method="wilson")
    assert found.lo == pytest.approx(expected.low, abs=1e-9)
    assert found.hi == pytest.approx(expected.high, abs=1e-9)
    assert 0 <= found.lo <= found.value <= found.hi <= 1


def test_a_paired_difference_covers_what_it_should() -> None:
    """4,000 draws of 100 images, right in 90 % and 88 % of the cases and mostly in the same."""
    rng = np.random.default_rng(1)
    draws = rng.multinomial(100, (0.86, 0.04, 0.02, 0.08), 4000)
    intervals = [paired_difference(*map(int, row)) for row in np.unique(draws, axis=0)]
    held = {tuple(row): i.lo <= 0.02 <= i.hi for row, i in zip(np.unique(draws, axis=0), intervals, strict=True)}
    covered = np.mean([held[tuple(row)] for row in draws])
    assert 0.935 < covered < 0.985


@settings(deadline=None)
@given(*[st.integers(0, 60)] * 4)
def test_a_paired_difference_turns_round_with_its_sides(a: int, b: int, c: int, d: int) -> None:
    if a + b + c + d == 0:
        return
    one, other = paired_difference(a, b, c, d), paired_difference(a, c, b, d)
    assert one.value == pytest.approx(-other.value)
    assert one.lo == pytest.approx(-other.hi, abs=1e-9)
    assert -1 - 1e-9 <= one.lo <= one.value <= one.hi <= 1 + 1e-9


# Which folder is which class


def folders(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(root / name / "a.png")
    return root


def labels(root: Path, outputs: int, class_map: Path | None = None) -> dict[str, int]:
    found = of_folder(root, Source(), outputs, class_map)
    assert found.labels is not None
    return {name.partition("/")[0]: int(label) for name, label in zip(found.names, found.labels, strict=True)}


def test_sorted_folders_are_the_classes(tmp_path: Path) -> None:
    assert labels(folders(tmp_path, "zebra", "ant", "cow"), 3) == {"ant": 0, "cow": 1, "zebra": 2}


def test_a_few_folders_of_imagenet_get_its_indices(tmp_path: Path) -> None:
    root = folders(tmp_path, "n02123045", "n01440764", "n15075141")
    assert labels(root, 1000) == {"n01440764": 0, "n02123045": 281, "n15075141": 999}


def test_imagenets_wnids_are_a_thousand_in_order() -> None:
    names = list(wnids())
    assert len(names) == 1000
    assert names == sorted(names)
    assert wnids()["n02099601"] == 207  # golden retriever
    assert wnids()["n07749582"] == 951  # lemon


@pytest.mark.parametrize(
    ("name", "text"),
    [("map.txt", "zebra\nant\n"), ("map.json", '["zebra", "ant"]'), ("map.json", '{"ant": 1, "zebra": 0, "cow": 5}')],
)
def test_a_map_says_which_folder_is_which_class(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert labels(folders(tmp_path / "data", "ant", "zebra"), 7, tmp_path / name) == {"ant": 1, "zebra": 0}


@pytest.mark.parametrize(
    ("names", "outputs", "text", "says"),
    [
        (["ant", "cow"], 3, None, "2 folders, and the model has 3 outputs"),
        (["0", "1", "2", "10"], 4, None, "sorted as text, as ImageFolder does, or as numbers"),
        (["ant", "cow"], 3, "ant\n", "no class for the folder 'cow'"),
        (["ant", "cow"], 1, "ant\ncow\n", "'cow' has the index 1, and the model has 1 outputs"),
        (["ant"], 3, "ant\nant\n", "'ant' stands in it twice"),
        (["ant"], 3, '{"ant": "first"}', "not a class map"),
        (["ant"], 3, "{", "cannot read the class map"),
    ],
)
def test_classes_that_are_not_clear_are_refused(
    tmp_path: Path, names: list[str], outputs: int, text: str | None, says: str
) -> None:
    class_map = None
    if text is not None:
        class_map = tmp_path / ("map.json" if text[0] == "{" else "map.txt")
        class_map.write_text(text)
    with pytest.raises(UsageError, match=says):
        of_folder(folders(tmp_path / "data", *names), Source(), outputs, class_map)


def test_images_without_folders_have_no_labels(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    assert of_folder(tmp_path, Source(), 1000, None).labels is None


def test_images_outside_the_classes_are_counted(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(folders(tmp_path, "ant", "cow") / "stray.png")
    found = of_folder(tmp_path, Source(), 2, None)
    assert (len(found.names), found.outside) == (2, 1)


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_without_images_is_an_error(tmp_path: Path, there: bool) -> None:
    with pytest.raises(UsageError, match="no images in this folder" if there else "no such folder"):
        of_folder(tmp_path if there else tmp_path / "absent", Source(), 10, None)


def test_a_sample_keeps_images_and_labels_together(tmp_path: Path) -> None:
    root = tmp_path
    for label in range(3):
        for index in range(20):
            (root / str(label)).mkdir(exist_ok=True)
            Image.new("RGB", (2, 2), (label, index, 0)).save(root / str(label) / f"{index:02}.png")
    whole = of_folder(root, Source(), 3, None)
    part = whole.sample(25, np.random.SeedSequence(1))
    again = whole.sample(25, np.random.SeedSequence(1))
    assert part.names == again.names
    assert len(part.names) == len(part.images) == 25
    assert part.labels is not None
    for index in range(25):
        assert part.images[index][0, 0, 0] == part.labels[index]
    assert whole.sample(60, np.random.SeedSequence(1)) is whole


def test_a_scenarios_own_images_can_be_sampled() -> None:
    images = source.load(Source(images="photos"), np.random.SeedSequence(1))
    try:
        names = tuple(entry.name for entry in images.entries)
        part = Dataset(images, names).sample(3, np.random.SeedSequence(1))
        for index, name in enumerate(part.names):
            np.testing.assert_array_equal(part.images[index], images[names.index(name)])
    finally:
        images.close()


# Variants


def varied(folder: Path, *vary: str) -> tuple[list[str], list[str]]:
    file = folder / "x.yaml"
    file.write_text(
        "name: x\nload: {arrivals: closed, requests: 5}\nstages:\n  - preprocess: {resize: 40, crop: 32}\n"
        "  - inference: {model: squeezenet1_1, classes: 12}\n"
    )
    variants, left_out = combine(file, [], parse_axes(vary))
    return [variant.label for variant in variants], left_out


def test_every_combination_is_a_variant(tmp_path: Path) -> None:
    assert varied(tmp_path)[0] == ["as given"]
    crops = ("stages.preprocess.crop=16,24", "stages.preprocess.resize=[32, 40],48")
    assert varied(tmp_path, *crops)[0] == ["16, [32, 40]", "16, 48", "24, [32, 40]", "24, 48"]


def test_combinations_that_do_not_go_together_are_left_out_but_no_value_is(tmp_path: Path) -> None:
    runtime, precision = "stages.inference.runtime", "stages.inference.precision"
    labels, left_out = varied(tmp_path, f"{runtime}=torch,onnxruntime", f"{precision}=float32,int8")
    assert labels == ["torch, float32", "onnxruntime, float32", "onnxruntime, int8"]
    assert len(left_out) == 1 and left_out[0].startswith("torch, int8: ")
    with pytest.raises(ScenarioError, match=r"^--vary stages.inference.runtime=onx: .*onnxruntime"):
        varied(tmp_path, f"{runtime}=torch,onx")


# Figures


def outputs(values: Any, served: Any = None) -> Outputs:
    logits = np.array(values, np.float32)
    there = np.ones(len(logits), bool) if served is None else np.array(served)
    failures = {int(i): "broken" for i in np.flatnonzero(~there)}
    return Outputs(logits, logits.argmax(axis=1), there, failures, {}, {}, 0.0)


def judged(expected: Outputs, labels: list[int] | None) -> Judge:
    count = len(expected.values)
    given = None if labels is None else np.array(labels)
    return Judge(Dataset(Files((), Source()), tuple(f"{i}.png" for i in range(count)), given, {0: "ant"}), expected)


def test_figures_of_a_variant_by_hand() -> None:
    """Four images, of which the reference cannot serve the last, the variant not the third, and they differ on one."""
    expected = outputs([[3, 1, 0], [0, 2, 1], [0, 0, 5], [9, 0, 0]], [True, True, True, False])
    other = outputs([[2, 3.5, 0], [0, 2.25, 1], [7, 7, 7], [0, 9, 0]], [True, True, False, True])
    judge = judged(expected, [0, 1, 2, 0])
    assert judge.expected(expected, "reference").top1.value == 1  # type: ignore[union-attr]
    found = judge.result(other, "other", ())
    assert found.top1 is not None and found.agreement is not None and found.top1_change is not None
    assert (found.top1.count, found.top1.of) == (1, 3)
    assert found.top1_change.value == pytest.approx(-2 / 3)
    assert (found.agreement.top1.count, found.agreement.top1.of) == (1, 3)
    assert found.agreement.difference_max == 2.5
    assert found.agreement.lead_max == 2.0  # 3 - 1, where the variant answers class 1
    assert [(p.reference, p.variant, p.count) for p in found.agreement.pairs] == [("ant", "class 1", 1)]
    assert found.failures == {"2.png": "broken"}


def test_logits_that_are_no_numbers_are_counted_and_never_right_among_five() -> None:
    values = np.zeros((2, 7), np.float32)
    values[1] = np.nan
    other = outputs(values)
    judge = judged(outputs(np.eye(7)[:2]), [0, 1])
    found = judge.result(other, "other", ())
    assert found.top5 is not None and found.agreement is not None
    assert found.top5.count == 1
    assert found.agreement.not_finite == 1
    assert any("undefined logits for 1 of 2 images" in text for text in judge.warnings([found, found]))


def test_a_reference_that_always_answers_the_same_is_said_to_say_little() -> None:
    expected = outputs(np.tile([5, 1, 0], (10, 1)))
    unlabelled = judged(expected, None)
    assert "predicts ant for 100% of the images" in unlabelled.warnings([unlabelled.expected(expected, "")])[0]
    guessing = judged(expected, [0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
    assert "no better than guessing" in guessing.warnings([guessing.expected(expected, "")])[0]


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 30), st.integers(2, 12))
def test_ranks_are_places_in_a_stable_sort(seed: int, count: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 4, (count, classes)).astype(np.float32)
    labels = rng.integers(0, classes, count)
    order = np.argsort(-values, axis=1, kind="stable")
    np.testing.assert_array_equal(ranks(values, labels), [list(o).index(k) for o, k in zip(order, labels, strict=True)])


@pytest.mark.parametrize(("text", "value"), [("0.97", 0.97), ("97%", 0.97), ("1", 1.0), ("0.5%", 0.005)])
def test_a_share_is_written_either_way(text: str, value: float) -> None:
    assert Share().convert(text, None, None) == pytest.approx(value)


# The process


STAGES: tuple[dict[str, Any], ...] = (
    {"preprocess": {"resize": 40, "crop": 32}},
    {"inference": {"model": "squeezenet1_1", "classes": 12, "batch": {"max": 3}}},
    {"postprocess": {"top_k": 3}},
)


@pytest.mark.slow
def test_the_outputs_are_those_of_the_stages_alone(tmp_path: Path) -> None:
    """Seven images in batches of three, one of them corrupt: each is where it belongs, and the model is really run."""
    rng = np.random.default_rng(1)
    for index in range(7):
        Image.fromarray(rng.integers(0, 256, (50, 60, 3), np.uint8)).save(tmp_path / f"{index}.png")
    (tmp_path / "3.png").write_bytes(b"no image")
    planned = plan(*STAGES, load=CLOSED, source={"as": "encoded"})
    files = of_folder(tmp_path, planned.scenario.source, 12, None)
    done: list[int] = []
    found = serve(planned, planned.stages, files.images, 1, done.append)
    assert found.served.tolist() == [True, True, True, False, True, True, True]
    assert "not an image" in found.failures[3]
    assert done[-1] == 7
    preprocess, inference, postprocess = (build(planned.context(stage)) for stage in planned.stages)
    for stage in (preprocess, inference, postprocess):
        stage.open()
    pixels, logits, top = np.empty((3, 32, 32), np.float32), np.empty(12, np.float32), np.empty(3, RANKED)
    for index in np.flatnonzero(found.served).tolist():
        preprocess.process(files.images[index], pixels, index)
        inference.process(pixels, logits, index)
        np.testing.assert_allclose(found.values[index], logits, rtol=1e-4, atol=1e-5)
        assert found.answers[index] == postprocess.process(found.values[index], top, index)


# The command


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sklearn")
    import torch

    from examples.digits.train import make

    folder, threads = tmp_path_factory.mktemp("digits"), torch.get_num_threads()
    make(folder)
    torch.set_num_threads(threads)
    return folder


ALL = ("torch", "torch.compile", "torchscript", "torch.export", "onnxruntime", "openvino")


@pytest.mark.parametrize(
    "wanted",
    [pytest.param(ALL[:1], marks=pytest.mark.slow), pytest.param(ALL, marks=pytest.mark.study)],
    ids=["torch", "all"],
)
def test_digits_are_as_right_in_every_runtime(digits: Path, wanted: tuple[str, ...]) -> None:
    """719 held-out images: numba's preprocessing and float32 runtimes give the answers of the reference stack."""
    runtimes = [name for name in wanted if name.startswith("torch") or importlib.util.find_spec(name)]
    vary = f"stages.inference.runtime={','.join(runtimes)}"
    limits = ("--min-top1", "97%", "--min-agreement", "99%", "--max-drop", "0.2%")
    judged = ("accuracy", digits / "digits.yaml", "--data", digits / "test")
    done = harness(*judged, "--vary", vary, *limits, "--json", "-")
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert (answer["images"], answer["classes"], answer["unreadable"]) == (719, 10, {})
    first, *others = answer["results"]
    assert [r["variant"] for r in others] == runtimes
    for result in others:
        assert abs(result["top1"]["count"] - first["top1"]["count"]) <= 1
        assert result["agreement"]["top1"]["count"] >= 718
        assert 0 < result["agreement"]["difference_max"] < 1


@pytest.mark.study
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_digits_lose_less_than_a_point_in_int8(digits: Path, runtime: str) -> None:
    needed = {"onnxruntime": ("onnxruntime", "onnx"), "openvino": ("openvino", "nncf")}[runtime]
    for module in needed:
        pytest.importorskip(module)
    int8 = ("--set", f"stages.inference.runtime={runtime}", "--set", "stages.inference.precision=int8")
    judged = ("accuracy", digits / "digits.yaml", "--data", digits / "test")
    done = harness(*judged, *int8, "--max-drop", "1%", "--json", "-")
    assert done.returncode == 0, done.stdout + done.stderr
    agreement = json.loads(done.stdout)["results"][1]["agreement"]
    assert agreement["difference_max"] > 0.01, "it is really quantised"


@pytest.fixture
def some_digits(digits: Path, tmp_path: Path) -> Path:
    """Twenty test images, one of them corrupt."""
    folder = tmp_path / "some"
    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
        for path in sorted((digits / "test" / str(label)).iterdir())[:2]:
            shutil.copy(path, folder / str(label))
    next((folder / "7").iterdir()).write_bytes(b"no image")
    return folder


@pytest.mark.study
def test_the_screen_says_all_of_it_and_one_variant_costs_the_others_nothing(digits: Path, some_digits: Path) -> None:
    """Classes in another order than the network's, a corrupt image, limits that are missed, weights that are none."""
    shifted, broken = some_digits.parent / "shifted.txt", some_digits.parent / "broken.pt"
    shifted.write_text("\n".join("9012345678"))
    broken.write_bytes(b"no weights")
    done = harness(
        *("accuracy", digits / "digits.yaml", "--data", some_digits, "--classes", shifted),
        *("--vary", f"stages.inference.weights={digits / 'digits.pt'},{broken}", "--min-top1", "0.9"),
    )
    assert done.returncode == 2, done.stderr
    assert "broken.pt is no state dict" in done.stderr
    assert "Traceback" not in done.stderr
    said = " ".join(done.stdout.split())
    assert "19 images of" in said
    assert "1 image unreadable, in no figure" in said
    assert "no better than guessing" in said
    assert "top-1 at least 0.9, and it is 0" in said
    assert "broken.pt could not be run" in said
    assert max(map(len, done.stdout.splitlines()[2:])) <= 80


def evaluation(**figures: Any) -> Evaluation:
    plain = {"scenario": "x", "reference": "", "data": "", "images": 1, "classes": 2, "mapped_by": "", "outside": 0}
    rest = {"unreadable": {}, "lead_p50": 1.0, "results": (VariantResult(variant="reference"),), "gates": ()}
    return Evaluation(AccuracyDocument(schema_version=EVALUATION.version, warnings=(), **{**plain, **rest, **figures}))


def test_the_keys_of_json_are_those_of_the_first_version() -> None:
    top, result = "scenario reference data images classes mapped_by outside unreadable lead_p50", "variant changes"
    top += " results gates warnings left_out interrupted error schema_version"
    result += " error details failures top1 top5 top1_change agreement effective seconds"
    judge = judged(outputs([[3, 1, 0], [0, 2, 1]]), [0, 2])
    found = judge.result(outputs([[1, 3, 0], [0, 2, 1]]), "x", ("a.b=1",))
    document = evaluation(results=(found,)).document
    assert EVALUATION.parse(json.loads(store.to_json(document.as_json())), "x.json") == document
    written = document.as_json()
    assert set(written) == set(top.split())
    assert set(written["results"][0]) == set(result.split())
    assert written["results"][0]["changes"] == ("a.b=1",)


@pytest.mark.parametrize(
    ("figures", "code"),
    [
        ({"gates": (GateResult(variant="x", what="top-1 at least", limit=0.9, value=0.8, met=False),)}, 3),
        ({"interrupted": True}, 130),
    ],
)
def test_the_exit_code_tells_a_missed_limit_and_an_interruption(
    figures: dict[str, Any], code: int, capsys: Any
) -> None:
    with pytest.raises(SystemExit) as ended:
        deliver(evaluation(**figures), None)
    assert ended.value.code == code
    assert ("not met" if code == 3 else "Interrupted") in capsys.readouterr().out


@pytest.mark.study
def test_without_data_the_scenarios_images_are_judged_by_agreement_alone(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(
        "name: x\nload: {arrivals: closed, requests: 5}\nstages:\n  - preprocess: {resize: 40, crop: 32}\n"
        "  - inference: {model: squeezenet1_1, classes: 12}\n"
    )
    done = harness("accuracy", tmp_path / "x.yaml", "--limit", "4", "--json", tmp_path / "x.json")
    assert done.returncode == 0, done.stderr
    answer = json.loads((tmp_path / "x.json").read_text())
    assert (answer["data"], answer["images"], answer["mapped_by"]) == ("photos", 4, "")
    assert answer["results"][1]["top1"] is None
    assert "without labels" in done.stdout


def test_a_model_that_hangs_while_it_loads_ends_at_the_deadline(tmp_path: Path) -> None:
    (tmp_path / "hang.py").write_text("import time\ndef model():\n    time.sleep(600)\n")
    (tmp_path / "x.yaml").write_text(
        "name: x\nload: {arrivals: closed, requests: 5}\ndeadlines: {startup: 2 s}\nstages:\n"
        "  - preprocess: {resize: 40, crop: 32}\n  - inference: {model: {factory: 'hang:model'}}\n"
    )
    done = harness("accuracy", "x.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert "deadlines.startup: not ready after 2 s" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--min-top1", "0.9"], "--min-top1: a limit on accuracy needs labelled images"),
        (["--min-top1", "90"], "'90' is not a share"),
        (["--unlabelled"], "Add --data FOLDER"),
        (["--data", "absent"], "--data absent: there is no such folder"),
        (["--vary", "stages.inference.runtime=torch,onx"], "stages.inference.runtime"),
        (["--set", "stages.preprocess.crop=wide"], "stages.preprocess.crop"),
    ],
)
def test_bad_usage_ends_with_2_and_says_why(arguments: list[str], says: str) -> None:
    done = harness("accuracy", "scenarios/resnet18_cpu.yaml", *arguments, cwd=ROOT)
    assert done.returncode == 2
    assert done.stdout == ""
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_pipeline_without_a_model_is_refused() -> None:
    done = harness("accuracy", "scenarios/null.yaml", cwd=ROOT)
    assert done.returncode == 2
    assert "accuracy needs an inference stage" in done.stderr
