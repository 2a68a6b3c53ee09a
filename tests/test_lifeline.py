"""A process whose parent is gone, and what else carries its run's mark."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from harness.lifeline import MARK, ORPHANED, new_mark

ORPHAN = """
import os, sys
from harness.lifeline import receive, tie
tie(os.getppid(), hangs=True, clears_up=sys.argv[1] == "True")
receive()
"""


@pytest.mark.parametrize("clears_up", [True, False])
def test_one_process_of_a_run_ends_the_others_when_their_parent_is_gone(clears_up: bool) -> None:
    """Were it two, each could kill the other before it has come to the third."""
    environment = {**os.environ, MARK: new_mark()}
    with subprocess.Popen(["sleep", "60"], env=environment) as other:
        orphan = subprocess.run(
            [sys.executable, "-c", ORPHAN, str(clears_up)], env=environment, stdin=subprocess.DEVNULL, check=False
        )
        assert orphan.returncode == ORPHANED
        assert (other.poll() is None) is not clears_up
        other.kill()


KEEPER = """
import os, time
from harness.lifeline import end_if_orphaned, tie
parent = os.getppid()
tie(parent, hangs=False, clears_up=True)
print("tied", flush=True)
while os.getppid() == parent:
    time.sleep(0.01)
end_if_orphaned()  # what it does last, whatever it met when the others were killed
"""
PARENT = """
import os, subprocess, sys
keeper = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
keeper.stdout.readline()
os._exit(0)
"""


def test_it_does_so_also_when_it_ends_by_an_error_before_it_has_seen_that_the_parent_is_gone() -> None:
    environment = {**os.environ, MARK: new_mark()}
    with subprocess.Popen(["sleep", "60"], env=environment) as other:
        subprocess.run([sys.executable, "-c", PARENT, KEEPER], env=environment, check=True)
        assert other.wait(30) == -signal.SIGKILL
