"""From a scenario file and what the command line sets over it to a Scenario, or to errors that say where and what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from harness.errors import ScenarioError
from harness.scenario.model import Scenario, stage_models
from harness.scenario.problems import KeyPath, dotted, validate

# Setting one of these over a file takes the other one out of it.
_ALTERNATIVES = {"rate": "utilisation", "utilisation": "rate", "requests": "duration", "duration": "requests"}


def load(path: str | Path, overrides: Sequence[str] = ()) -> Scenario:
    """Read a scenario file, set `overrides` ("key.path=value") over it, and validate the result.

    Raises ScenarioError, which lists every problem with its file, line and key path.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ScenarioError(f"cannot read the scenario: {reason}", where=str(path)) from None
    raw, lines = _parse(text, str(path))
    if not isinstance(raw, dict):
        raise ScenarioError("a scenario is a mapping of keys such as name, load and stages", where=str(path))
    for override in overrides:
        _set(raw, override)
    return validate(raw, str(path), lines, overridden=[o.partition("=")[0] for o in overrides])


def with_overrides(scenario: Scenario, overrides: Sequence[str]) -> Scenario:
    """A Scenario with "key.path=value" settings applied. Raises ScenarioError."""
    raw = yaml.safe_load(dump(scenario))
    for override in overrides:
        _set(raw, override)
    return validate(raw, scenario.name, {}, overridden=[o.partition("=")[0] for o in overrides])


def dump(scenario: Scenario) -> str:
    """The scenario as YAML, every key written out; `load` reads it back equal."""
    raw = scenario.model_dump(mode="json", by_alias=True, exclude_none=True)
    raw["stages"] = [{stage.pop("kind"): stage} for stage in raw["stages"]]
    return yaml.safe_dump(raw, sort_keys=False, width=100)


def schema() -> dict[str, Any]:
    """The JSON Schema of scenario files, for editors."""
    document = Scenario.model_json_schema(by_alias=True)
    definitions = document["$defs"]
    kinds = {}
    for kind, model in stage_models().items():
        definition = definitions[model.__name__]
        definition["properties"].pop("kind")
        definition["required"] = [k for k in definition.get("required", []) if k != "kind"]
        kinds[kind] = {"$ref": f"#/$defs/{model.__name__}"}
    document["properties"]["stages"]["items"] = {
        "type": "object",
        "properties": kinds,
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
    }
    document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return document


# ------------------------------------------------------------------ reading


def _parse(text: str, where: str) -> tuple[Any, dict[KeyPath, int]]:
    """YAML text to plain data, and the line on which each key path stands."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise ScenarioError(f"not YAML: {problem}", where=f"{where}:{mark.line + 1}" if mark else where) from None
    lines: dict[KeyPath, int] = {}
    for path, line in _walk(node, ()):
        if path in lines:
            raise ScenarioError(f"{dotted(path)} stands twice, first on line {lines[path]}", where=f"{where}:{line}")
        lines[path] = line
    return data, lines


def _walk(node: yaml.Node | None, path: KeyPath) -> Iterator[tuple[KeyPath, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*path, str(key.value)), key.start_mark.line + 1
            yield from _walk(value, (*path, str(key.value)))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*path, index), value.start_mark.line + 1
            yield from _walk(value, (*path, index))


# ------------------------------------------------------------------ overriding


def _set(raw: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    where = f"--set {override}"
    if not equals or not key:
        raise ScenarioError("expected KEY=VALUE, such as load.rate=20/s", where=where)
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ScenarioError("the value is not YAML", where=where) from None
    *parents, last = key.split(".")
    target: Any = raw
    for depth, part in enumerate(parents):
        target = _child(target, part, ".".join(parents[:depth]), where)
    if isinstance(target, list):
        raise ScenarioError("name a key of one stage, such as stages.inference.workers", where=where)
    if not isinstance(target, dict):
        raise ScenarioError(f"{'.'.join(parents)} holds no keys", where=where)
    if parents == ["load"] and last in _ALTERNATIVES:
        target.pop(_ALTERNATIVES[last], None)
    target[last] = value


def _child(target: Any, part: str, above: str, where: str) -> Any:
    if isinstance(target, dict):
        child = target.setdefault(part, {})
        return target.setdefault(part, {}) if child is not None else target.update({part: {}}) or target[part]
    if isinstance(target, list):
        names = {}
        for stage in target:
            if isinstance(stage, dict) and len(stage) == 1:
                ((kind, options),) = stage.items()
                options = stage[kind] = options if isinstance(options, dict) else {}
                names[options.get("name", "null" if kind is None else kind)] = options
        if part in names:
            return names[part]
        raise ScenarioError(f"there is no stage {part!r}; the stages are {', '.join(names)}", where=where)
    raise ScenarioError(f"{above} holds no keys", where=where)
