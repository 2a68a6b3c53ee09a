"""`harness show`: a saved run's screen again."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("show")
@click.argument("run", default="last")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="Folder under which runs are saved.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(run: str, out: Path, as_json: bool) -> None:
    """Show a saved run as `harness run` showed it. RUN: a folder, last, last~1, or a scenario's name.

    \b
    Example:
      harness show last~1
      harness show resnet18_cpu --json
    """
    from harness import store

    saved = store.find(run, out)
    summary = {**saved.summary, "saved": str(saved.path)}
    if as_json:
        click.echo(store.to_json(summary))
        return
    from rich.console import Console

    from harness.report import terminal

    terminal.show(Console(highlight=False), summary)
