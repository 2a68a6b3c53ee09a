"""`--set KEY=VALUE`: settings over a scenario file."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import yaml

from harness.errors import ScenarioError
from harness.registry import ARRIVALS
from harness.scenario.reading import KeyPath, unfold

# A setting of one of these takes the other one out of the file.
_ALTERNATIVES = {"rate": "utilisation", "utilisation": "rate", "requests": "duration", "duration": "requests"}


@dataclass(frozen=True)
class Override:
    """One setting: `load.rate=20/s`."""

    text: str
    path: tuple[str, ...]
    value: Any

    @property
    def where(self) -> str:
        """As the user typed it."""
        return f"--set {self.text}"

    @classmethod
    def parse(cls, text: str) -> Override:
        """Raises ScenarioError."""
        key, equals, value = text.partition("=")
        path = tuple(part.strip() for part in key.split("."))
        if not equals or not all(path):
            raise ScenarioError("expected KEY=VALUE, such as load.rate=20/s", where=f"--set {text}")
        try:
            return cls(text, path, yaml.safe_load(value))
        except (yaml.YAMLError, ValueError, RecursionError):
            raise ScenarioError("the value is not YAML", where=f"--set {text}") from None


def texts_of(overrides: Mapping[str, Any] | Sequence[str] | None) -> tuple[str, ...]:
    """Overrides as `--set` takes them: of a mapping such as {"load.rate": "20/s"}, or such texts as they are.

    A value is None, a bool, a number, a text, a path, or a list or mapping of these. Raises ScenarioError.
    """
    if isinstance(overrides, str):
        raise ScenarioError("a text, where a list of KEY=VALUE or a mapping is expected", where=overrides)
    if not isinstance(overrides, Mapping):
        return tuple(overrides or ())
    return tuple(f"{key}={_written(key, value)}" for key, value in overrides.items())


def _written(key: str, value: Any) -> str:
    """A value as YAML, on one line, which `Override.parse` reads back equal. Raises ScenarioError."""
    options: dict[str, Any] = {"default_flow_style": True, "width": math.inf}
    try:
        text = str(yaml.safe_dump(plain(value), allow_unicode=True, **options)).removesuffix("\n").removesuffix("\n...")
        if text.isprintable():
            return text
        return str(yaml.safe_dump(plain(value), default_style='"', **options)).removesuffix("\n")  # breaks as \\n
    except yaml.YAMLError:
        kind = type(value).__name__
        raise ScenarioError(
            f"a {kind} cannot stand in a scenario", where=key, hint="Numbers, texts, lists and mappings can."
        ) from None


def plain(value: Any) -> Any:
    """A value of Python as YAML would have read it: paths as texts, tuples as lists, NumPy's scalars as numbers."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, PurePath):
        return str(value)
    return value.item() if hasattr(value, "item") and not getattr(value, "shape", None) else value


def apply(raw: dict[str, Any], overrides: Sequence[Override]) -> None:
    """Set every override in `raw`, in order. Raises ScenarioError when the key path does not exist.

    What the file says instead goes: rate for utilisation, requests for duration, and with `load.arrivals` every key
    that the new kind of load does not have. What another override says stays, and may then contradict.
    """
    for override in overrides:
        _make_way(raw, override)
    for override in overrides:
        *parents, last = override.path
        target: Any = raw
        for depth, part in enumerate(parents):
            target = _child(target, part, override.path[:depth], override.where)
        if isinstance(target, list):
            raise ScenarioError("name a key of one stage, such as stages.inference.workers", where=override.where)
        if not isinstance(target, dict):
            raise ScenarioError(f"{'.'.join(parents)} holds no keys", where=override.where)
        target[last] = override.value


def _make_way(raw: dict[str, Any], override: Override) -> None:
    load = raw.get("load")
    if not isinstance(load, dict) or len(override.path) != 2 or override.path[0] != "load":
        return
    key = override.path[1]
    load.pop(_ALTERNATIVES.get(key), None)
    kinds = ARRIVALS.kinds
    if key == "arrivals" and override.value in kinds:
        known = kinds[override.value].model_fields
        every = {name for kind in kinds.values() for name in kind.model_fields}
        for other in (every & load.keys()) - known.keys():
            del load[other]


def _child(target: Any, part: str, above: KeyPath, where: str) -> Any:
    if isinstance(target, dict):
        if target.get(part) is None:
            target[part] = {}
        return target[part]
    if isinstance(target, list):
        stages = {}
        for index, stage in enumerate(target):
            kind, options = unfold(stage)
            options = options if isinstance(options, dict) else {}
            target[index] = {kind: options}
            stages[str(options.get("name") or kind)] = options
        if part in stages:
            return stages[part]
        near = difflib.get_close_matches(part, stages, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ScenarioError(f"there is no stage {part!r}{hint}; the stages are {', '.join(stages)}", where=where)
    raise ScenarioError(f"{'.'.join(map(str, above))} holds no keys", where=where)
