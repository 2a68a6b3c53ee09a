"""A search whose result so far is on disk after every run, so that nothing that ends it costs what it had found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import HarnessError, SaveError
from harness.interruption import held
from harness.store import new_folder, to_json
from harness.studies.capacity.document import CAPACITY, CapacityResult
from harness.studies.capacity.result import conclude
from harness.studies.capacity.search import search
from harness.studies.capacity.state import Candidate, Goal, Measure, State, Step
from harness.studies.sweep.folder import replace as replace_file
from harness.studies.variants import Variant

FILE = "capacity.json"
Observe = Callable[[State, Step | None], None]


@dataclass(frozen=True)
class Finding:
    """How a search ended. error: what ended it, or why every variant failed."""

    state: State
    result: CapacityResult
    error: HarnessError | None = None


def load(folder: Path) -> CapacityResult:
    """The result of a saved search. Raises UsageError."""
    return CAPACITY.read(folder / FILE)


def find(variants: Sequence[Variant], goal: Goal, measure: Measure, out: Path, observe: Observe) -> Finding:
    """Search, and keep the result in a folder of its own beside the runs. Raises no HarnessError.

    A signal ends the search, during a run as well as between two.
    """
    file = _File(out / variants[0].plan.scenario.name)
    state = State(goal, tuple(map(Candidate.of, variants)))
    result: CapacityResult | None = None
    try:
        with held() as interruption:
            for state, step in search(variants, goal, measure):
                observe(state, step)
                result = file.write(conclude(state, outlook=step is None and not state.signal))
                received = interruption.take()
                if received and not state.signal:
                    return _stopped(state, file, received)
    except HarnessError as error:
        return Finding(state, result or conclude(state, outlook=False), error)
    failed = next((c.failed for c in state.candidates if state.status == "failed"), None)
    return Finding(state, result or conclude(state, outlook=False), failed)


def _stopped(state: State, file: _File, received: int) -> Finding:
    """The finding of a search that a signal ended between two runs."""
    if state.status == "searching":
        state = replace(state, status="interrupted")
    state = replace(state, signal=received)
    result = conclude(state, outlook=False)
    try:
        return Finding(state, file.write(result))
    except SaveError as error:
        return Finding(state, result, error)


class _File:
    """The file of the result. Its folder is made with the first result; later ones replace that one whole."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._path: Path | None = None

    def write(self, result: CapacityResult) -> CapacityResult:
        """Write; return the result with its place. Raises SaveError."""
        if self._path is None:
            self._path = new_folder(self._home, lambda folder: None, what="the result", prefix="capacity-") / FILE
        placed = result.model_copy(update={"saved": str(self._path)})
        replace_file(self._path, (to_json(placed.as_json()) + "\n").encode())
        return placed
