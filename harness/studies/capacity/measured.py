"""The runs of a search: each executed on its executor and saved as any other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from harness.errors import ScenarioError
from harness.executors.progress import Observer
from harness.plan import Plan
from harness.studies.capacity.state import Measure, RunResult
from harness.studies.planning import with_line
from harness.studies.run.measure import measure

Watch = Callable[[Plan], AbstractContextManager[Observer]]
"""Makes the view of one run."""


def measuring(path: Path, overrides: Sequence[str], out: Path, watch: Watch) -> Measure:
    """What a search measures with. overrides: of all variants. The result raises SaveError."""
    text = path.read_text(encoding="utf-8")

    def run(plan: Plan, own: Sequence[str]) -> RunResult:
        every = (*overrides, *own)
        given = "".join(f"# --set {override}\n" for override in every) + text
        with watch(plan) as observe:
            done = measure(plan, given, out, observe)
        if done.save_error is not None:
            raise done.save_error
        execution, error = done.execution, done.error
        if isinstance(error, ScenarioError):
            error = with_line(error, path, every)
        stopped = execution.signal if execution.status == "interrupted" else 0
        saved = "" if done.saved is None else str(done.saved.path)
        return RunResult(execution.records, done.summary, saved, error, stopped)

    return run
