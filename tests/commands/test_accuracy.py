"""The accuracy command: labels, limits and exit codes, through the real stages in real processes."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness import store
from harness.commands.accuracy import deliver
from harness.commands.options import Share
from harness.studies.accuracy.document import EVALUATION, AccuracyDocument, GateResult, VariantResult
from harness.studies.accuracy.evaluate import Evaluation
from tests.command import harness
from tests.studies.accuracy.judging import judged, outputs

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("text", "value"), [("0.97", 0.97), ("97%", 0.97), ("1", 1.0), ("0.5%", 0.005)])
def test_a_share_is_written_either_way(text: str, value: float) -> None:
    assert Share().convert(text, None, None) == pytest.approx(value)


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


@pytest.mark.slow
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
