"""The errors that a user can meet: what happened, where, and what to do about it.

Every one carries the exit code that the command ends with; `harness --help` lists them. A signal's exit code is
`harness.interruption`'s.
"""

from __future__ import annotations

from harness.text import one_line

OK, RUN_FAILED, BAD_USAGE, NOT_MET = 0, 1, 2, 3


class HarnessError(Exception):
    """Something the user can act on. Commands print it without a traceback.

    what: one line that says what happened.
    where: the file, key path, stage or request that it happened at; may be empty.
    hint: what to do; may be empty.
    """

    exit_code = RUN_FAILED

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint
        self.details = ""  # a traceback and the like: goes to a file, not to the screen
        self.saved = ""  # the folder of the run that it ended, where what was measured is saved

    def __str__(self) -> str:
        where = one_line(self.where)  # often the name of a file
        return "\n".join(part for part in (f"{where}: {self.what}" if where else self.what, self.hint) if part)


class UsageError(HarnessError):
    """The command line, a file or a RUN that it names makes no sense."""

    exit_code = BAD_USAGE


class ScenarioError(UsageError):
    """A scenario file, or a value set over it, is not valid.

    where: its file and line, or the override, once known; before that the key path, maybe followed by ": " and the
    file that the key names. The commands then look up the line.
    """


class PluginError(UsageError):
    """A plug-in that is asked for cannot be loaded, or two define the same name."""


class RunFailed(HarnessError):
    """The run could not go on."""


class StageFailed(RunFailed):
    """A stage could not be opened, raised while it worked, or its worker died."""


class StalledError(RunFailed):
    """Nothing happened within the deadline for start-up or progress."""


class SaveError(HarnessError):
    """Results could not be written."""
