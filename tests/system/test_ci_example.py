"""The workflow in docs/ci.md is YAML, installs this version, and calls the command as it is."""

from __future__ import annotations

import re
import shlex

import click
import pytest
import yaml

from harness import __version__
from harness.commands import cli
from tests.documents import ROOT

(WORKFLOW,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "ci.md").read_text(encoding="utf-8"), re.DOTALL)
STEPS = [step["run"] for step in yaml.safe_load(WORKFLOW)["jobs"]["gate"]["steps"] if "run" in step]


def test_it_installs_this_version() -> None:
    assert f"pip install tail-latency-harness=={__version__}" in STEPS


@pytest.mark.parametrize("step", [step for step in STEPS if step.startswith("harness ")])
def test_its_commands_are_understood(step: str) -> None:
    """Parsed to the last option, and not called."""
    verb, *arguments = shlex.split(step)[1:]
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    command.make_context(verb, arguments)
