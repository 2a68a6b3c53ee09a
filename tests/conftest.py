"""What holds for every test."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
USUAL = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}

for number, handler in USUAL.items():  # a shell has background jobs ignore some, and whatever they start inherits that
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def signals_mean_what_they_meant() -> Iterator[None]:
    """A command called in this process must not leave a handler behind: it would end all tests without a word."""
    before = [signal.getsignal(number) for number in HANDLED]
    yield
    assert [signal.getsignal(number) for number in HANDLED] == before
