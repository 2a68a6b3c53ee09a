"""Why a child has ended that was not to, as an error."""

from __future__ import annotations

import signal

from harness.children.process import ChildProcess
from harness.errors import BAD_USAGE, HarnessError, RunFailed, ScenarioError, StageFailed


def verdict(child: ChildProcess, code: int, *, where: str, stage: str = "") -> HarnessError:
    """What it said itself, else how the kernel says that it ended; with what it has printed as details.

    code: its exit code, negative for a signal. where: for the error, unless the child named the place. stage: that it
    worked for; what a stage refuses at its start is an error of the scenario.
    """
    crash = child.crash
    if crash is not None and crash["event"] == "refused":
        kind = ScenarioError if crash["exit_code"] == BAD_USAGE else StageFailed
        error: HarnessError = kind(
            crash["what"], where=crash["where"] or (f"stages.{stage}" if stage else where), hint=crash["hint"]
        )
        error.details = f"{error}\n{crash['details']}" if crash["details"] else ""
        return error
    if crash is not None:
        what, details = crash["error"], crash["traceback"]
    else:
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        what = f"the process ended with {name}" + (" (out of memory?)" if code == -signal.SIGKILL else "")
        details = ""
    error = (StageFailed if stage else RunFailed)(what, where=where)
    error.details = "\n".join(part for part in (str(error), details, child.printed()) if part)
    return error
