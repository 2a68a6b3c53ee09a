"""What can be compared between two sides, by name, and how each is read from the records of a block.

e2e.mean, e2e.p50, ...                 latency from due, ms
throughput                             completions per second, from the first due time to the last completion
stages.NAME.service.mean, ....p99      service times of a stage, ms; the service of a batch is one service
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.records import RunRecords, first_of_batches
from harness.stats.quantiles import NS_PER_MS
from harness.summary import LEVELS

E2E, THROUGHPUT, SERVICE = "e2e", "throughput", "service"
_FIGURES = ("mean", *LEVELS)


@dataclass(frozen=True)
class Metric:
    """One figure of a run. source: `e2e`, `throughput` or the name of a stage. level: None for a mean or a rate."""

    name: str
    source: str
    level: float | None = None

    @property
    def unit(self) -> Literal["ms", "/s"]:
        """Of the figure."""
        return "/s" if self.source == THROUGHPUT else "ms"

    @property
    def higher_is_better(self) -> bool:
        """Of a rate; of a latency lower is."""
        return self.source == THROUGHPUT

    @property
    def of_e2e(self) -> bool:
        """Whether it says something about the whole pipeline's latency, and so needs a steady state."""
        return self.name.startswith(f"{E2E}.")


def parse_metric(name: str, stages: Sequence[str]) -> Metric:
    """The metric of a name. stages: those of the pipeline. Raises UsageError, which lists what there is."""
    parts = name.split(".")
    if name == THROUGHPUT:
        return Metric(name, THROUGHPUT)
    if len(parts) == 2 and parts[0] == E2E and parts[1] in _FIGURES:
        return Metric(name, E2E, LEVELS.get(parts[1]))
    if len(parts) == 4 and parts[0] == "stages" and parts[2] == SERVICE and parts[3] in _FIGURES and parts[1] in stages:
        return Metric(name, parts[1], LEVELS.get(parts[3]))
    figures = "|".join(_FIGURES)
    raise UsageError(
        f"no metric is called {name!r}",
        hint=f"There are e2e.{{{figures}}}, throughput, and stages.{{{'|'.join(stages)}}}.service.{{{figures}}}.",
    )


def default_metrics(stages: Sequence[str], also: Iterable[str] = ()) -> tuple[str, ...]:
    """The metrics of every comparison, and those of `also` that are not among them."""
    names = [f"{E2E}.{figure}" for figure in ("mean", "p50", "p90", "p99")]
    names.append(THROUGHPUT)
    names += [f"stages.{stage}.{SERVICE}.{figure}" for stage in stages for figure in ("mean", "p99")]
    return tuple(dict.fromkeys((*names, *also)))


def values_ms(metric: Metric, done: RunRecords) -> NDArray[np.float64]:
    """The single values behind a latency or a service, in ms, from completed requests; not for the throughput."""
    if metric.of_e2e:
        return (done.completed - done.due) / NS_PER_MS
    stage = done.stage(metric.source)
    return (stage.done - stage.started)[first_of_batches(stage.batch)] / NS_PER_MS


def span_s(done: RunRecords) -> float:
    """How long it took to complete a block, from its first due time, in seconds."""
    return float(done.completed.max() - done.due.min()) / 1e9
