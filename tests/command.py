"""The `harness` command called in this process, as a shell calls it: what it printed, and how it ended.

A fresh process imports for a second what this one has long imported; where the process itself is the point (signals,
closed pipes, what is imported), tests start one.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from unittest import mock

from click.testing import CliRunner

from harness.__main__ import invoke


def harness(*arguments: object, cwd: Path | str = ".", columns: int = 80) -> subprocess.CompletedProcess[str]:
    """`harness` with these arguments in this folder; an error that is none of its own is raised."""
    words = ["harness", *map(str, arguments)]
    code = 0
    with (
        mock.patch.object(sys, "argv", words),
        contextlib.chdir(cwd),
        CliRunner().isolation(env={"COLUMNS": str(columns)}) as (out, err, _),
    ):
        try:
            invoke()  # not main, which would have signals end this process
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        printed = [stream.getvalue().decode().replace("\r\n", "\n") for stream in (out, err)]
    return subprocess.CompletedProcess(words, code, *printed)


SHELL = re.compile(r"[|&;<>$`*?#~]")
COLUMNS = 100  # of what the pages show


def typed(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A line of a page as a reader types it: `harness` and plain words in this process, all else in a shell."""
    words = shlex.split(line.replace("\\\n", " "))
    if words[0] == "harness" and not SHELL.search(line.replace("last~", "last")):
        return harness(*words[1:], cwd=folder, columns=COLUMNS)
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {**os.environ, "PATH": path, "COLUMNS": str(COLUMNS), "NO_COLOR": "1"}
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, timeout=900, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
