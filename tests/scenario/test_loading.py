"""Scenario files: what is left out has a default, and what is written is read back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import strategies as st

from harness import scenario
from harness.errors import HarnessError, ScenarioError
from tests.properties import holds
from tests.scenario.files import GOOD, LOAD, MINIMAL, VALIDATOR, as_json


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


def test_scenario_errors_are_harness_errors_that_end_with_exit_code_2():
    assert issubclass(ScenarioError, HarnessError)
    assert ScenarioError.exit_code == 2
