"""The process that exports or quantises a model: one task on standard input, its error, if any, on standard output."""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from pathlib import Path

from harness.errors import HarnessError
from harness.lifeline import receive
from harness.stages.inference.artifacts import Task
from harness.stages.inference.base import first_line

FAILED = 1


def main() -> int:
    """Return the exit code."""
    answer = os.dup(1)
    os.dup2(2, 1)  # what libraries print goes to the log
    task: Task = receive()
    threading.Thread(target=receive, daemon=True).start()  # nothing more is sent: it ends this process with its parent
    try:
        _do(task)
    except HarnessError as error:
        said = {"what": error.what, "where": error.where, "hint": error.hint, "details": error.details}
    except Exception as error:
        what = f"cannot {task.make} {task.setup.options.model_name}: {first_line(error)}"
        said = {"what": what, "where": "stages.inference.model", "hint": "", "details": traceback.format_exc()}
    else:
        return 0
    os.write(answer, json.dumps(said).encode())
    return FAILED


def _do(task: Task) -> None:
    folder = Path(task.folder)
    if task.make == "export":
        from harness.stages.inference import onnx_export

        onnx_export.write(task.setup, folder)
        return
    from harness.stages.inference import quantisation

    quantisation.write(task.setup, Path(task.model), folder)


if __name__ == "__main__":
    sys.exit(main())
