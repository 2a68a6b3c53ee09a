"""A scenario's text as plain data, with the line number of each key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from harness.errors import ScenarioError
from harness.expected import dotted
from harness.registry import STAGES

KeyPath = tuple[str | int, ...]

SUFFIX = ".yaml"
MOST_NODES = 100_000  # a few aliases of aliases can stand for billions of them


@dataclass
class Document:
    """What a file holds. where: its name. raw: what is set over it changes it. lines: of each key path and entry."""

    where: str
    raw: dict[str, Any]
    lines: dict[KeyPath, int]

    def line(self, path: KeyPath) -> int | None:
        """The line of a key path as users write it (stages.inference.workers), else of the nearest thing around it."""
        full = self._indexed(path)
        while full:
            if full in self.lines:
                return self.lines[full]
            full = full[:-1]
        return None

    def holds(self, path: KeyPath) -> bool:
        """Whether the file itself has the key."""
        return self._indexed(path) in self.lines

    def _indexed(self, path: KeyPath) -> KeyPath:
        """stages.inference.workers or stages.1.workers -> stages.1.inference.workers, as it stands in the file."""
        stages = self.raw.get("stages")
        if path[:1] != ("stages",) or len(path) < 2 or not isinstance(stages, list):
            return path
        for index, stage in enumerate(stages):
            kind, options = unfold(stage)
            named = options.get("name") if isinstance(options, dict) else None
            if path[1] in (index, named or kind):
                rest = path[3:] if path[2:3] == (kind,) else path[2:]
                return ("stages", index, *((kind, *rest) if rest else ()))
        return path


def unfold(stage: Any) -> tuple[Any, Any]:
    """{kind: options} -> (kind, options). A kind may stand alone, or with a word for its options (preprocess: auto).

    An unquoted null is a key of its own in YAML.
    """
    kind, options = next(iter(stage.items())) if isinstance(stage, dict) and len(stage) == 1 else (stage, None)
    kind = "null" if kind is None else kind
    words = STAGES.kinds[kind].words if isinstance(kind, str) and kind in STAGES.kinds else {}
    return kind, dict(words[options]) if isinstance(options, str) and options in words else options


def parse(text: str, where: str) -> Document:
    """Read YAML. Raises ScenarioError when it is none, when a key stands twice, or when it is no mapping."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines = _lines(node, where)
        raw = _unshared(yaml.safe_load(text))
    except RecursionError:
        raise ScenarioError("not a scenario: it is nested too deeply", where=where) from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: 2024-99-99, which looks like a date
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        raise ScenarioError(f"not YAML: {problem}", where=f"{where}:{mark.line + 1}" if mark else where) from None
    if not isinstance(raw, dict):
        raise ScenarioError("a scenario is a mapping of keys such as name, load and stages", where=where)
    return Document(where, raw, lines)


def _unshared(data: Any) -> Any:
    """What an alias stands for, as a copy of its own: a setting in one place is one in that place only."""
    if isinstance(data, dict):
        return {key: _unshared(value) for key, value in data.items()}
    return [_unshared(value) for value in data] if isinstance(data, list) else data


def _lines(node: yaml.Node | None, where: str) -> dict[KeyPath, int]:
    lines: dict[KeyPath, int] = {}
    for path, line in _walk(node, (), ()):
        if path in lines:
            raise ScenarioError(f"{dotted(path)} stands twice, first on line {lines[path]}", where=f"{where}:{line}")
        if len(lines) == MOST_NODES:
            raise ScenarioError(f"it has more than {MOST_NODES:,} entries", where=where)
        lines[path] = line
    return lines


def _walk(node: yaml.Node | None, path: KeyPath, above: tuple[yaml.Node, ...]) -> Iterator[tuple[KeyPath, int]]:
    if node in above:
        raise yaml.MarkedYAMLError(problem="an alias of what it stands in", problem_mark=node.start_mark)
    above = (*above, node) if node is not None else above
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*path, str(key.value)), key.start_mark.line + 1
            yield from _walk(value, (*path, str(key.value)), above)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*path, index), value.start_mark.line + 1
            yield from _walk(value, (*path, index), above)
