"""Validation, with errors in the user's terms: the line, the key path, what was expected, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from harness.errors import ScenarioError
from harness.expected import dotted, expected, show
from harness.keys import FACTORY, NAME, STAGE_NAME, Keys, mapping_of
from harness.registry import ARRIVALS, STAGES
from harness.scenario.model import Scenario
from harness.scenario.overriding import Override
from harness.scenario.reading import Document, KeyPath, unfold

MOST_SHOWN = 6  # problems; with long lists of keys they still fit a screen
_PATTERNS = {
    NAME: "letters, digits and _ . - (the first one a letter or digit)",
    STAGE_NAME: "lower-case letters, digits and _ (the first one a letter)",
    FACTORY: "the form package.module:function",
}

Problem = tuple[KeyPath, str]


def validate(document: Document, overrides: Sequence[Override] = ()) -> Scenario:
    """The Scenario that a document holds. Raises ScenarioError, which lists every problem with its line or override."""
    flat = dict(document.raw)
    problems: list[Problem] = []
    if isinstance(flat.get("stages"), list):
        flat["stages"] = [_flat(stage, ("stages", i), problems) for i, stage in enumerate(flat["stages"])]
        problems += _same_names(flat["stages"])
    if not problems:
        try:
            return Scenario.model_validate(flat)
        except ValidationError as error:
            problems = [_problem(e, flat) for e in error.errors()]
            # One bad stage makes pydantic count the list as too short, besides.
            inner = [path for path, _ in problems if path[:1] == ("stages",) and len(path) > 1]
            problems = [p for p in problems if not (inner and p[0] == ("stages",))]
    raise _error([(_shown(path, flat), message) for path, message in problems], document, overrides)


def located(error: ScenarioError, document: Document, overrides: Sequence[str] = ()) -> ScenarioError:
    """An error that names a key path of this document, with the file and the line, or the override, put before it."""
    settings = [Override.parse(text) for text in overrides]
    parts = [part for part in error.where.split(": ") if part and part != document.raw.get("name")]
    for part in parts:
        path: KeyPath = tuple(part.split("."))
        origin = _origin(path, document, settings)
        if origin:
            return ScenarioError(error.what, where=": ".join([origin, *parts]), hint=error.hint)
    return error


def _error(problems: Sequence[Problem], document: Document, overrides: Sequence[Override]) -> ScenarioError:
    rows = []
    for path, message in sorted(problems, key=lambda problem: document.line(problem[0]) or 0):
        origin = _origin(path, document, overrides) or document.where
        rows.append((origin, f"{dotted(path)}: {message}" if path else message))
    if len(rows) == 1:
        ((origin, text),) = rows
        return ScenarioError(text, where=origin)
    short = [(o.replace(f"{document.where}:", "line ", 1) if o != document.where else "", t) for o, t in rows]
    lines = [": ".join(part for part in row if part) for row in short[:MOST_SHOWN]]
    if len(rows) > MOST_SHOWN:
        lines.append(f"and {len(rows) - MOST_SHOWN} more")
    return ScenarioError("\n".join([f"{len(rows)} problems", *(f"  {line}" for line in lines)]), where=document.where)


def _origin(path: KeyPath, document: Document, overrides: Sequence[Override]) -> str:
    """The override that set the key at `path`, else the file and its line; empty when it stands in neither."""
    for override in reversed(overrides):
        if path[: len(override.path)] == override.path:
            return override.where
    below = [override for override in overrides if override.path[: len(path)] == path]
    if below and not document.holds(path):
        return below[-1].where
    line = document.line(path)
    return f"{document.where}:{line}" if line else ""


def _flat(stage: Any, path: KeyPath, problems: list[Problem]) -> Any:
    """{preprocess: {...}} -> {kind: preprocess, ...}."""
    kinds = list(STAGES.kinds)
    if (isinstance(stage, dict) and len(stage) != 1) or not isinstance(stage, dict | str | None):
        problems.append((path, f"expected one stage, a mapping with one key: {', '.join(kinds)}"))
        return stage
    kind, options = unfold(stage)
    if kind not in kinds:
        message = STAGES.problem(kind) or f"unknown stage{_nearest(str(kind), kinds)}; the kinds are {', '.join(kinds)}"
        problems.append(((*path, str(kind)), message))
        return stage
    if options is not None and not isinstance(options, dict):
        problems.append(((*path, kind), f"expected a mapping of the options of {kind}, got {show(options)}"))
        return stage
    return {"kind": kind, **{key: value for key, value in (options or {}).items() if key != "kind"}}


def _same_names(stages: Sequence[Any]) -> list[Problem]:
    names = [(s.get("name") or s["kind"]) if isinstance(s, dict) and "kind" in s else None for s in stages]
    return [
        (("stages", i), f"two stages are called {name!r}: give one of them a name of its own")
        for i, name in enumerate(names)
        if name is not None and name in names[:i]
    ]


def _problem(error: Mapping[str, Any], flat: dict[str, Any]) -> Problem:
    """pydantic's error in our words: the key path as the user wrote it, and what was expected there."""
    path = _written(error["loc"], flat)
    kind, context, given = error["type"], error.get("ctx", {}), error["input"]
    if kind == "extra_forbidden":
        return path, _unknown(path, flat)
    if kind == "missing" and isinstance(error["loc"][-1], int):
        return path, f"expected {error['loc'][-1] + 1} numbers, got {show(list(given))}"
    if kind == "missing":
        return path, f"is needed{_meaning(path, flat)}"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        key = context["discriminator"].strip("'")
        value = given.get(key) if isinstance(given, dict) else None
        return (*path, key), ARRIVALS.problem(value) or _one_of(list(ARRIVALS.kinds), value)
    if kind == "literal_error":
        return path, _one_of([a.strip("' ") for a in context["expected"].replace(" or ", ", ").split(",")], given)
    if kind == "value_error":
        message = str(context["error"])
        return (
            path,
            f"expected {message}, got {show(given)}"
            if "with its unit" in message or "in pixels" in message
            else message,
        )
    if kind == "string_pattern_mismatch":
        return path, f"expected a name of {_PATTERNS[context['pattern']]}, got {show(given)}"
    return path, expected(error)


def _unknown(path: KeyPath, flat: dict[str, Any]) -> str:
    """Why a key is refused: another kind of load or stage has it, or it is near one that is known, or neither."""
    model = _model_at(path[:-1], flat)
    key, allowed = str(path[-1]), _names(model)
    for family, keyword in ((ARRIVALS.kinds, "arrivals"), (STAGES.kinds, "stage")):
        owners = [kind for kind, other in family.items() if key in _names(other)]
        mine = next((kind for kind, other in family.items() if other is model), None)
        if mine and owners:
            kinds = f"of {keyword}{'' if keyword == 'stage' else ':'} {', '.join(owners)}"
            return f"not a key of {mine}, only {kinds}; the keys here are {', '.join(allowed)}"
    return f"unknown key{_nearest(key, allowed)}; the keys here are {', '.join(allowed)}"


def _one_of(allowed: Sequence[str], got: Any) -> str:
    given = "" if got is None else f", got {show(got)}{_nearest(str(got), allowed)}"
    return f"expected one of {', '.join(allowed)}{given}"


def _written(loc: KeyPath, flat: dict[str, Any]) -> KeyPath:
    """pydantic's location without the tags of unions and the words for keys, which stand in no file."""
    path: list[str | int] = []
    data: Any = flat
    for index, part in enumerate(loc):
        tags = (data.get("kind"), data.get("arrivals")) if isinstance(data, dict) and index < len(loc) - 1 else ()
        if part in tags:
            continue
        if isinstance(data, dict) and part in data:
            data = data[part]
            path.append(part)
        elif isinstance(data, list | tuple) and isinstance(part, int):
            if part < len(data):
                data = data[part]
                path.append(part)
        elif str(part).startswith("[") or (isinstance(data, dict) and part in data.values()):
            continue  # [key], or the tag of a union
        elif index == len(loc) - 1:
            path.append(part)
    return tuple(path)


def _shown(path: KeyPath, flat: dict[str, Any]) -> KeyPath:
    """stages.0.workers -> stages.inference.workers, as `--set` takes it, where the name tells which is meant."""
    if len(path) >= 2 and path[0] == "stages" and isinstance(path[1], int):
        names = [(s.get("name") or s.get("kind")) if isinstance(s, dict) else None for s in flat["stages"]]
        name = names[path[1]]
        if isinstance(name, str) and "." not in name and names.count(name) == 1:
            return ("stages", name, *path[2:])
    return path


def _model_at(path: KeyPath, flat: dict[str, Any]) -> type[Keys]:
    """The model of what stands at `path`."""
    model: type[Keys] = Scenario
    data: Any = flat
    for part in path:
        data = data[part]
        if part == "load":
            model = ARRIVALS.kinds[data["arrivals"]]
        elif isinstance(part, int):
            model = STAGES.kinds[data["kind"]]
        elif part != "stages":
            field = next(f for name, f in model.model_fields.items() if part in (name, f.alias))
            within = mapping_of(field.annotation)
            assert within is not None
            model = within
    return model


def _names(model: type[Keys]) -> list[str]:
    names = [f.alias or name for name, f in model.model_fields.items() if name != "kind"]
    return sorted(names, key=lambda name: name != "arrivals")  # what decides about the others comes first


def _meaning(path: KeyPath, flat: dict[str, Any]) -> str:
    field = _model_at(path[:-1], flat).model_fields.get(str(path[-1]))
    return f": {field.description}" if field is not None and field.description else ""


def _nearest(word: str, allowed: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, allowed, n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""
