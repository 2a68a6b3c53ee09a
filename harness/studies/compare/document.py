"""The document of a comparison: what is saved, printed as JSON, and shown on every medium."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from harness.documents import Document, Kind, Number, key
from harness.stats.comparison import Comparison, Effect
from harness.store import SavedRun
from harness.studies.compare.equivalence import Equivalence
from harness.studies.compare.findings import read
from harness.studies.compare.gate import Judgement, Limit, Outcome
from harness.studies.compare.saved import Difference, SavedComparison
from harness.summary import Check
from harness.summary.facts import ContextSwitches, Effective, HostActivity, Memory

Status = Literal["completed", "failed", "interrupted", "not the same"]


class Side(Document):
    """One side: a variant of a scenario that was measured here, or a saved run."""

    name: str
    """A letter."""
    label: str
    """What tells it from the others; the folder of a saved run."""
    scenario: str | None = None
    """The scenario's file, as given."""
    overrides: Annotated[tuple[str, ...], key("settings")] = ()
    """What was set over it."""
    run: str | None = None
    """The folder of a saved run."""
    executor: str | None = None
    """The executor of the scenario."""
    saturated_rps: Annotated[Number, key("capacity_rps")] = None
    """Requests a second that the saturated pipeline completed; None without a utilisation to find it for."""
    checks: tuple[Check, ...] = ()
    """May its figures be believed?"""
    requests: Mapping[str, int] = {}
    """Measured requests by how they ended: completed, failed, dropped, aborted."""
    startup_s: Mapping[str, Mapping[str, float]] = {}
    """The parts of a worker's start, in seconds, by stage: the slowest worker's."""
    effective: Mapping[str, Effective] = {}
    """What each worker read back of itself, by its name."""
    memory: Memory | None = None
    """Memory by worker, MB."""
    context_switches: Mapping[str, ContextSwitches] = {}
    """Context switches by worker."""
    cpu_wait_s: Mapping[str, float] = {}
    """Seconds for which a worker was ready to run and had no core, by its name."""


class Load(Document):
    """The load on all sides."""

    arrivals: str
    """The kind of load."""
    offered_rps: Number
    """Requests a second; None for a closed load."""
    utilisation_of_a: Number
    """The same as a fraction of what side a carries, where the scenario gives it so."""
    concurrency: int | None
    """Requests in flight of a closed load."""
    seed: int


class BlockCounts(Document):
    """How the load is cut into blocks."""

    planned: Annotated[int, key("asked")]
    """Blocks of a side."""
    complete: int
    """Blocks that every side has ended."""
    requests: int
    """Measured requests in a block of one side."""
    warmup: int
    """Requests before these, in each block."""


class Turn(Document):
    """One block of one side. Times in ns of the monotonic clock."""

    block: int
    side: str
    begun_ns: int
    ended_ns: int


class Pair(Document):
    """Side b compared with side a. All metrics of all pairs are corrected together."""

    a: str
    b: str
    effects: tuple[Effect, ...]
    """One a metric."""
    blocks: int
    """Blocks that were compared."""
    requests: tuple[int, int]
    """Completed requests of a and of b."""
    confidence: float
    """Of all intervals together."""
    margin: float
    """The relative difference that matters."""
    paired: bool
    """Whether blocks with the same arrivals were held against each other."""
    notes: tuple[str, ...] = ()
    """What limits the comparison, such as failed requests."""


class GateResult(Document):
    """One limit of `--fail-if` on one side."""

    side: str
    limit: Limit
    outcome: Outcome
    estimate: Number
    """In the terms of the limit."""
    interval: tuple[float, float] | None
    """Of the estimate."""
    message: str
    failed: bool
    """Whether it makes the command end with exit code 3."""


class ComparisonDocument(Document):
    """A comparison. Variants measured here have load, blocks, turns and environment; saved runs have differences."""

    schema_version: int
    kind: Literal["comparison", "runs"]
    """Variants measured in turns, or two saved runs."""
    name: str
    """Of the scenario."""
    status: Status
    """`not the same`: nothing was measured, as outputs differ by more than the tolerance."""
    error: str | None
    """What went wrong."""
    sides: tuple[Side, ...]
    """In order; the first is what the others are compared with."""
    equivalence: Annotated[Equivalence | None, key("sameness")] = None
    """The outputs of the sides on the same images."""
    comparisons: tuple[Pair, ...]
    """One for each further side; none when nothing was measured."""
    findings: Annotated[tuple[str, ...], key("reading")]
    """What they say, in sentences."""
    gate: tuple[GateResult, ...]
    """The limits of `--fail-if`."""
    differences: tuple[Difference, ...] = ()
    """In what saved runs differ besides."""
    caveats: tuple[str, ...] = ()
    """What to keep in mind about saved runs."""
    started_at: str = ""
    """ISO 8601."""
    load: Load | None = None
    blocks: BlockCounts | None = None
    order: tuple[str, ...] = ()
    """The sides' letters in the order of their turns, one text a block."""
    turns: tuple[Turn, ...] = ()
    """All turns, in order."""
    environment: Mapping[str, object] = {}
    """The machine and the software."""
    during: HostActivity | None = None
    """What happened on the machine during the comparison."""
    saved: str | None = None
    """Its folder; not in the file."""

    def as_json(self) -> dict[str, Any]:
        """Plain data under the keys of JSON, without those that were never set: a run has no turns."""
        return self.model_dump(by_alias=True, exclude_unset=True)


COMPARISON = Kind("a saved comparison", ComparisonDocument)


def pairs_of(sides: Sequence[str], comparisons: Sequence[Comparison]) -> tuple[Pair, ...]:
    """Comparisons of further sides with the first. sides: names."""
    first, *others = sides
    return tuple(Pair(a=first, b=other, **vars(found)) for other, found in zip(others, comparisons, strict=False))


def findings_of(pairs: Sequence[Pair], called: Mapping[str, str]) -> tuple[str, ...]:
    """What the pairs say. called: what people call each side, by name."""
    return tuple(
        sentence for pair in pairs for sentence in read(pair.effects, pair.margin, called[pair.a], called[pair.b])
    )


def gate_of(side: str, judgements: Sequence[Judgement]) -> tuple[GateResult, ...]:
    """What came of the limits on one side."""
    return tuple(GateResult(side=side, failed=judgement.failed, **vars(judgement)) for judgement in judgements)


def of_runs(a: SavedRun, b: SavedRun, found: SavedComparison, judgements: Sequence[Judgement]) -> ComparisonDocument:
    """Run b compared with run a."""
    folders: dict[str, Path] = {"a": a.path, "b": b.path}
    pairs = pairs_of(list(folders), [found.comparison])
    return ComparisonDocument(
        schema_version=COMPARISON.version,
        kind="runs",
        name=a.summary.name,
        status="completed",
        error=None,
        sides=tuple(Side(name=name, label=path.name, run=str(path)) for name, path in folders.items()),
        differences=found.differences,
        caveats=found.caveats,
        comparisons=pairs,
        findings=findings_of(pairs, {name: name for name in folders}),
        gate=gate_of("b", judgements),
    )
