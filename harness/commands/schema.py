"""`harness schema`: the JSON Schema of scenario files."""

from __future__ import annotations

import json

import click

from harness.commands import output


@click.command("schema")
@click.option("--markdown", is_flag=True, help="As a page for people instead: docs/scenario.md.")
def command(markdown: bool) -> None:
    """Print the JSON Schema of scenario files, so that editors complete and check them.

    \b
    Example:
      harness schema > scenarios/scenario.schema.json
      harness schema --markdown > docs/scenario.md

    A scenario file names it in its first line: # yaml-language-server: $schema=scenario.schema.json
    """
    from harness.scenario import schema

    if markdown:
        from harness.report.exports.reference import reference

        output.say(reference(schema()), end="")
    else:
        output.say(json.dumps(schema(), indent=2))
