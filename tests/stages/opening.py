"""Opens stages as a worker would, in the tests' own process."""

from __future__ import annotations

from typing import Any

from harness.stages import Stage, build
from tests.pipelines import plan

CLOSED = {"arrivals": "closed", "requests": 1}


def opened(*kinds: dict[str, Any], source: dict[str, Any] | None = None) -> Stage:
    """The last of these stages, opened."""
    planned = plan(*kinds, load=CLOSED, **({"source": source} if source else {}))
    stage = build(planned.context(planned.stages[-1]))
    stage.open()
    return stage
