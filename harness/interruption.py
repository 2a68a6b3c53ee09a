"""SIGINT, SIGTERM and SIGHUP are held back while a run could be lost, so that no signal, nor a second one, loses it.

Inside `held` a signal is recorded and the listener is called; nothing is raised. Outside it does what it did before.
In the `harness` command it ends the command, with 128 plus its number as the exit code.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal ended the command. `args[0]` is its number."""


class Interruption:
    """The signals that came while it was held, and who is told of the next ones."""

    def __init__(self) -> None:
        self._received: list[int] = []
        self._taken = False
        self._listeners: list[Callable[[], None]] = []

    def take(self) -> int:
        """The first signal that came, or 0. Whoever asks has to act on it: it does not take effect again."""
        self._taken = True
        return self._received[0] if self._received else 0

    @contextlib.contextmanager
    def listening(self, listener: Callable[[], None]) -> Iterator[None]:
        """Within, `listener` is called at every signal, between any two steps of the main thread; at once where one
        has come before."""
        self._listeners.append(listener)
        try:
            if self._received:
                listener()
            yield
        finally:
            self._listeners.remove(listener)

    def _note(self, number: int) -> None:
        self._received.append(number)
        self._taken = False
        for listener in list(self._listeners):
            listener()

    def _pass_on(self) -> None:
        if self._received and not self._taken:
            signal.raise_signal(self._received[0])


_current: Interruption | None = None
_inherited: ContextVar[Interruption | None] = ContextVar("_inherited", default=None)
"""For a thread to which the main thread gives a copy of its context while it waits for it."""
_before: dict[int, Any] = {}
"""What a signal does that is not held, by its number."""


@contextlib.contextmanager
def held() -> Iterator[Interruption]:
    """A context in which signals are recorded and do nothing else. A nested one is the same context.

    A signal that came and was not taken takes effect when the outermost context ends. A signal that is ignored stays
    ignored (nohup). Signals reach the main thread alone. In another thread nothing is held, but where it runs in a copy
    of the context of a main thread that waits for it inside `held`: there it hears of what that one holds.
    """
    global _current
    if threading.current_thread() is not threading.main_thread():
        yield _inherited.get() or Interruption()
        return
    if _current is not None:
        yield _current
        return
    for number in SIGNALS:
        handler = signal.getsignal(number)
        if handler not in (signal.SIG_IGN, _handle, None):
            _before[number] = handler
            signal.signal(number, _handle)
    interruption = Interruption()
    _inherited.set(interruption)
    _current = interruption  # one step: before it and behind it signals do what they did before
    try:
        yield interruption
    finally:
        _current = None
        _inherited.set(None)
        for number in SIGNALS:
            if signal.getsignal(number) is _handle:
                signal.signal(number, _before[number])
    interruption._pass_on()


def _handle(number: int, frame: FrameType | None) -> None:
    global _came
    if _current is not None:
        if _before[number] is _raise:
            _came = _came or number
        _current._note(number)
    elif callable(_before[number]):
        _before[number](number, frame)
    else:
        signal.signal(number, _before[number])
        signal.raise_signal(number)


# ------------------------------------------------------------------ what the `harness` command sets

_came = 0
_raised = False


def raise_on_signals() -> None:
    """From now on the first signal raises Interrupted, and a second one ends the process at once."""
    _set(_raise)


def quit_on_signals() -> None:
    """From now on a signal ends the process at once, with its exit code and without a word."""
    _set(_quit)


def ignore_signals() -> None:
    """From now on signals do nothing: for the last steps of the interpreter, which would have them end the process as
    they do without any handler, and not with its exit code."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def came() -> int:
    """The first signal that came to the `harness` command, whether it was noted or raised; or 0."""
    return _came


def raised() -> bool:
    """Whether one was raised as Interrupted."""
    return _raised


def exit_code(number: int = 0) -> int:
    """The exit code of a command that a signal ended: 128 plus the number, by default that of the first signal."""
    return 128 + (number or _came or signal.SIGINT)


def _set(handler: Callable[[int, FrameType | None], None]) -> None:
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def _raise(number: int, frame: FrameType | None) -> None:
    global _came, _raised
    _came, _raised = _came or number, True
    _set(_quit)
    raise Interrupted(number)


def _quit(number: int, frame: FrameType | None) -> None:
    os._exit(exit_code(number))
