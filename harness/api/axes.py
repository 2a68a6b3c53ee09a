"""What may be given as keys to vary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from harness.scenario import Axis, parse_axes

Vary: TypeAlias = Mapping[str, Sequence[Any]] | Sequence[str]
"""Keys and the values that each takes in turn: {"stages.inference.batch.max": [1, 2, 4]}, or texts as `--vary` takes
them: ["stages.inference.batch.max=1,2,4", "load.rate=10..50/10/s"]. Several make all combinations."""


def axes_of(vary: Vary | None) -> tuple[Axis, ...]:
    """The axes. Raises UsageError."""
    if isinstance(vary, Mapping):
        return tuple(Axis.of(key, [values] if isinstance(values, str) else values) for key, values in vary.items())
    return parse_axes([vary] if isinstance(vary, str) else vary or ())
