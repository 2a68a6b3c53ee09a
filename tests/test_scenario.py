"""Scenario files: what is left out has a default, what is written is checked, and an error says where and what."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import example
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from harness import registry, scenario
from harness.errors import BAD_USAGE, HarnessError, ScenarioError, UsageError
from harness.scenario import Scenario
from harness.studies.planning import plan_of
from tests.properties import holds

HERE = Path(__file__).parent
GOOD = sorted((HERE.parent / "scenarios").glob("*.yaml"))
BAD = sorted((HERE / "scenarios_bad").glob("*.yaml"))
LOAD = "load: {arrivals: poisson, rate: 50/s, requests: 100}\n"
MINIMAL = f"name: least\n{LOAD}stages:\n  - null: {{}}\n"


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "scenario.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


# Good files


@pytest.mark.parametrize("path", GOOD, ids=lambda p: p.stem)
def test_what_is_dumped_loads_as_the_same_scenario(path, write):
    loaded = scenario.load(path)
    assert loaded.name == path.stem
    assert scenario.load(write(scenario.dump(loaded))) == loaded


def test_a_scenario_needs_a_name_a_load_and_a_stage_and_the_rest_has_defaults(write):
    loaded = scenario.load(write(MINIMAL))
    assert (loaded.executor, loaded.on_full, loaded.source.images) == ("process", "block", "photos")
    assert (loaded.load.warmup, loaded.load.seed) == (20, 1)
    assert (loaded.stages[0].name, loaded.stages[0].workers, loaded.stages[0].capacity) == ("null", 1, 16)


@pytest.mark.parametrize("stage", ["null: {}", "null:", '"null"', "null", "postprocess", "preprocess: null"])
def test_a_stage_without_options_may_stand_alone(write, stage):
    loaded = scenario.load(write(MINIMAL.replace("null: {}", stage)))
    assert loaded.stages[0].kind == stage.partition(":")[0].strip('"')


def test_null_where_it_means_something_survives_the_round_trip(write):
    """`resize: null` leaves the image as it is; the default would resize to 256."""
    loaded = scenario.load(write(MINIMAL.replace("null: {}", "preprocess: {resize: null}")))
    assert loaded.stages[0].resize is None
    assert scenario.load(write(scenario.dump(loaded))) == loaded


def test_an_alias_is_a_copy_of_its_own(write):
    text = f"name: x\n{LOAD}stages:\n  - null: &options {{name: a}}\n  - null: {{<<: *options, name: b}}\n"
    loaded = scenario.load(write(text), ["stages.a.workers=3"])
    assert [s.workers for s in loaded.stages] == [3, 1]


NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
DURATIONS = st.integers(1, 10**12).map(lambda ns: f"{ns} ns")
BATCH = st.fixed_dictionaries({}, optional={"max": st.integers(1, 64), "timeout": DURATIONS})
COMMON = {"workers": st.integers(1, 8), "capacity": st.integers(1, 16384), "threads": st.integers(1, 8)}
STAGES = st.one_of(
    st.fixed_dictionaries({}, optional={**COMMON, "resize": st.none() | st.integers(1, 500)}).map(
        lambda o: {"preprocess": o}
    ),
    st.fixed_dictionaries({}, optional={**COMMON, "batch": BATCH, "classes": st.integers(1, 99)}).map(
        lambda o: {"inference": o}
    ),
    st.fixed_dictionaries({}, optional={**COMMON, "top_k": st.integers(1, 9)}).map(lambda o: {"postprocess": o}),
    st.fixed_dictionaries({}, optional={**COMMON, "batch": BATCH}).map(lambda o: {"null": o}),
    st.fixed_dictionaries(
        {"mean": DURATIONS},
        optional={**COMMON, "distribution": st.sampled_from(["constant", "exponential", "lognormal"])},
    ).map(lambda o: {"delay": o}),
)
LENGTHS = st.one_of(
    st.integers(1, 10**6).map(lambda n: {"requests": n}),
    DURATIONS.map(lambda d: {"duration": d}),
)
PACES = st.one_of(
    st.floats(1e-3, 1e6).map(lambda r: {"rate": f"{r!r}/s"}),
    st.floats(0.01, 10).map(lambda u: {"utilisation": u}),
)
KINDS = st.sampled_from(["constant", "poisson", "bursts"]).map(lambda kind: {"arrivals": kind})
GAMMA = st.floats(0.1, 10).map(lambda cv: {"arrivals": "gamma", "cv": cv})
OPEN = st.tuples(KINDS | GAMMA, PACES, LENGTHS).map(lambda parts: {**parts[0], **parts[1], **parts[2]})
CLOSED = st.tuples(st.integers(1, 64), LENGTHS).map(lambda p: {"arrivals": "closed", "concurrency": p[0], **p[1]})


@st.composite
def documents(draw: st.DrawFn) -> dict:
    stages = draw(st.lists(STAGES, min_size=1, max_size=4))
    for index, stage in enumerate(stages):
        next(iter(stage.values()))["name"] = f"s{index}"
    document = {"name": draw(NAMES), "load": draw(OPEN | CLOSED), "stages": stages}
    if draw(st.booleans()):
        document["slo"] = {"p99": draw(DURATIONS)}
    return document


@holds(25, 200, documents())
def test_any_valid_document_is_read_and_read_back_and_fits_the_schema(write, document):
    loaded = scenario.load(write(yaml.safe_dump(document)))
    dumped = scenario.dump(loaded)
    assert scenario.load(write(dumped)) == loaded
    VALIDATOR.validate(document)
    VALIDATOR.validate(as_json(dumped))


# Bad files

PLACES = (
    "name", "load", "stages", "source", "slo", "deadlines", "load.arrivals", "load.rate", "load.requests",
    "stages.0", "stages.0.null", "stages.0.null.batch", "stages.0.null.name", "source.images", "slo.p99",
)  # fmt: skip


def claims(path: Path) -> tuple[str, list[str], int | None]:
    """What a bad file says about itself: the key path, what its error tells, and the line that is marked."""
    lines = path.read_text(encoding="utf-8").splitlines()
    key = next((line.removeprefix("# wrong:").strip() for line in lines if line.startswith("# wrong:")), "")
    says = [line.removeprefix("# says:").strip() for line in lines if line.startswith("# says:")]
    marked = [number for number, line in enumerate(lines, 1) if line.endswith("# <-- here")]
    return key, says, marked[0] if marked else None


def screen_lines(text: str) -> int:
    """How many lines of an 80-column terminal a text takes."""
    return sum(-(-max(len(line), 1) // 80) for line in text.splitlines())


def test_there_are_at_least_twenty_bad_files():
    assert len(BAD) >= 20


@pytest.mark.parametrize("path", BAD, ids=lambda p: p.stem)
def test_an_error_names_file_line_and_key_path_and_what_is_allowed_on_one_screen(path):
    key, says, line = claims(path)
    with pytest.raises(UsageError) as caught:
        plan_of(path, ())
    text = str(caught.value)
    assert caught.value.exit_code == BAD_USAGE
    assert text.startswith(f"{path}:{line}: {key}" if line else str(path))
    for fragment in [key, *says]:
        assert fragment in text
    assert screen_lines(text) <= 24
    assert not re.search(r"pydantic|Traceback|\[type=|https?://", text)


def test_several_problems_are_listed_with_their_lines(write):
    path = write(
        "name: x\nlod: 1\nload:\n  arrivals: poisson\n  rate: 5\n  requests: 0\nstages:\n  - null: {worker: 2}\n"
    )
    with pytest.raises(ScenarioError) as caught:
        scenario.load(path)
    head, *rows = str(caught.value).splitlines()
    assert head == f"{path}: 4 problems"
    assert [row.split(": ")[:2] for row in rows] == [
        ["  line 2", "lod"],
        ["  line 5", "load.rate"],
        ["  line 6", "load.requests"],
        ["  line 8", "stages.null.worker"],
    ]


def test_a_hundred_problems_still_fit_one_screen(write):
    keys = "".join(f"key_number_{i}: {i}\n" for i in range(100))
    with pytest.raises(ScenarioError) as caught:
        scenario.load(write(MINIMAL + keys))
    assert "100 problems" in str(caught.value)
    assert "and 94 more" in str(caught.value)
    assert screen_lines(str(caught.value)) <= 24


def test_a_long_value_is_shown_cut_short(write):
    with pytest.raises(ScenarioError) as caught:
        scenario.load(write(MINIMAL.replace("least", "x" * 5000)))
    assert len(str(caught.value)) < 400


@holds(
    60,
    300,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    ),
    st.sampled_from(PLACES),
)
@example({"null": None}, "stages.0.null")
def test_no_value_in_any_place_leads_to_anything_but_a_scenario_error(write, value, place):
    document = yaml.safe_load(MINIMAL)
    document["stages"] = [{"null": {}}]
    document |= {"source": {}, "slo": {}}
    target = document
    *parents, last = [int(part) if part.isdigit() else part for part in place.split(".")]
    for part in parents:
        target = target[part]
    target[last] = value
    path = write(yaml.safe_dump(document, allow_unicode=True))
    try:
        scenario.load(path)
    except ScenarioError as error:
        assert screen_lines(str(error)) <= 24


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("&a [*a]", "an alias of what it stands in"),
        ("[" * 5000, "nested too deeply"),
        ("name: \x07", "not YAML"),
        ("name: 2024-99-99", "not YAML"),
        ("? [a, b]\n: c", "not YAML"),
        ("!!python/object/apply:os.system ['true']", "not YAML"),
        ("\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9) if i else 1}]" for i in range(9)), "100,000 entries"),
    ],
    ids=["alias of itself", "deep", "control character", "date", "complex key", "tag", "billion laughs"],
)
def test_hostile_yaml_is_an_error_like_any_other(write, text, says):
    with pytest.raises(ScenarioError, match=re.escape(says)):
        scenario.load(write(text))


def test_a_file_that_is_not_text_is_an_error(tmp_path):
    (tmp_path / "x.yaml").write_bytes(b"name: \xff\xfe\x00")
    with pytest.raises(ScenarioError, match="not UTF-8"):
        scenario.load(tmp_path / "x.yaml")


# Names of scenarios


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "scenarios").mkdir()
    for name in ("resnet18_cpu", "smoke", "mm1"):
        (tmp_path / "scenarios" / f"{name}.yaml").write_text(MINIMAL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("reference", ["smoke", "smoke.yaml", "scenarios/smoke", "scenarios/smoke.yaml"])
def test_a_scenario_is_found_by_path_or_by_bare_name(folder, reference):
    assert scenario.find(reference) == Path("scenarios/smoke.yaml")


def test_a_file_here_goes_before_one_in_scenarios(folder):
    Path("smoke.yaml").write_text(MINIMAL)
    assert scenario.find("smoke") == Path("smoke.yaml")


@pytest.mark.parametrize("reference", ["resnet18", "scenarios/resnet18_gpu.yaml", "resnet18_cpu.yml"])
def test_a_name_that_is_nearly_right_is_suggested(folder, reference):
    with pytest.raises(UsageError, match=r"Did you mean scenarios/resnet18_cpu\.yaml\?"):
        scenario.find(reference)


def test_a_name_that_is_far_off_gets_the_list(folder):
    with pytest.raises(
        UsageError, match=r"There are scenarios/mm1\.yaml, scenarios/resnet18_cpu\.yaml, scenarios/smoke"
    ):
        scenario.find("zzzzzz")


def test_a_folder_is_not_a_scenario(folder):
    with pytest.raises(UsageError, match="not a scenario file"):
        scenario.find("scenarios")


# Overrides


@pytest.fixture
def base(write):
    return write(
        "name: base\n"
        "load: {arrivals: poisson, utilisation: 0.6, requests: 100}\n"
        "stages:\n"
        "  - preprocess: {backend: numba}\n"
        "  - inference: {batch: {max: 4}}\n"
        "  - postprocess:\n"
    )


@pytest.mark.parametrize(
    ("override", "found"),
    [
        ("stages.preprocess.backend=torchvision", lambda s: s.stages[0].backend == "torchvision"),
        ("stages.inference.batch.timeout=5 ms", lambda s: s.stages[1].batch.timeout == 5_000_000),
        ("stages.inference.batch.timeout=5 ms", lambda s: s.stages[1].batch.max == 4),
        ("stages.postprocess.top_k=3", lambda s: s.stages[2].top_k == 3),
        ("slo.p99=40 ms", lambda s: s.slo.p99 == 40_000_000),
        ("executor=asyncio", lambda s: s.executor == "asyncio"),
        ("source={images: synthetic, height: 8, width: 8}", lambda s: s.source.height == 8),
        ("load.rate=20/s", lambda s: (s.load.rate, s.load.utilisation) == (20.0, None)),
        ("load.utilisation=0.9", lambda s: s.load.utilisation == 0.9),
        ("load.duration=2 s", lambda s: (s.load.duration, s.load.requests) == (2_000_000_000, None)),
        (
            "load.arrivals=closed",
            lambda s: (s.load.arrivals, s.load.concurrency, s.load.requests) == ("closed", 1, 100),
        ),
        ("load.arrivals=bursts", lambda s: (s.load.arrivals, s.load.utilisation) == ("bursts", 0.6)),
        ("load={arrivals: closed, requests: 5}", lambda s: s.load.requests == 5),
    ],
)
def test_an_override_sets_any_key(base, override, found):
    assert found(scenario.load(base, [override]))
    assert found(scenario.with_overrides(scenario.load(base), [override]))


def test_overrides_are_applied_in_order(base):
    assert scenario.load(base, ["load.seed=2", "load.seed=3"]).load.seed == 3


@pytest.mark.parametrize(
    ("overrides", "where", "says"),
    [
        (["load.rate=20"], "--set load.rate=20: load.rate", "with its unit, such as 20/s"),
        (["load.rate"], "--set load.rate", "expected KEY=VALUE"),
        (["=3"], "--set =3", "expected KEY=VALUE"),
        (["load..rate=3"], "--set load..rate=3", "expected KEY=VALUE"),
        (["load.rate=[1"], "--set load.rate=[1", "not YAML"),
        (["load.ratee=20/s"], "--set load.ratee=20/s: load.ratee", "did you mean rate?"),
        (["stages.preproces.crop=3"], "--set stages.preproces.crop=3", "did you mean preprocess?"),
        (["stages.inference=3"], "--set stages.inference=3", "name a key of one stage"),
        (["name.first=3"], "--set name.first=3", "name holds no keys"),
        (["load.rate=20/s", "load.utilisation=0.5"], "", "rate and utilisation exclude one another"),
        (["load.rate=20/s", "load.arrivals=closed"], "--set load.rate=20/s: load.rate", "not a key of closed"),
        (["load={arrivals: closed}"], "--set load={arrivals: closed}: load", "requests or duration is needed"),
        (["load.arrivals=gamma"], "", "load.cv: is needed"),
        (
            ["stages.preprocess.batch.max=2"],
            "--set stages.preprocess.batch.max=2",
            "only of stage inference, null, delay",
        ),
    ],
)
def test_a_bad_override_is_an_error_that_quotes_it(base, overrides, where, says):
    with pytest.raises(ScenarioError) as caught:
        scenario.load(base, overrides)
    assert str(caught.value).startswith(where or str(base))
    assert says in str(caught.value)


def test_an_error_that_the_plan_finds_quotes_the_override_too(base):
    with pytest.raises(ScenarioError, match=r"^--set load.arrivals=closed|^--set on_full=shed: on_full: a closed load"):
        plan_of(base, ["load.arrivals=closed", "on_full=shed"])


# Files that a scenario names


def test_relative_files_count_from_the_scenario_and_those_of_overrides_from_here(tmp_path, monkeypatch, write):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    path = write(
        "name: x\nsource: {images: pictures}\nload: {arrivals: trace, file: due.txt}\nstages:\n"
        "  - delay: {distribution: empirical, file: times.txt}\n"
        "  - inference: {weights: model.pt}\n"
    )
    loaded = scenario.load(path, ["stages.inference.weights=mine.pt"])
    assert loaded.load.file == str(tmp_path / "due.txt")
    assert loaded.stages[0].file == str(tmp_path / "times.txt")
    assert loaded.source.images == str(tmp_path / "pictures")
    assert loaded.stages[1].weights == str(tmp_path / "elsewhere" / "mine.pt")


@pytest.mark.parametrize("word", ["random", "default"])
def test_words_for_weights_name_no_file(write, word):
    assert (
        scenario.load(write(MINIMAL.replace("null: {}", f"inference: {{weights: {word}}}"))).stages[0].weights == word
    )


def test_a_pattern_counts_from_a_folder_whose_name_looks_like_one(tmp_path):
    folder = tmp_path / "run [1]"
    folder.mkdir()
    (folder / "a.jpg").touch()
    (folder / "x.yaml").write_text(MINIMAL + 'source: {images: "*.jpg"}\n')
    images = scenario.load(folder / "x.yaml").source.images
    assert os.path.basename(images) == "*.jpg"  # noqa: PTH119 - a pattern, no path
    assert list(Path("/").glob(images.lstrip("/"))) == [folder / "a.jpg"]


# The JSON Schema

VALIDATOR = Draft202012Validator(scenario.schema())
SEEN_BY_LOADING_ONLY = {
    "a_list", "a_tab", "empty", "key_twice", "not_yaml",  # no document at all
    "rate_and_utilisation", "neither_rate_nor_utilisation", "requests_and_duration", "no_length",
    "empirical_without_file", "synthetic_without_size", "height_without_width", "two_stages_of_one_name",
    "missing_trace", "trace_that_goes_back", "missing_service_times", "service_times_without_units",
    "inference_of_images", "shed_of_a_closed_load", "rate_of_zero",
}  # fmt: skip


def as_json(text: str) -> object:
    """As an editor sees YAML: keys are text, also an unquoted null."""
    return json.loads(json.dumps(yaml.safe_load(text)))


def test_the_schema_is_a_valid_schema():
    Draft202012Validator.check_schema(scenario.schema())


@pytest.mark.parametrize("path", GOOD, ids=lambda p: p.stem)
def test_the_schema_accepts_the_scenarios_that_come_with_the_project(path):
    VALIDATOR.validate(as_json(path.read_text()))


@pytest.mark.parametrize("path", [p for p in BAD if p.stem not in SEEN_BY_LOADING_ONLY], ids=lambda p: p.stem)
def test_the_schema_refuses_what_loading_refuses(path):
    assert not VALIDATOR.is_valid(as_json(path.read_text()))


def test_the_schema_file_beside_the_scenarios_is_the_current_one():
    assert json.loads((HERE.parent / "scenarios" / "scenario.schema.json").read_text()) == scenario.schema()


@pytest.mark.parametrize("path", GOOD, ids=lambda p: p.stem)
def test_each_scenario_names_its_schema_for_editors(path):
    assert path.read_text().startswith("# yaml-language-server: $schema=scenario.schema.json\n")


@pytest.mark.parametrize(
    "model", [Scenario, *registry.ARRIVALS.kinds.values(), *registry.STAGES.kinds.values()], ids=lambda m: m.__name__
)
def test_every_key_is_explained(model):
    unexplained = [n for n, f in model.model_fields.items() if not f.description and n not in ("kind", "arrivals")]
    assert unexplained == []


def test_scenario_errors_are_harness_errors_that_end_with_exit_code_2():
    assert issubclass(ScenarioError, HarnessError)
    assert ScenarioError.exit_code == 2
