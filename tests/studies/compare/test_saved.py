"""Saved runs against each other: what may be compared, and what comes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from harness import scenario, store
from harness.commands import cli
from harness.errors import HarnessError, UsageError
from harness.plan import Plan
from harness.stats.summary import summarise_run
from harness.store import SavedRun
from harness.studies.compare.saved import compare_runs, cut
from harness.twin import Demand, Pipeline, Station, compiled
from harness.twin.pipeline import START_NS
from tests.facts import facts
from tests.pipelines import plan

MACHINE = {
    "cpu": "One CPU",
    "cores": 4,
    "python": "3.11.9",
    "libraries": {"numpy": "2.1.0", "torch": "2.4.0"},
    "during_run": {},
}
FACTS = {
    "started_at": "2026-01-01T00:00:00+00:00",
    "status": "completed",
    "load": {"arrivals": "poisson", "concurrency": None, "calibrated_capacity_rps": None},
    **{key: {} for key in ("startup_s", "effective", "cpu_wait_s")},
    "memory": {"peak_rss_mb": {}},
}


def planned(count: int = 6000, rate: float = 500.0, mean: str = "1 ms", seed: int = 1, **keys: Any) -> Plan:
    """An exponential delay stage; s0 is its name."""
    load = {"arrivals": "poisson", "rate": f"{rate}/s", "requests": count, "seed": seed}
    return plan({"delay": {"mean": mean, "distribution": "exponential", "capacity": 4096}}, load=load, **keys)


def saved(root: Path, asked: Plan, service_seed: int = 1, **machine: Any) -> SavedRun:
    """What a perfect pipeline would have made of a Plan, as a saved run."""
    due = START_NS + asked.due_times(float(asked.load.rate or 0.0))  # type: ignore[union-attr]
    mean_ns = float(asked.stages[0].options.mean)  # type: ignore[union-attr]
    draws = np.random.default_rng(service_seed).exponential(mean_ns, (len(due), 1)).astype(np.int64) + 1
    raw = compiled.simulate(Pipeline((Station("s0", capacity=4096),)), Demand((draws,), due))
    summary = summarise_run(asked, raw, facts(asked, system={**MACHINE, **machine}))
    return store.save(root, asked.scenario.name, summary, raw, {"resolved.yaml": scenario.dump(asked.scenario)})


def test_a_run_is_the_same_as_itself(tmp_path: Path) -> None:
    run = saved(tmp_path, planned())
    found = compare_runs(run, run)
    assert found.differences == ()
    assert found.comparison.paired
    assert {e.verdict for e in found.comparison.effects} == {"no difference"}


def test_a_slower_run_is_found_slower_and_said_not_to_be_interleaved(tmp_path: Path) -> None:
    a, b = saved(tmp_path, planned()), saved(tmp_path, planned(mean="1.4 ms"))
    found = compare_runs(a, b, force=True)
    effect = found.comparison.effect("e2e.p50")
    assert effect.verdict == "slower"
    assert effect.ratio is not None and effect.ratio > 1.3
    assert [(d.what, d.a, d.b) for d in found.differences] == [("stages.s0.mean", "1 ms", "1400 us")]
    assert "one after the other" in found.caveats[0]


def test_other_arrivals_are_compared_without_pairs(tmp_path: Path) -> None:
    a, b = saved(tmp_path, planned()), saved(tmp_path, planned(seed=2), service_seed=2)
    found = compare_runs(a, b)
    assert not found.comparison.paired
    assert found.comparison.effect("stages.s0.service.mean").verdict in ("no difference", "inconclusive")


@pytest.mark.parametrize(
    "machine, what",
    [
        ({"cpu": "Another CPU"}, "cpu: One CPU and Another CPU"),
        ({"cores": 8}, "cores: 4 and 8"),
        ({"python": "3.12.1"}, "python: 3.11.9 and 3.12.1"),
        ({"libraries": {"numpy": "2.1.0", "torch": "2.5.0"}}, r"torch \(version\): 2.4.0 and 2.5.0"),
        ({"libraries": {"numpy": "2.1.0"}}, r"torch \(version\): 2.4.0 and nothing"),
    ],
)
def test_runs_on_other_machines_or_versions_are_refused(tmp_path: Path, machine: dict[str, Any], what: str) -> None:
    a, b = saved(tmp_path, planned()), saved(tmp_path, planned(), **machine)
    with pytest.raises(UsageError, match=what) as error:
        compare_runs(a, b)
    assert error.value.exit_code == 2
    assert "--force" in error.value.hint
    assert len(compare_runs(a, b, force=True).differences) == 1


@pytest.mark.parametrize(
    "changed, what",
    [
        ({"rate": 510.0}, "load.rate: 500 and 510"),
        ({"mean": "1.01 ms"}, "stages.s0.mean"),
        ({"executor": "asyncio"}, "executor: process and asyncio"),
        ({"on_full": "shed"}, "on_full: block and shed"),
    ],
)
def test_other_scenarios_are_refused(tmp_path: Path, changed: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        compare_runs(saved(tmp_path, planned()), saved(tmp_path, planned(**changed)))


@pytest.mark.parametrize(
    "changed", [{"rate": 501.0}, {"count": 7000}, {"seed": 5}, {"slo": {"p99": "1 s"}}, {"name": "other"}]
)
def test_what_does_not_matter_is_not_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    compare_runs(saved(tmp_path, planned()), saved(tmp_path, planned(**changed)))


def test_a_run_that_is_too_short_declines(tmp_path: Path) -> None:
    a, b = saved(tmp_path, planned(60)), saved(tmp_path, planned(60))
    for effect in compare_runs(a, b).comparison.effects:
        assert effect.verdict == "declined"
        assert (effect.requests_needed or 0) > 60


def test_an_invalid_run_is_told(tmp_path: Path) -> None:
    run = saved(tmp_path, planned())
    file = run.path / store.SUMMARY_FILE
    summary = json.loads(file.read_text(encoding="utf-8"))
    summary["checks"].append({"name": "conservation", "level": "invalid", "message": "3 lost"})
    file.write_text(json.dumps(summary), encoding="utf-8")
    assert any("conservation: 3 lost" in caveat for caveat in compare_runs(run, run).caveats)


def test_the_command_refuses_compares_and_gates(tmp_path: Path) -> None:
    a, b = (str(saved(tmp_path, planned(mean=mean)).path) for mean in ("1 ms", "1.4 ms"))
    with pytest.raises(UsageError, match=r"stages.s0.mean: 1 ms and 1400 us"):
        invoke("compare", a, b)
    shown = invoke("compare", a, b, "--force").output
    assert "slower" in shown
    assert invoke("compare", a, b, "--even-so").output == shown
    gate = ("--force", "--fail-if", "stages.s0.service.mean > +10%", "--json", "-")
    failed = invoke("compare", a, b, *gate)
    assert failed.exit_code == 3
    assert json.loads(failed.stdout)["gate"][0]["outcome"] == "failed"
    assert invoke("compare", a, a, *gate).exit_code == 0


def test_a_band_of_a_saved_run_is_shown(tmp_path: Path) -> None:
    run = str(saved(tmp_path, planned()).path)
    told = json.loads(invoke("show", run, "--band", "p90..p99", "--json").stdout)
    assert (told["completed"], told["attribution"]["count"]) == (6000, 541)
    assert sum(told["attribution"]["shares"].values()) == pytest.approx(1)
    # By the summary's own reckoning for the slowest 1 %.
    slowest = json.loads(invoke("show", run, "--band", "p99..", "--json").stdout)["attribution"]
    assert slowest["shares"] == SavedRun(Path(run)).summary.tail.shares
    assert "541 of 6,000 requests" in invoke("show", run, "--band", "p90..p99").output
    with pytest.raises(UsageError, match="two quantiles or latencies"):
        invoke("show", run, "--band", "p99")


def invoke(*arguments: str) -> Any:
    """Run the command line; what a user could act on is raised."""
    result = CliRunner().invoke(cli, list(arguments))
    if isinstance(result.exception, HarnessError):
        raise result.exception
    return result


def test_blocks_are_the_requests_in_order(tmp_path: Path) -> None:
    raw = saved(tmp_path, planned(1001)).records
    blocks = cut(raw, 10)
    assert {len(block) for block in blocks} == {100, 101}
    assert (np.concatenate([block.rows for block in blocks]) == raw.rows).all()


@pytest.mark.study
@pytest.mark.parametrize("rate, count", [(500.0, 10_000), (800.0, 40_000)])
def test_false_verdicts_of_saved_runs_are_as_rare_as_stated(tmp_path: Path, rate: float, count: int) -> None:
    """200 pairs of runs of the same queue, each with arrivals and services of its own: at most 5 % and two errors."""
    wrong = answered = 0
    for number in range(200):
        runs = [
            saved(tmp_path / str(number), planned(count, rate, seed=2 * number + side), service_seed=2 * number + side)
            for side in (0, 1)
        ]
        effects = compare_runs(*runs).comparison.effects
        answered += any(e.verdict != "declined" for e in effects)
        wrong += any(e.verdict in ("faster", "slower") for e in effects)
    assert answered >= 190
    assert wrong <= 16
