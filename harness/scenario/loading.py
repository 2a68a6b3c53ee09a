"""From a scenario file and what the command line sets over it to a Scenario, or to errors that say where and what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from harness.errors import ScenarioError
from harness.keys import FileName, Keys, mapping_of
from harness.registry import ARRIVALS, STAGES
from harness.scenario.model import Scenario, Source
from harness.scenario.overriding import Override, plain
from harness.scenario.overriding import apply as apply_overrides
from harness.scenario.problems import validate
from harness.scenario.reading import Document, parse

_GLOB = "*?["


def load(path: str | Path, overrides: Sequence[str] = ()) -> Scenario:
    """Read a scenario file, set `overrides` ("key.path=value") over it, and validate the result.

    A relative file name in the file counts from the file's folder, one in an override from the working directory;
    both are absolute in the Scenario. Raises ScenarioError, which lists every problem with its file, line and key path.
    """
    document = read(path)
    _anchor(document.raw, Path(path).absolute().parent)
    return _settled(document, overrides)


def read(path: str | Path) -> Document:
    """A scenario file as plain data with its lines, not yet validated. Raises ScenarioError."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ScenarioError(f"cannot read the scenario: {reason}", where=str(path)) from None
    return parse(text, str(path))


def with_overrides(scenario: Scenario, overrides: Sequence[str]) -> Scenario:
    """A Scenario with "key.path=value" settings applied. Raises ScenarioError."""
    return _settled(parse(dump(scenario), scenario.name), overrides)


def from_mapping(keys: Mapping[str, Any], overrides: Sequence[str] = ()) -> Scenario:
    """The Scenario that a mapping of plain data describes, as a file of the same keys would: a duration is "5 ms", a
    stage {"inference": {"model": "resnet18"}}. Relative file names count from the working directory.

    Raises ScenarioError, which lists every problem with its key path.
    """
    raw = plain(keys)
    name = raw.get("name")
    return _settled(Document(f"scenario {name}" if name else "scenario", raw, {}), overrides)


def _settled(document: Document, overrides: Sequence[str]) -> Scenario:
    settings = [Override.parse(text) for text in overrides]
    apply_overrides(document.raw, settings)
    _anchor(document.raw, Path.cwd())
    return validate(document, settings)


def dump(scenario: Scenario) -> str:
    """The scenario as YAML, every key written out; `load` reads it back equal."""
    raw = scenario.model_dump(mode="json", by_alias=True)
    raw["stages"] = [{stage.pop("kind"): stage} for stage in raw["stages"]]
    return yaml.safe_dump(raw, sort_keys=False, width=100, allow_unicode=True)


def schema() -> dict[str, Any]:
    """The JSON Schema of scenario files, for editors."""
    document = Scenario.model_json_schema(by_alias=True)
    definitions, items = document["$defs"], document["properties"]["stages"]["items"]
    kinds = {}
    for kind, reference in items["discriminator"]["mapping"].items():
        definition = definitions[reference.rpartition("/")[2]]
        definition["properties"].pop("kind")
        definition["required"] = [k for k in definition.get("required", []) if k != "kind"]
        words = [{"const": word} for word in STAGES.kinds[kind].words]
        kinds[kind] = {"anyOf": [{"$ref": reference}, {"type": "null"}, *words]}
    kinds = {kind: kinds[kind] for kind in STAGES.kinds}
    document["properties"]["stages"]["items"] = {
        "anyOf": [
            {
                "type": "object",
                "properties": kinds,
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": False,
            },
            {"enum": [*kinds, None]},
        ]
    }
    for reference in document["properties"]["load"]["discriminator"]["mapping"].values():
        definitions[reference.rpartition("/")[2]].setdefault("required", []).append("arrivals")
    document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return document


# ------------------------------------------------------------------ file names


def _anchor(raw: dict[str, Any], folder: Path) -> None:
    """Make the relative file names in plain data absolute. What is no valid scenario is left for `validate`."""
    parts: list[tuple[Any, type[Keys] | None]] = [(raw.get("source"), Source)]
    load = raw.get("load")
    parts.append((load, ARRIVALS.kinds.get(str(load.get("arrivals"))) if isinstance(load, dict) else None))
    for stage in raw["stages"] if isinstance(raw.get("stages"), list) else ():
        if isinstance(stage, dict):
            parts += [(options, STAGES.kinds.get(str(kind))) for kind, options in stage.items()]
    for keys, model in parts:
        if isinstance(keys, dict) and model is not None:
            _anchor_keys(keys, model, folder)


def _anchor_keys(keys: dict[str, Any], model: type[Keys], folder: Path) -> None:
    for name, field in model.model_fields.items():
        mark = next((m for m in field.metadata if isinstance(m, FileName)), None)
        value = keys.get(name)
        within = mapping_of(field.annotation)
        if isinstance(value, dict) and within is not None:
            _anchor_keys(value, within, folder)
        if mark is None or not isinstance(value, str) or value in mark.words:
            continue
        path = Path(value).expanduser()
        if not path.is_absolute():
            # In a glob pattern the folder itself has to be taken literally.
            path = Path(_escape(str(folder)) if any(c in value for c in _GLOB) else folder, path)
        keys[name] = str(path)


def _escape(text: str) -> str:
    return "".join(f"[{c}]" if c in _GLOB else c for c in text)
