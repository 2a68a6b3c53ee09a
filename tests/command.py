"""The `harness` command called in this process, as a shell calls it: what it printed, and how it ended.

A fresh process imports for a second what this one has long imported; where the process itself is the point (signals,
closed pipes, what is imported), tests start one.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from unittest import mock

from click.testing import CliRunner

from harness.__main__ import main


def harness(*arguments: object, cwd: Path | str = ".") -> subprocess.CompletedProcess[str]:
    """`harness` with these arguments in this folder, 80 columns wide; an error without an exit code is raised."""
    words = ["harness", *map(str, arguments)]
    code = 0
    with (
        mock.patch.object(sys, "argv", words),
        contextlib.chdir(cwd),
        CliRunner().isolation(env={"COLUMNS": "80"}) as (out, err, _),
    ):
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        printed = [stream.getvalue().decode().replace("\r\n", "\n") for stream in (out, err)]
    return subprocess.CompletedProcess(words, code, *printed)
