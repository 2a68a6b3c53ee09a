"""Validation, and its errors in the user's words: the line, the key path, what was expected there, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from harness.errors import ScenarioError
from harness.scenario.model import Scenario, load_models, stage_models

KeyPath = tuple[str | int, ...]

_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "model_type": "a mapping of keys",
    "model_attributes_type": "a mapping of keys",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "string_pattern_mismatch": "a name of letters, digits, and _",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
}


def validate(raw: dict[str, Any], where: str, lines: dict[KeyPath, int], overridden: Sequence[str]) -> Scenario:
    flat = dict(raw)
    problems: list[tuple[KeyPath, str]] = []
    if isinstance(raw.get("stages"), list):
        flat["stages"] = [_unfold(s, ("stages", i), problems) for i, s in enumerate(raw["stages"])]
    if not problems:
        try:
            return Scenario.model_validate(flat)
        except ValidationError as error:
            problems = [_problem(e, flat) for e in error.errors()]
    rows = []
    for path, message in problems:
        shown = _shown(path, flat)
        key = dotted(shown)
        origin = "--set" if key in overridden else f"line {line}" if (line := _line(shown, path, lines)) else ""
        rows.append(": ".join(part for part in (origin, key, message) if part))
    count = "1 problem" if len(rows) == 1 else f"{len(rows)} problems"
    raise ScenarioError(f"{count}\n" + "\n".join(f"  {row}" for row in rows), where=where)


def _unfold(stage: Any, path: KeyPath, problems: list[tuple[KeyPath, str]]) -> Any:
    """{preprocess: {...}} -> {kind: preprocess, ...}."""
    kinds = list(stage_models())
    if isinstance(stage, str):
        stage = {stage: None}
    if not isinstance(stage, dict) or len(stage) != 1:
        problems.append((path, f"expected one stage, a mapping with one key: {', '.join(kinds)}"))
        return stage
    ((kind, options),) = stage.items()
    kind = "null" if kind is None else kind  # a bare null is a key of its own in YAML
    if kind not in kinds:
        problems.append(
            ((*path, str(kind)), f"unknown stage{_nearest(str(kind), kinds)}; the kinds are {', '.join(kinds)}")
        )
        return stage
    if options is not None and not isinstance(options, dict):
        problems.append(((*path, kind), f"expected a mapping of the options of {kind}, got {options!r}"))
        return stage
    return {"kind": kind, **(options or {})}


def _problem(error: Any, flat: dict[str, Any]) -> tuple[KeyPath, str]:
    """pydantic's error in our words: the key path as the user wrote it, and what was expected there."""
    path = _written(error["loc"], flat)
    kind, context, got = error["type"], error.get("ctx", {}), error["input"]
    if kind == "extra_forbidden":
        allowed = _keys_at(path[:-1], flat)
        key = str(path[-1])
        return path, f"unknown key{_nearest(key, allowed)}; the keys here are {', '.join(allowed)}"
    if kind == "missing":
        return path, "is needed"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tag = context["discriminator"].strip("'")
        allowed = (
            [t.strip("' ") for t in context.get("expected_tags", "").split(",")]
            if "expected_tags" in context
            else list(load_models())
        )
        value = got.get(tag) if isinstance(got, dict) else got
        given = f", got {value!r}{_nearest(str(value), allowed)}" if value is not None else ""
        return (*path, tag), f"expected one of {', '.join(allowed)}{given}"
    if kind == "literal_error":
        allowed = [a.strip("' ") for a in context["expected"].replace(" or ", ", ").split(",")]
        return path, f"expected one of {', '.join(allowed)}, got {got!r}{_nearest(str(got), allowed)}"
    if kind == "value_error":
        message = str(context["error"])
        return path, f"expected {message}, got {got!r}" if message.startswith("a ") and "unit" in message else message
    expected = _EXPECTED.get(kind, "").format(**context) or error["msg"].removeprefix("Input should be ")
    return path, f"expected {expected}, got {'nothing' if got is None else repr(got)}"


def _written(loc: KeyPath, flat: dict[str, Any]) -> KeyPath:
    """pydantic's location without the tags of unions, which stand in no file."""
    path: list[str | int] = []
    data: Any = flat
    for index, part in enumerate(loc):
        inside = (
            isinstance(data, dict)
            and part in data
            or isinstance(data, list)
            and isinstance(part, int)
            and part < len(data)
        )
        if inside:
            data = data[part]  # type: ignore[index]
            path.append(part)
        elif index == len(loc) - 1 and not (isinstance(data, dict) and part in data.values()):
            path.append(part)
    return tuple(path)


def _shown(path: KeyPath, flat: dict[str, Any]) -> KeyPath:
    """stages.0.workers -> stages.inference.workers, as `--set` takes it."""
    if len(path) >= 2 and path[0] == "stages" and isinstance(path[1], int):
        stage = flat["stages"][path[1]]
        if isinstance(stage, dict) and "kind" in stage:
            return ("stages", stage.get("name") or stage["kind"], *path[2:])
    return path


def _line(shown: KeyPath, path: KeyPath, lines: dict[KeyPath, int]) -> int | None:
    """The line of the key itself, else of the nearest thing around it."""
    full = list(path)
    if len(path) >= 2 and path[0] == "stages" and isinstance(path[1], int):
        kinds = [p[2] for p in lines if len(p) == 3 and p[:2] == path[:2]]
        if kinds and path[2:3] != tuple(kinds[:1]):
            full = [*path[:2], kinds[0], *path[2:]]
    while full:
        if tuple(full) in lines:
            return lines[tuple(full)]
        full.pop()
    return None


def _keys_at(path: KeyPath, flat: dict[str, Any]) -> list[str]:
    """The keys that the model at `path` knows."""
    model: Any = Scenario
    data: Any = flat
    for part in path:
        data = data[part]  # type: ignore[index]
        if part == "load":
            model = load_models()[data["arrivals"]]
        elif isinstance(part, int):
            model = stage_models()[data["kind"]]
        elif part != "stages":
            field = next(f for n, f in model.model_fields.items() if part in (n, f.alias))
            model = next(
                m for m in (field.annotation, *getattr(field.annotation, "__args__", ())) if hasattr(m, "model_fields")
            )
    return [f.alias or n for n, f in model.model_fields.items() if n != "kind"]


def _nearest(word: str, allowed: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, allowed, n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""


def dotted(path: KeyPath) -> str:
    return ".".join(str(p) for p in path)
