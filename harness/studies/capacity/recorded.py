"""A search whose answer so far is on disk after every run, so that nothing that ends it costs what it had found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, SaveError
from harness.interruption import held
from harness.store import new_folder, to_json
from harness.studies.capacity.configurations import Configuration
from harness.studies.capacity.result import conclude
from harness.studies.capacity.search import Candidate, Goal, Measure, State, Step, search
from harness.studies.sweep.folder import replace as replace_file

FILE = "capacity.json"
Observe = Callable[[State, Step | None], None]


@dataclass(frozen=True)
class Finding:
    """How a search ended. answer: see `answer.conclude`, with `saved`, its file; error: what ended it."""

    state: State
    answer: dict[str, Any]
    error: HarnessError | None = None


def find(configurations: Sequence[Configuration], goal: Goal, measure: Measure, out: Path, observe: Observe) -> Finding:
    """Search, and keep the answer in a folder of its own beside the runs. Never raises a HarnessError.

    A signal ends the search, during a run as well as between two.
    """
    file = _File(out / configurations[0].plan.scenario.name)
    state = State(goal, tuple(map(Candidate, configurations)))
    answer: dict[str, Any] = {}
    try:
        with held() as interruption:
            for state, step in search(configurations, goal, measure):
                observe(state, step)
                answer = file.write(conclude(state, outlook=step is None and not state.signal))
                received = interruption.take()
                if received and not state.signal:
                    return _stopped(state, file, received)
    except HarnessError as error:
        return Finding(state, answer or conclude(state, outlook=False), error)
    return Finding(state, answer, next((c.failed for c in state.candidates if state.status == "failed"), None))


def _stopped(state: State, file: _File, received: int) -> Finding:
    """Between two runs."""
    if state.status == "searching":
        state = replace(state, status="interrupted")
    state = replace(state, signal=received)
    answer = conclude(state, outlook=False)
    try:
        return Finding(state, file.write(answer))
    except SaveError as error:
        return Finding(state, answer, error)


class _File:
    """The answer's file; its folder is made with the first answer, and later ones replace that one whole."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._path: Path | None = None

    def write(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """Write; return the answer with its place. Raises SaveError."""
        if self._path is None:
            self._path = new_folder(self._home, lambda folder: None, what="the answer", prefix="capacity-") / FILE
        placed = {**answer, "saved": str(self._path)}
        replace_file(self._path, (to_json(placed) + "\n").encode())
        return placed
