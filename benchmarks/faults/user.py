"""A user without rights, of this benchmark's own: its pipes and processes are counted, and nobody else's with them."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

USER = 20_000 + os.getpid() % 40_000
HOME = "home"
SETPRIV = (
    *("setpriv", "--reuid", f"{USER}", "--regid", f"{USER}", "--clear-groups"),
    *("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"),
    *("--bounding-set", "-sys_admin,-sys_resource"),
)
"""Run a command as this user, who can still read the checkout and Python wherever they lie."""
AS_USER = (*SETPRIV, "env", f"HOME={{place}}/../{HOME}")
"""With a home, for compiled code that is kept there."""
_turn = threading.Lock()


@contextlib.contextmanager
def alone(place: Path) -> Iterator[None]:
    """One round at a time is the user's, who owns its folder and the home beside it."""
    with _turn:
        (place.parent / HOME).mkdir(exist_ok=True)
        for path in (place.parent / HOME, place, *place.rglob("*")):
            os.chown(path, USER, USER)
        yield
