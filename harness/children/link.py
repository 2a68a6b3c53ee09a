"""The child's side: its instructions and its lifeline on standard input, and a line to the supervisor.

The supervisor keeps the other end of standard input open for as long as it lives. When that ends, so does the child.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import threading
import traceback
from collections.abc import Iterator
from typing import Any

from harness import clock
from harness.errors import HarnessError
from harness.lifeline import receive

LONGEST_TEXT = 1 << 16


def clipped(text: str) -> str:
    """A text that a supervisor can take at once, such as a traceback of a message that holds a whole array."""
    left_out = len(text) - LONGEST_TEXT
    half = LONGEST_TEXT // 2
    return text if left_out <= 0 else f"{text[:half]}\n[... {left_out:,} characters ...]\n{text[-half:]}"


class SupervisorLink:
    """The child's side: commands come in, events go out."""

    def __init__(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's to handle
        self.instructions = receive()
        self.commands: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._events_fd: int = self.instructions.events_fd
        threading.Thread(target=self._listen, daemon=True).start()
        clock.sharpen_timers()

    def _listen(self) -> None:
        while True:
            self.commands.put(receive())

    def tell(self, event: str, **details: Any) -> None:
        """Send one event, a line of JSON. Of a long text it holds the head and the tail."""
        said = {key: clipped(value) if isinstance(value, str) else value for key, value in details.items()}
        data = memoryview((json.dumps({"event": event, **said}) + "\n").encode())
        while data:
            data = data[os.write(self._events_fd, data) :]

    @contextlib.contextmanager
    def reporting_errors(self) -> Iterator[None]:
        """Whatever is raised within reaches the supervisor; then this process ends."""
        try:
            yield
        except HarnessError as error:
            said = {"what": error.what, "where": error.where, "hint": error.hint, "details": error.details}
            self.tell("refused", exit_code=error.exit_code, **said)
            raise SystemExit(1) from None
        except BaseException as error:
            self.tell("crashed", error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())
            raise SystemExit(1) from None
