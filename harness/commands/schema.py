"""`harness schema`: the JSON Schemas of scenario files and of saved documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import click

from harness.commands import output
from harness.errors import UsageError
from harness.registry import attribute

DOCUMENTS = {
    "summary": "harness.summary:SUMMARY",
    "comparison": "harness.studies.compare.document:COMPARISON",
    "sweep": "harness.studies.sweep.spec:SWEEP",
    "capacity": "harness.studies.capacity.document:CAPACITY",
    "accuracy": "harness.studies.accuracy.document:EVALUATION",
}
"""The kinds of saved documents, and the `module:Kind` that knows each one's schema."""


@click.command("schema")
@click.argument("kind", metavar="[KIND]", type=click.Choice(["scenario", *DOCUMENTS]), default="scenario")
@click.option("--markdown", is_flag=True, help="Of a scenario or a summary: as a page for people.")
def command(kind: str, markdown: bool) -> None:
    """Print the JSON Schema of scenario files, or of a kind of saved document.

    \b
    Example:
      harness schema > scenarios/scenario.schema.json
      harness schema --markdown > docs/scenario.md
      harness schema summary

    KIND: scenario, summary, comparison, sweep, capacity or accuracy. Editors complete and check a scenario file that
    names its schema in the first line: # yaml-language-server: $schema=scenario.schema.json
    """
    if markdown:
        output.say(_page(kind)(_schema(kind)), end="")
    else:
        output.say(json.dumps(_schema(kind), indent=2))


def _schema(kind: str) -> dict[str, Any]:
    if kind == "scenario":
        from harness.scenario import schema

        return schema()
    found: dict[str, Any] = attribute(DOCUMENTS[kind]).schema()
    return found


def _page(kind: str) -> Callable[[Mapping[str, Any]], str]:
    from harness.report.exports.reference import reference, summary_reference

    pages = {"scenario": reference, "summary": summary_reference}
    if kind not in pages:
        raise UsageError(f"there is no page of {kind}", where="--markdown", hint="Leave it out for the JSON Schema.")
    return pages[kind]
