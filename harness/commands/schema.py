"""`harness schema`: the JSON Schema of scenario files."""

from __future__ import annotations

import json

import click


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of scenario files, so that editors complete and check them.

    \b
    Example:
      harness schema > scenarios/scenario.schema.json

    A scenario file names it in its first line: # yaml-language-server: $schema=scenario.schema.json
    """
    from harness.scenario import schema

    click.echo(json.dumps(schema(), indent=2))
