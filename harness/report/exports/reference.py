"""JSON Schemas as pages for people: docs/scenario.md of scenario files, docs/summary.md of a run's summary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from harness.units import format_duration

Schema = Mapping[str, Any]
HEAD = """\
# Scenario files

Every key of a scenario, from its schema: `harness schema --markdown > docs/scenario.md` writes this page. The files in
`scenarios/` are examples. A duration has a unit (`5 ms`; `ns`, `us`, `ms`, `s`, `min`, `h`), and so has a rate (`20/s`;
`/s`, `/min`, `/h`). Any key can be set from the command line, a stage's by its name: `--set load.rate=20/s`,
`--set stages.inference.batch.max=8`. A relative file name counts from the scenario file's folder, in `--set` from the
working directory.

`--vary KEY=A,B,...` makes a variant of each value (`compare`, `accuracy`, `simulate`, `sweep`, `capacity`); several of
them make a variant of every combination.

| `--vary` | values |
|---|---|
| `stages.inference.batch.max=1,2,4` | 1, 2 and 4 |
| `stages.preprocess.resize=[256,320],224` | `[256,320]` and 224; values are YAML |
| `stages.inference.workers=1..4/1` | 1, 2, 3 and 4: a range FROM..TO/STEP, which includes TO if the steps reach it |
| `load.rate=10..50/20/s` | 10/s, 30/s and 50/s; the same as `10/s..50/s/20/s` |
| `stages.inference.batch.timeout=0,5..20/5 ms` | 0, 5 ms, 10 ms, 15 ms and 20 ms |
"""
EXAMPLES = {"5 ms": "a duration", "20/s": "a rate", "2-3": "numbers of CPUs"}
"""What values of the types in harness.units are, by the example in their schema."""
SEVERAL = {"load": "load", "stages": "stage"}
"""The keys under which one of several kinds stands."""


def reference(document: Schema) -> str:
    """The page for a schema as `harness.scenario.schema` returns it."""
    definitions: Mapping[str, Schema] = document["$defs"]
    kinds = {"load": _loads(document), "stages": _stages(document)}
    listed = {name for models in kinds.values() for name in models.values()}
    parts = [HEAD, _table(document)]
    for key, models in kinds.items():
        parts += _several(key, {kind: definitions[name] for kind, name in models.items()})
    for name, definition in definitions.items():
        if name not in listed:
            parts += [f"## {name}\n\n{_text(definition)}\n", _table(definition)]
    return "\n".join(parts)


SUMMARY_HEAD = """\
# The summary of a run

Every key of `summary.json`, which a run's folder holds and `harness run --json` prints. This page is written by
`harness schema summary --markdown > docs/summary.md`, its JSON Schema, [summary.schema.json](summary.schema.json), by
`harness schema summary`; `harness schema KIND` prints those of other documents. From Python the same figures are
attributes: `run.summary.e2e.p99` is `e2e_ms.p99`.

Times end in `_ms` or `_s`, rates in `_rps` (requests per second), sizes in `_mb` (10**6 bytes); shares are fractions.
What a run does not know, such as a quantile of one that has no steady state, is `null`. Later versions may add keys.
"""


def summary_reference(document: Schema) -> str:
    """The page for a run's summary, from its JSON Schema."""
    parts = [SUMMARY_HEAD, _table(document, "key", "value", "meaning")]
    for name, definition in document["$defs"].items():
        parts += [f"## {name}\n\n{_text(definition)}\n", _table(definition, "key", "value", "meaning")]
    return "\n".join(parts)


def _loads(document: Schema) -> dict[str, str]:
    mapping = document["properties"]["load"]["discriminator"]["mapping"]
    return {kind: _name(reference) for kind, reference in mapping.items()}


def _stages(document: Schema) -> dict[str, str]:
    written_out = document["properties"]["stages"]["items"]["anyOf"][0]["properties"]
    return {kind: _name(choices["anyOf"][0]["$ref"]) for kind, choices in written_out.items()}


def _several(key: str, models: Mapping[str, Schema]) -> list[str]:
    """A section for a key of several kinds: what all have first, then what each has beside it."""
    first, *others = (model["properties"] for model in models.values())
    common = {name: keys for name, keys in first.items() if all(other.get(name) == keys for other in others)}
    what = SEVERAL[key]
    parts = [f"## {key}\n\nOne of {_list(f'`{kind}`' for kind in models)}. Every {what} has:\n"]
    parts.append(_table({"properties": common, "required": _required_by_all(models.values())}))
    for kind, model in models.items():
        own = {name: keys for name, keys in model["properties"].items() if name not in common and name != "arrivals"}
        parts.append(f"### {kind}\n\n{_text(model)}\n")
        if own:
            parts.append(_table({**model, "properties": own}))
    return parts


def _required_by_all(models: Iterable[Schema]) -> list[str]:
    required = [set(model.get("required", ())) for model in models]
    return sorted(set.intersection(*required))


def _table(definition: Schema, *columns: str) -> str:
    columns = columns or ("key", "value", "default", "meaning")
    rows = [" | ".join(columns), "|".join("---" for _ in columns)]
    for key, schema in definition["properties"].items():
        default = "needed" if key in definition.get("required", ()) else _default(schema)
        cells = {"key": f"`{key}`", "value": _value(schema), "default": default, "meaning": _text(schema)}
        rows.append(" | ".join(_cell(cells[column]) for column in columns))
    return "\n".join(f"| {row} |" if "---" not in row else f"|{row}|" for row in rows) + "\n"


def _default(schema: Schema) -> str:
    default = schema.get("default")
    if default is None or isinstance(default, dict):
        return ""
    if isinstance(default, int) and not isinstance(default, bool) and "duration" in _value(schema):
        return f"`{format_duration(default)}`"
    return f"`{_plain(default)}`" if default != "" else ""


def _value(schema: Schema) -> str:
    """What may stand there, in words."""
    if "$ref" in schema:
        name = _name(schema["$ref"])
        return f"[{name}](#{name.lower()})"
    if "examples" in schema:
        return EXAMPLES[schema["examples"][0]]
    if "const" in schema:
        return f"`{_plain(schema['const'])}`"
    if "enum" in schema:
        return _list(f"`{_plain(choice)}`" for choice in schema["enum"])
    if "discriminator" in schema:
        return "[a mapping](#load)"
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            choices = [choice for choice in schema[key] if not _says_nothing(choice, schema)]
            return " or ".join(dict.fromkeys(map(_value, choices)))
    match schema.get("type"):
        case "integer" | "number" as kind:
            return ("a whole number" if kind == "integer" else "a number") + _bounds(schema)
        case "boolean":
            return "`true` or `false`"
        case "array":
            items = schema.get("items", {})
            return (
                "[a list](#stages)"
                if "anyOf" in items
                else f"a list of {_value(items)}"
                if "$ref" in items
                else "a list"
            )
        case "null":
            return "`null`"
        case "object":
            inner = schema.get("additionalProperties")
            return (
                f"a mapping by name to {_value(inner)}" if isinstance(inner, dict) and "$ref" in inner else "a mapping"
            )
    return "text"


def _says_nothing(choice: Schema, schema: Schema) -> bool:
    """`null` where it only means that the key is not set."""
    return choice.get("type") == "null" and schema.get("default", ...) is None


def _bounds(schema: Schema) -> str:
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high = schema.get("maximum")
    parts = [f"from {low:,}" if low is not None else f"above {above:,}" if above is not None else ""]
    parts.append(f"to {high:,}" if high is not None else "")
    text = " ".join(filter(None, parts))
    return f", {text}" if text else ""


def _text(schema: Schema) -> str:
    return " ".join(str(schema.get("description", "")).split())


def _name(reference: str) -> str:
    return reference.rpartition("/")[2]


def _plain(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else "null" if value is None else str(value)


def _list(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
