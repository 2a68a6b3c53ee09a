"""Ctrl-C at a known moment: when progress, as a call prints it to standard error, has come to some words."""

from __future__ import annotations

import contextlib
import io
import os
import signal
from collections.abc import Iterator


class _Interrupting(io.StringIO):
    def __init__(self, words: str, number: int) -> None:
        super().__init__()
        self._words, self._number = words, number

    def write(self, text: str) -> int:
        written = super().write(text)
        if self._number and self._words in self.getvalue():
            number, self._number = self._number, 0
            os.kill(os.getpid(), number)
        return written


@contextlib.contextmanager
def interrupted_at(words: str, number: int = signal.SIGINT) -> Iterator[None]:
    """Within, the first line on standard error that holds the words has this signal sent to the process."""
    with contextlib.redirect_stderr(_Interrupting(words, number)):
        yield
