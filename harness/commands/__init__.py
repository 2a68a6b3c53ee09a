"""The command line: one module a verb, imported when it is used. Only here is click imported.

A module holds one click command, `command`. Commands read arguments, call the library, and hand the result to a
report; they compute nothing.
"""

from __future__ import annotations

from importlib import import_module

import click

VERBS: dict[str, dict[str, str]] = {
    "Measure": {
        "run": "Run a scenario and show where its latency goes.",
        "compare": "Compare settings, scenarios or runs: is one faster, and by how much?",
        "sweep": "Measure a scenario over a grid of settings.",
        "capacity": "Find the highest load that keeps an SLO, and the variant that carries it.",
        "profile": "Break a stage's service down into operators.",
    },
    "Model": {
        "simulate": "Predict latencies: what if this stage had two workers, or more load?",
        "crosscheck": "Hold a run against theory and the twin.",
    },
    "Check": {
        "accuracy": "Compare a model's predictions with labels, and with the reference stack.",
        "validate": "Check scenario files without running them.",
        "selftest": "Prove the instrument on this machine, in about two minutes.",
        "doctor": "Describe this machine and warn of what harms latency.",
    },
    "Show": {
        "runs": "List saved runs, the newest first.",
        "show": "Show a saved run again.",
        "report": "Make a report that can be passed on: one HTML file.",
        "trace": "Write a saved run as a trace for Perfetto.",
        "metrics": "Keep a table of runs, one row each.",
        "schema": "Print the JSON Schema of scenario files.",
    },
}


class _Verbs(click.Group):
    """Commands in groups, each imported when it is asked for: `--help` imports none."""

    def list_commands(self, context: click.Context) -> list[str]:
        return [name for verbs in VERBS.values() for name in verbs]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(context):
            return None
        command: click.Command = import_module(f"harness.commands.{name}").command
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        for group, verbs in VERBS.items():
            with formatter.section(group):
                formatter.write_dl(list(verbs.items()))

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from difflib import get_close_matches

        name = arguments[0]
        if not name.startswith("-") and name not in self.list_commands(context):
            near = get_close_matches(name, self.list_commands(context), n=1)
            context.fail(f"there is no command {name!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(context, arguments)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="tail-latency-harness", message="harness %(version)s")
def cli() -> None:
    """Measure, explain and plan the tail latency of an inference pipeline.

    \b
    Example:
      harness run scenarios/resnet18_cpu.yaml
      harness run scenarios/resnet18_cpu.yaml --set stages.preprocess.backend=torchvision
      harness runs

    \b
    Exit codes: 0 done, 1 the run failed, 2 bad usage or scenario,
    3 an SLO or verdict not met, 130 interrupted, 143 terminated, 129 hung up.
    """
