"""What calls return, and what they raise when they are interrupted."""

from __future__ import annotations

import signal
from typing import Any


class Interrupted(KeyboardInterrupt):
    """The call was interrupted by a signal: Ctrl-C, a notebook's stop button, SIGTERM.

    result: what had been measured until then, and is saved: a Run, a Comparison, a Sweep or a Search; None where
    nothing could be saved. signal: the number of the signal.

    It is a KeyboardInterrupt, so that nothing that catches Exception goes on with half of a result.
    """

    def __init__(self, number: int, result: Any = None) -> None:
        super().__init__(number)
        self.signal = number
        self.result = result

    def __str__(self) -> str:
        name = signal.Signals(self.signal).name
        return f"{name}; what was measured until then is saved: {self.result!r}" if self.result is not None else name


def interrupted(number: int, result: Any) -> Interrupted:
    """What to raise when a signal was noted while `result` was measured; one that ends the process does so here."""
    if number != signal.SIGINT:
        signal.raise_signal(number)
    return Interrupted(number, result)
