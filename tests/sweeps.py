"""Sweeps whose runs the twin makes: every figure follows from seeds, and none from the machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness import scenario, store
from harness.scenario.model import Closed
from harness.stats.summary import summarise_run
from harness.studies.sweep.folder import SweepFolder
from harness.studies.sweep.spec import Spec, plan_of, prepare
from harness.studies.sweep.trials import Trial
from harness.twin import Demand, compiled, of_plan
from harness.twin.pipeline import START_NS
from harness.twin.services import GivenServices
from tests.facts import facts

LINE = """
name: line
executor: asyncio
load: {arrivals: poisson, rate: 60/s, requests: 4000, warmup: 100, seed: 1}
stages:
  - delay: {name: first, distribution: lognormal, cv: 0.5, mean: 2 ms, capacity: 64}
  - delay: {name: second, mean: 10 ms, capacity: 64, batch: {max: 1, timeout: 2 ms}}
"""


def begin(folder: Path, *axes: str, text: str = LINE, repeats: int = 1, overrides: tuple[str, ...] = ()) -> SweepFolder:
    """A sweep of which nothing has run."""
    (folder / "line.yaml").write_text(text)
    varied = scenario.parse_axes(axes)
    spec, scenarios = prepare(folder / "line.yaml", overrides, varied, repeats, seed=1)
    return SweepFolder.create(folder / "results", spec, scenarios)


def pretend(sweep: SweepFolder, trials: list[Trial] | None = None) -> SweepFolder:
    """Have the twin make the runs of these trials, or of all."""
    spec = sweep.spec
    for trial in spec.order if trials is None else trials:
        sweep.record(trial, "completed", run(sweep, spec, trial), None, 1.0)
    return sweep


def run(sweep: SweepFolder, spec: Spec, trial: Trial) -> store.SavedRun:
    """A saved run of a trial that the index does not know."""
    plan = plan_of(spec, trial, sweep.scenario(trial.variant))
    load, rate = plan.load, getattr(plan.load, "rate", None)
    total = load.warmup + (plan.measured or 0)
    pipeline = of_plan(plan)
    service = GivenServices(plan).draw(pipeline, total, np.random.default_rng((load.seed, trial.variant)))
    if isinstance(load, Closed):
        demand = Demand(service, concurrency=load.concurrency, warmup=load.warmup)
    else:
        demand = Demand(service, plan.due_times(rate) + START_NS, warmup=load.warmup)
    records = compiled.simulate(pipeline, demand)
    summary = summarise_run(plan, records, facts(plan, system={"cores": 2, "during_run": {}}))
    texts = {
        "scenario.yaml": sweep.given(spec, trial, sweep.scenario(trial.variant)),
        "resolved.yaml": scenario.dump(plan.scenario),
    }
    return store.save(sweep.runs, plan.scenario.name, summary, records, texts)
