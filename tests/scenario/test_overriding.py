"""Overrides: any key can be set from the command line, and a bad one is quoted."""

from __future__ import annotations

import pytest

from harness import scenario
from harness.errors import ScenarioError
from harness.studies.planning import plan_of
from tests.scenario.files import LOAD


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


def test_an_override_adds_to_a_word_that_stands_for_options(write):
    words = write(f"name: words\n{LOAD}stages:\n  - preprocess: auto\n  - inference\n  - postprocess:\n")
    settings = ["stages.preprocess.backend=torchvision", "stages.inference.classes=10", "stages.postprocess.top_k=3"]
    preprocess, inference, postprocess = scenario.load(words, settings).stages
    assert (preprocess.recipe, preprocess.backend) == ("auto", "torchvision")
    assert (inference.classes, postprocess.top_k) == (10, 3)


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
