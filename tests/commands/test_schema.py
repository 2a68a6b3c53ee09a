"""`harness schema`: the schemas and pages that are kept in the repository are those of this version."""

from __future__ import annotations

import json

import pytest

from tests.command import harness
from tests.documents import ROOT


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (["schema"], "scenarios/scenario.schema.json"),
        (["schema", "--markdown"], "docs/scenario.md"),
        (["schema", "summary"], "docs/summary.schema.json"),
        (["schema", "summary", "--markdown"], "docs/summary.md"),
    ],
    ids=str,
)
def test_what_is_kept_is_up_to_date(arguments: list[str], file: str) -> None:
    printed = harness(*arguments).stdout
    assert printed == (ROOT / file).read_text(encoding="utf-8"), f"write it: harness {' '.join(arguments)} > {file}"


@pytest.mark.parametrize("kind", ["summary"])
def test_every_figure_of_a_document_says_what_it_is(kind: str) -> None:
    schema = json.loads(harness("schema", kind).stdout)
    models = {"": schema, **schema.get("$defs", {})}
    silent = [
        f"{name}.{key}"
        for name, model in models.items()
        for key, value in model.get("properties", {}).items()
        if not value.get("description") and not any("$ref" in inner for inner in (value, *value.get("anyOf", ())))
    ]
    assert silent == []


def test_a_kind_that_has_no_page_is_refused() -> None:
    refused = harness("schema", "sweep", "--markdown")
    assert refused.returncode == 2
    assert "--markdown" in refused.stderr
