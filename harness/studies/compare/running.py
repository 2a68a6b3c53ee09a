"""A comparison from start to end: equivalence, blocks in turns, statistics, everything saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness import host
from harness.errors import HarnessError, RunFailed, SaveError, ScenarioError
from harness.executors.base import Execution
from harness.executors.blocks import Blocks, Standing, execute_blocks, order
from harness.interruption import held
from harness.records import ENDED, Phase
from harness.scenario import located
from harness.scenario import read as read_scenario
from harness.stats.comparison import Comparison, compare_many
from harness.stats.metrics import default_metrics
from harness.studies.compare import folder, validity
from harness.studies.compare.document import (
    COMPARISON,
    BlockCounts,
    ComparisonDocument,
    GateResult,
    Load,
    Side,
    Status,
    Turn,
    findings_of,
    gate_of,
    pairs_of,
)
from harness.studies.compare.equivalence import Equivalence, Tolerance, examine
from harness.studies.compare.gate import Limit, alone, judge
from harness.studies.compare.sides import common_stages
from harness.studies.run.facts import facts_of
from harness.studies.variants import Variant
from harness.summary.facts import HostActivity


@dataclass(frozen=True)
class Question:
    """What a comparison has to find out.

    margin: the smallest relative difference that matters. confidence: of all intervals together. limits: of the gate.
    tolerance, images: how far outputs may differ, and on how many images they are compared; 0 leaves that out.
    """

    margin: float = 0.05
    confidence: float = 0.95
    limits: Sequence[Limit] = ()
    tolerance: Tolerance = field(default_factory=Tolerance)
    images: int = 16


@dataclass(frozen=True)
class ComparisonResult:
    """A comparison that has ended. blocks: None when outputs differ too much to measure. error: why it failed or could
    not be saved. signal: the first one that came before it was saved, or 0.
    """

    document: ComparisonDocument
    blocks: Blocks | None = None
    error: HarnessError | None = None
    signal: int = 0


def compare(
    sides: Sequence[Variant],
    question: Question,
    out: Path,
    observe: Callable[[Standing], None] = lambda standing: None,
    examining: Callable[[Variant], None] = lambda side: None,
) -> ComparisonResult:
    """Compare the sides, and save everything under `out`. Raises HarnessError when outputs cannot be compared.

    Sides whose outputs differ by more than the tolerance are not measured, and nothing is saved. observe: called as the
    blocks proceed. examining: called before the outputs of a side are computed.
    """
    environment = host.describe()
    try:
        equivalence = examine(sides, question.tolerance, question.images, examining)
    except HarnessError as refused:
        raise _located(refused, sides) from None
    if not equivalence.met:
        return ComparisonResult(_not_measured(sides, equivalence, "not the same", None))
    with held() as interruption:
        blocks = execute_blocks([side.plan for side in sides], observe)
        error = blocks.ending.error and _located(blocks.ending.error, sides)
        try:
            comparisons = _compared(sides, blocks, question)
        except Exception as raised:  # what was measured is not saved yet
            comparisons, error = (), error or RunFailed(f"{type(raised).__name__}: {raised}", where="the statistics")
        try:
            document = _measured(sides, equivalence, blocks, comparisons, question, error, environment)
        except ValidationError as invalid:  # such as a stage that reads back something odd
            error = error or RunFailed(str(invalid), where="the document of the comparison")
            document = _not_measured(sides, equivalence, "failed", error)
        try:
            saved = folder.save(out, document, sides, blocks, error)
            document = document.model_copy(update={"saved": str(saved)})
        except SaveError as unsaved:
            error = error or unsaved
        return ComparisonResult(document, blocks, error, interruption.take())


def _not_measured(
    sides: Sequence[Variant], equivalence: Equivalence, status: Status, error: HarnessError | None
) -> ComparisonDocument:
    return ComparisonDocument(
        schema_version=COMPARISON.version,
        kind="comparison",
        name=sides[0].plan.scenario.name,
        status=status,
        error=None if error is None else str(error),
        sides=tuple(map(_given, sides)),
        equivalence=equivalence,
        comparisons=(),
        findings=(),
        gate=(),
    )


def _measured(
    sides: Sequence[Variant],
    equivalence: Equivalence,
    blocks: Blocks,
    comparisons: Sequence[Comparison],
    question: Question,
    error: HarnessError | None,
    environment: Mapping[str, Any],
) -> ComparisonDocument:
    """What was executed and what came of it. Raises ValidationError."""
    first, plan, letters = blocks.sides[0], sides[0].plan, [side.name for side in sides]
    pairs = pairs_of(letters, comparisons)
    return ComparisonDocument(
        schema_version=COMPARISON.version,
        kind="comparison",
        name=plan.scenario.name,
        status=blocks.ending.status,
        error=None if error is None else str(error),
        sides=tuple(
            _measured_side(side, execution, environment) for side, execution in zip(sides, blocks.sides, strict=True)
        ),
        equivalence=equivalence,
        comparisons=pairs,
        findings=findings_of(pairs, {side.name: f"{side.name} ({side.label})" for side in sides}),
        gate=tuple(_gate(sides, comparisons, question.limits)),
        started_at=first.started_at,
        load=Load(
            arrivals=plan.load.arrivals,
            offered_rps=first.offered_rps,
            utilisation_of_a=getattr(plan.load, "utilisation", None),
            concurrency=getattr(plan.load, "concurrency", None),
            seed=plan.load.seed,
        ),
        blocks=BlockCounts(
            planned=plan.blocks, complete=blocks.complete, requests=plan.measured or 0, warmup=plan.load.warmup
        ),
        order=tuple("".join(letters[side] for side in order(len(sides), block)) for block in range(plan.blocks)),
        turns=tuple(
            Turn(block=turn.block, side=letters[turn.side], begun_ns=turn.begun_ns, ended_ns=turn.ended_ns)
            for turn in blocks.turns
        ),
        environment=environment,
        during=HostActivity.model_validate(dict(first.host)),
    )


def _gate(sides: Sequence[Variant], comparisons: Sequence[Comparison], limits: Sequence[Limit]) -> Iterator[GateResult]:
    for side, comparison in zip(sides[1:], comparisons, strict=False):
        yield from gate_of(side.name, [judge(limit, comparison) for limit in limits])


def _compared(sides: Sequence[Variant], blocks: Blocks, question: Question) -> tuple[Comparison, ...]:
    if not blocks.complete:
        return ()
    measured = [blocks.measured(index) for index in range(len(sides))]
    metrics = default_metrics(common_stages(sides), [limit.metric for limit in question.limits])
    margin, confidence, own = question.margin, question.confidence, alone(question.limits)
    return compare_many(measured, margin=margin, confidence=confidence, metrics=metrics, alone=own)


def _located(error: HarnessError, sides: Sequence[Variant]) -> HarnessError:
    """An error of a side's scenario with the line of the file, or the override, that caused it."""
    side = next((side for side in sides if error.where.startswith(f"side {side.name}")), None)
    if side is None or not isinstance(error, ScenarioError):
        return error
    return located(error, read_scenario(side.path), side.overrides)


def _given(side: Variant) -> Side:
    return Side(name=side.name, label=side.label, scenario=str(side.path), overrides=side.overrides)


def _measured_side(side: Variant, execution: Execution, environment: Mapping[str, Any]) -> Side:
    measured = execution.records.of_phase(Phase.MEASURED)
    known = facts_of(execution, environment)
    return Side(
        name=side.name,
        label=side.label,
        scenario=str(side.path),
        overrides=side.overrides,
        executor=execution.plan.scenario.executor,
        saturated_rps=execution.saturated_rps,
        checks=tuple(validity.checks_of(execution)),
        requests={name: int((measured.outcome == o).sum()) for o, name in ENDED.items()},
        startup_s=known.startup_s,
        effective=known.effective,
        memory=known.memory,
        context_switches=known.context_switches,
        cpu_wait_s=known.cpu_wait_s,
    )
