"""Which of several is faster, by how much, and is that so?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.api.axes import Vary, axes_of
from harness.api.results import interrupted
from harness.api.runs import RESULTS, Run
from harness.api.scenarios import Overrides, ScenarioLike, scenario_file
from harness.api.shown import Shown
from harness.api.watching import watch_comparison
from harness.errors import UsageError
from harness.scenario import combinations, texts_of
from harness.store import SavedRun
from harness.studies.compare.document import ComparisonDocument, of_runs
from harness.studies.compare.equivalence import Tolerance
from harness.studies.compare.running import ComparisonResult, Question
from harness.studies.compare.sides import MOST_SIDES, common_stages, plan_side, prepare
from harness.studies.variants import Variant

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, repr=False)
class Comparison(Shown):
    """A comparison: `print` shows it, `result` has every figure.

    path: its folder; None where nothing was saved (of runs that were saved before, and where outputs differ).
    """

    result: ComparisonDocument
    path: Path | None = None

    def _show(self, console: Console) -> None:
        from harness.report.screens import compare as screen

        screen.show(console, self.result)


def compare(
    *what: ScenarioLike | Run,
    sides: Sequence[Overrides] | None = None,
    vary: Vary | None = None,
    overrides: Overrides | None = None,
    blocks: int | None = None,
    requests: int | None = None,
    margin: float = 0.05,
    confidence: float = 0.95,
    tolerance: Tolerance | None = None,
    images: int = 16,
    fail_if: Sequence[str] = (),
    force: bool = False,
    out: str | os.PathLike[str] = RESULTS,
    progress: bool | None = None,
) -> Comparison:
    """Compare one scenario with itself under different settings, several scenarios, or two saved runs.

        harness.compare("resnet18_cpu", vary={"stages.preprocess.backend": ["torchvision", "numba"]})
        harness.compare("resnet18_cpu", sides=[{}, {"stages.inference.workers": 2}])
        harness.compare("before.yaml", "after.yaml")
        harness.compare(harness.open_run("last~1"), harness.open_run("last"))

    Scenarios run in interleaved blocks, with the same arrivals and images, all pipelines open at once, and are saved
    under `out`; the first side is what the others are held against. overrides: for all sides. blocks, requests: into
    how many blocks it is cut, and how many requests a side measures in all. margin: a relative difference that matters.
    confidence: of all intervals together. tolerance, images: how far outputs may differ, and on how many images they
    are compared before anything is measured; outputs that differ by more end the comparison, and its status says so.
    fail_if: limits such as "e2e.p99 > +5%", judged in `result.gate`. force: compare saved runs also where they differ
    in what matters.

    Raises Interrupted (with what was measured until then), UsageError, and what ended a side's run.
    """
    runs = [one for one in what if isinstance(one, Run)]
    if runs:
        if len(runs) != 2 or len(what) != 2:
            raise UsageError("saved runs are compared two at a time, and not with scenarios", where="compare")
        a, b = (SavedRun(run.path) for run in runs)
        return Comparison(compare_saved(a, b, margin, confidence, fail_if, force=force))
    question = Question(margin, confidence, (), tolerance or Tolerance(), images)
    with ExitStack() as stack:
        paths = [stack.enter_context(scenario_file(one)) for one in what if not isinstance(one, Run)]
        planned = _sides(paths, texts_of(overrides), sides, vary)
        done = compare_scenarios(planned, blocks, requests, question, fail_if, Path(out), progress)
    saved = None if done.document.saved is None else Path(done.document.saved)
    found = Comparison(done.document, saved)
    if done.signal:
        raise interrupted(done.signal, found)
    if done.error is not None:
        done.error.saved = str(saved or "")
        raise done.error
    return found


def compare_scenarios(
    variants: Sequence[Variant],
    blocks: int | None,
    requests: int | None,
    question: Question,
    fail_if: Sequence[str],
    out: Path,
    progress: bool | None,
) -> ComparisonResult:
    """Measure and save the comparison of variants; `ComparisonResult` says how it ended. Raises UsageError."""
    from harness.studies.compare.gate import parse_limit
    from harness.studies.compare.running import compare as measure

    sides = prepare(variants, blocks=blocks, requests=requests)
    limits = [parse_limit(text, common_stages(sides)) for text in fail_if]
    with watch_comparison(sides, progress) as view:
        return measure(sides, replace(question, limits=limits), out, view.blocks, view.examining)


def compare_saved(
    a: SavedRun, b: SavedRun, margin: float, confidence: float, fail_if: Sequence[str], *, force: bool
) -> ComparisonDocument:
    """Compare two saved runs. Raises UsageError where they differ in what matters, unless `force`."""
    from harness.stats.metrics import default_metrics
    from harness.studies.compare import gate
    from harness.studies.compare.saved import compare_runs

    stages = [name for name in a.summary.stages if name in b.summary.stages]
    limits = [gate.parse_limit(text, stages) for text in fail_if]
    metrics = default_metrics(stages, (limit.metric for limit in limits))
    found = compare_runs(
        a, b, force=force, margin=margin, confidence=confidence, metrics=metrics, alone=gate.alone(limits)
    )
    return of_runs(a, b, found, [gate.judge(limit, found.comparison) for limit in limits])


def _sides(
    paths: Sequence[Path], common: Sequence[str], sides: Sequence[Overrides] | None, vary: Vary | None
) -> list[Variant]:
    """What is asked to be compared. Raises UsageError."""
    if len(paths) > 1:
        if sides is not None or vary:
            raise UsageError("sides and vary go with one scenario", where="compare", hint="overrides are for all.")
        return [plan_side(path, common, (), "--set", label=path.stem) for path in paths]
    if not paths or bool(sides) == bool(vary):
        raise UsageError(
            "expected one scenario with sides or vary, several scenarios, or two runs",
            where="compare",
            hint='Such as compare("resnet18_cpu", vary={"stages.inference.batch.max": [1, 4]}).',
        )
    each = [texts_of(side) for side in sides] if sides else combinations(axes_of(vary), MOST_SIDES, "sides")
    return [plan_side(paths[0], common, own, "--set") for own in each]
