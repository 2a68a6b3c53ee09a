"""`harness validate`: check scenario files without running them."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands import output
from harness.errors import UsageError


@click.command("validate")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Set any key of every file; repeatable.")
def command(files: tuple[Path, ...], overrides: tuple[str, ...]) -> None:
    """Check scenario files: every key, that the stages fit together, and that pinned CPUs are there. Nothing is run.

    \b
    Example:
      harness validate scenarios/*.yaml

    Ends with exit code 2 when a file is not valid.
    """
    from harness import pinning
    from harness.studies.planning import check_here, plan_of

    wrong = 0
    for file in files:
        try:
            path, plan = plan_of(file, overrides)
            check_here(path, plan, overrides)
        except UsageError as error:
            wrong += 1
            output.tell(str(error))
        else:
            for conflict in pinning.conflicts(pinning.pinned(plan)):
                output.tell(f"{path}: warning: {conflict}")
            chain = " -> ".join(f"{s.name} ({s.output})" for s in plan.stages)
            output.say(f"{path}: ok: {plan.stages[0].input if plan.reads_images else 'requests'} -> {chain}")
    if wrong:
        raise SystemExit(UsageError.exit_code)
