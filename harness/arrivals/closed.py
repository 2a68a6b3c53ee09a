"""The closed load: whoever waits for a completion offers the next request."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from harness.arrivals.base import AnyLoad
from harness.keys import MAX_CAPACITY


class Closed(AnyLoad):
    """A fixed number of requests in flight: the next is due when one completes."""

    arrivals: Literal["closed"] = "closed"
    concurrency: int = Field(default=1, ge=1, le=MAX_CAPACITY)
    """Requests in flight. 1 is the classic one-at-a-time benchmark."""
