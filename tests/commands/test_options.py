"""Options that several verbs share."""

import click
import pytest
from click.testing import CliRunner

from harness.commands import options


@click.command()
@options.vary("A side for each value.", former=("--grid", "--over"))
@click.option("--force", cls=options.Renamed, former=("--even-so",), is_flag=True)
@click.option("--count", cls=options.Renamed, former=("--number",), type=int)
def command(vary: tuple[str, ...], force: bool, count: int | None) -> None:
    click.echo(f"{vary} {force} {count}")


@pytest.mark.parametrize("names", [("--vary", "--force", "--count"), ("--grid", "--even-so", "--number")])
def test_a_former_name_does_the_same(names):
    vary, force, count = names
    done = CliRunner().invoke(command, [vary, "a=1,2", vary, "b=3", force, count, "4"])
    assert done.output == "('a=1,2', 'b=3') True 4\n"


def test_a_former_name_is_shown_nowhere():
    done = CliRunner().invoke(command, ["--help"])
    assert "--vary KEY=A,B,..." in done.output
    wrong = CliRunner().invoke(command, ["--number", "x"])
    assert "Invalid value for '--count'" in wrong.output
    for text in (done.output, wrong.output):
        assert not any(name in text for name in ("--grid", "--over", "--even-so", "--number"))
