"""The process that exports or quantises a model: it is told one task, and tells its error, if any."""

from __future__ import annotations

import traceback
from pathlib import Path

from harness.children.link import SupervisorLink
from harness.errors import HarnessError, ScenarioError
from harness.stages.inference.artifacts import Task
from harness.stages.inference.base import first_line


def main() -> None:
    """Run as a process; what goes wrong is an error of the scenario's model."""
    supervisor = SupervisorLink()
    task: Task = supervisor.instructions
    with supervisor.reporting_errors():
        try:
            _do(task)
        except HarnessError:
            raise
        except Exception as error:
            failed = ScenarioError(
                f"cannot {task.make} {task.setup.options.model_name}: {first_line(error)}",
                where="stages.inference.model",
            )
            failed.details = traceback.format_exc()
            raise failed from None


def _do(task: Task) -> None:
    folder = Path(task.folder)
    if task.make == "export":
        from harness.stages.inference import onnx_export

        onnx_export.write(task.setup, folder)
        return
    from harness.stages.inference import quantisation

    quantisation.write(task.setup, Path(task.model), folder)
