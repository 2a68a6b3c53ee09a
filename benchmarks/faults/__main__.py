"""Faults injected into real runs at random moments: nothing may be lost, wrong or left.

    python -m benchmarks.faults                    some minutes; exit code 1 when a round went wrong
    python -m benchmarks.faults --rounds 1000      an hour

Every round is a `harness run` of a random pipeline in a folder of its own, and a fault; docs/faults.md lists them. The
faults that this machine or user does not allow are skipped, with the reason. Ctrl-C ends it and clears up.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from benchmarks.faults.catalogue import CELLS, FAULTS
from benchmarks.faults.rounds import Round, play
from benchmarks.faults.table import line, report, table
from benchmarks.faults.trial import CannotInjectError
from benchmarks.faults.user import HOME
from harness.errors import OK, RUN_FAILED
from harness.interruption import exit_code


def numbers(only: Iterable[str], skipped: Iterable[str]) -> Iterator[int]:
    """Numbers of the rounds of these faults, without end."""
    wanted = set(only) - set(skipped)
    return (number for number in itertools.count() if CELLS[number % len(CELLS)][0].name in wanted)


def run(
    asked: Iterable[int], seed: int, jobs: int, *, keep: bool, base: Path
) -> Generator[Round, None, None]:  # fmt: skip
    """Play rounds, some at once; yields each when it is over. Stops them when it is closed."""
    waiting, stopping = iter(asked), threading.Event()
    under_way: set[Future[Round | None]] = set()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while True:
                for number in itertools.islice(waiting, jobs - len(under_way)):
                    under_way.add(pool.submit(play, number, seed, base, stopping, keep=keep))
                if not under_way:
                    return
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    try:
                        found = future.result()
                    except CannotInjectError as error:
                        print(f"a round was skipped: {error}", file=sys.stderr)
                    else:
                        if found is not None:
                            yield found
        finally:
            stopping.set()


def main(arguments: list[str] | None = None) -> int:
    """Return the exit code."""
    names = [fault.name for fault in FAULTS]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2 * len(CELLS), help="how many (default: two of each)")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is drawn")
    parser.add_argument("--round", type=int, help="only the round of this number")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="FAULT", help=", ".join(names))
    parser.add_argument("--jobs", type=int, default=2, help="rounds at once")
    parser.add_argument("--keep", action="store_true", help="keep the folders of rounds that went wrong")
    told = parser.parse_args(arguments)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    skipped = {fault.name: why for fault in FAULTS if fault.name in told.only and (why := fault.unable())}
    asked = [told.round] if told.round is not None else itertools.islice(numbers(told.only, skipped), told.rounds)
    base = Path(tempfile.mkdtemp(prefix="harness-faults-"))
    base.chmod(0o755)
    found: list[Round] = []
    begun = time.monotonic()
    try:
        with contextlib.closing(run(asked, told.seed, told.jobs, keep=told.keep, base=base)) as rounds:
            for one in rounds:
                found.append(one)
                print(f"{len(found)}: {line(one)}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return exit_code()
    finally:
        shutil.rmtree(base / HOME, ignore_errors=True)
        try:
            base.rmdir()
        except OSError:
            print(f"kept: {base}", file=sys.stderr)
    bad_ones = [one for one in found if one.wrong]
    print(table(found, skipped))
    print(f"\n{len(found)} rounds in {(time.monotonic() - begun) / 60:.1f} minutes, {len(bad_ones)} of them bad")
    for one in bad_ones:
        print(report(one))
    return RUN_FAILED if bad_ones else OK


if __name__ == "__main__":
    sys.exit(main())
