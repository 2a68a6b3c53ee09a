"""What would happen if: a scenario, what is changed in it, and a measured run that its service times come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import ScenarioError, UsageError
from harness.numbers import rate
from harness.plan import Plan, offered_rate, resolve
from harness.records import Ints
from harness.scenario import Axis, combinations, load, with_overrides
from harness.scenario.model import Closed, Scenario, StageOptions
from harness.store import SavedRun
from harness.studies.predict.document import Forecast, MeasuredRun, VariantForecast, VariedForecasts, WhatIfResult
from harness.studies.predict.forecast import KEYS, Effort, Offered, Simulated, difference, forecast, saturated
from harness.studies.variants import as_typed, values_of
from harness.twin import Pipeline, of_plan
from harness.twin.service_profile import ServiceProfile, profile_of
from harness.twin.services import Services, given_times

FREE_TO_CHANGE = {"name", "workers", "capacity", "batch"}
"""What may differ from the run without its service times losing their meaning."""
FAR_ABOVE, NEAR = 1.2, 0.97
MOST_VARIED = 256


@dataclass(frozen=True)
class Source:
    """A saved run and what was learnt from it."""

    run: SavedRun
    plan: Plan
    profile: ServiceProfile

    @classmethod
    def of(cls, run: SavedRun) -> Source:
        """Learn service times from a run. Raises UsageError."""
        plan = resolve(load(run.path / "resolved.yaml"))
        try:
            return cls(run, plan, profile_of(plan, run.records))
        except ValueError as error:
            raise UsageError(f"cannot learn service times from this run: {error}", where=str(run.path)) from None


@dataclass(frozen=True)
class StageServices:
    """Service times of each stage of a Plan: measured ones, or those that a delay stage says of itself."""

    plan: Plan
    profile: ServiceProfile | None
    measured: frozenset[str]

    def draw(self, pipeline: Pipeline, count: int, rng: np.random.Generator) -> tuple[Ints, ...]:
        """See `Services`."""
        sampled: dict[str, Ints] = {}
        if self.profile is not None and self.measured:
            stations = tuple(s for s in pipeline.stations if s.name in self.measured)
            drawn = self.profile.draw(Pipeline(stations), count, rng)
            sampled = {s.name: times for s, times in zip(stations, drawn, strict=True)}
        return tuple(
            sampled[s.name] if s.name in sampled else given_times(s.options, count, rng) for s in self.plan.stages
        )


def ask(
    scenario: Scenario, overrides: Sequence[str], source: Source | None, effort: Effort, axes: Sequence[Axis] = ()
) -> WhatIfResult:
    """Predict the scenario as it stands, with the overrides, and for every combination of the axes. Raises UsageError.

    Its rate stays, also where the scenario gives it as a utilisation, unless the overrides touch the load.
    """
    base = _Question(scenario, source, effort)
    first = base.predict()
    second = None
    warnings = base.warnings(first.forecast)
    changed = with_overrides(scenario, overrides) if overrides else scenario
    if overrides:
        kept = None if _sets_load(overrides) else base.rate_rps
        other = _Question(changed, source, effort, kept)
        second = other.predict()
        warnings = other.warnings(second.forecast)
    varied = None
    if axes:
        kept = None if _sets_load([*overrides, *(axis.key for axis in axes)]) else base.rate_rps
        rows = []
        for own in combinations(axes, MOST_VARIED, "predictions"):
            try:
                question = _Question(with_overrides(changed, own), source, effort, kept)
            except ScenarioError as error:
                raise as_typed(error, own) from None
            found = question.predict(bootstrap=False).forecast
            rows.append(VariantForecast(value=values_of(own), **dict(found)))
            warnings |= question.warnings(found) if found.steady else {}
        varied = VariedForecasts(key=", ".join(axis.key for axis in axes), rows=tuple(rows))
    return WhatIfResult(
        scenario=scenario.name,
        run=str(source.run.path) if source else None,
        measured=_measured(base, source),
        baseline=first.forecast,
        overrides=tuple(overrides),
        what_if=second.forecast if second else None,
        difference={key: difference(first, second, key) for key in KEYS} if second else None,
        varied=varied,
        warnings=tuple(warnings.values()),
    )


def _sets_load(keys: Sequence[str]) -> bool:
    return any(key.startswith("load.") for key in keys)


class _Question:
    """One scenario, ready to be predicted, at its own rate or at the one that is given."""

    def __init__(
        self, scenario: Scenario, source: Source | None, effort: Effort, rate_rps: float | None = None
    ) -> None:
        self.plan = resolve(scenario)
        self._source = source
        self._effort = effort
        self._measured = frozenset(self._checked(source))
        self.services = StageServices(self.plan, source.profile if source else None, self._measured)
        self.pipeline = of_plan(self.plan, source.profile.overheads if source else None)
        self.limit = saturated(self.pipeline, self.services, effort.seed)
        self.rate_rps = self._rate() if rate_rps is None else rate_rps

    def predict(self, bootstrap: bool = True) -> Simulated:
        """With intervals from replications and, where service times were measured, from resampling them."""
        resamples: list[Services] = []
        if bootstrap and self._source is not None and self._measured:
            rng = np.random.default_rng(np.random.SeedSequence(self._effort.seed, spawn_key=(2,)))
            copies = [self._source.profile.resampled(rng) for _ in range(self._effort.bootstraps)]
            resamples = [StageServices(self.plan, copy, self._measured) for copy in copies]
        offered = Offered(self.plan.load, self.rate_rps)
        return forecast(self.pipeline, self.services, offered, self._effort, resamples, self.limit)

    def _checked(self, source: Source | None) -> list[str]:
        """Stages whose service times come from the run. Raises UsageError for one of which nothing is known."""
        measured = []
        for stage in self.plan.stages:
            given = stage.options.given_services
            if source is None and not given:
                raise UsageError(
                    f"nothing is known of the service times of stage {stage.name!r}",
                    where=self.plan.scenario.name,
                    hint="Take them from a saved run of it: --from RUN; `harness runs` lists them.",
                )
            changed = _changed(source, stage.options) if source else ["all of it"]
            if not changed:
                measured.append(stage.name)
            elif not given:
                assert source is not None
                raise UsageError(
                    f"stage {stage.name!r} is not the one that was measured: {', '.join(changed)} differs",
                    where=str(source.run.path),
                    hint="Measure a run with it, and take the service times from that.",
                )
        return measured

    def _rate(self) -> float | None:
        """Requests per second; a utilisation is a share of the saturated rate that a run would measure."""
        if isinstance(self.plan.load, Closed):
            return None
        found = self.limit.throughput_rps
        if self.plan.load.utilisation is not None and self._source is not None:
            then = self._source.run.summary.load.calibrated_capacity_rps
            if then:
                before = of_plan(self._source.plan, self._source.profile.overheads)
                services = StageServices(self._source.plan, self._source.profile, frozenset(before.layout.names))
                found *= then / saturated(before, services, self._effort.seed).throughput_rps
        return offered_rate(self.plan, found)

    def warnings(self, predicted: Forecast) -> dict[str, str]:
        """Where the prediction reaches beyond what was measured, by kind."""
        said = {} if self._source is None else self._beyond(self._source, predicted)
        limit_rps = self.limit.throughput_rps
        if predicted.steady and self.rate_rps and not self.pipeline.shed and self.rate_rps > NEAR * limit_rps:
            said["capacity"] = f"so close to the capacity of {rate(limit_rps)}, latencies depend on every percent of it"
        return said

    def _beyond(self, source: Source, predicted: Forecast) -> dict[str, str]:
        said = {}
        for stage in self.plan.stages:
            samples = source.profile.stage(stage.name)
            if samples is None or stage.name not in self._measured:
                continue
            missing = [size for size in range(1, stage.batch_max + 1) if not samples.measured(size)]
            if missing and (predicted.stages[stage.name].batch_size > 1 or missing[0] == 1):
                sizes = " and ".join(map(str, missing)) if len(missing) < 3 else f"{missing[0]} to {missing[-1]}"
                said[f"batch {stage.name}"] = (
                    f"{stage.name}: too few batches of {sizes} were measured; their service is extrapolated"
                )
        before = source.profile.offered_rps
        if before and self.rate_rps and self.rate_rps > FAR_ABOVE * before:
            said["load"] = (
                f"{rate(self.rate_rps)} is far above the {rate(before)} of the measured run:"
                " service times may grow with the load"
            )
        cores = source.run.summary.system.cores
        computing = [s for s in self.plan.stages if s.options.computes]
        threads = sum(s.workers * s.options.threads for s in computing)
        busy = sum(predicted.stages[s.name].utilisation * s.workers * s.options.threads for s in computing)
        if cores and threads > cores and busy > 0.5 * cores:
            said["cores"] = (
                f"{threads} computing threads share {cores:g} cores, {busy:.1f} of them busy on average:"
                " service will take longer than was measured"
            )
        return said


def _changed(source: Source, options: StageOptions) -> list[str]:
    """Keys of a stage that differ from the run, beyond those that leave its service times alone."""
    then = next((s.options for s in source.plan.stages if s.name == options.name), None)
    if then is None or type(then) is not type(options):
        return ["its kind"]
    old, new = then.model_dump(), options.model_dump()
    return [key for key in new if key not in FREE_TO_CHANGE and old[key] != new[key]]


def _measured(base: _Question, source: Source | None) -> MeasuredRun | None:
    """What the run itself measured, where the baseline is that run."""
    if source is None or base.rate_rps is None or base.plan.scenario.stages != source.plan.scenario.stages:
        return None
    nominal = source.run.summary.load.nominal_rps
    if not nominal or abs(nominal / base.rate_rps - 1) > 0.01:
        return None
    e2e = source.run.summary.e2e
    return MeasuredRun(e2e_ms={key: e2e[key] for key in KEYS}, p99_interval=e2e.p99_interval)
