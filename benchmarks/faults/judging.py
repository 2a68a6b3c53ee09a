"""What is wrong with a round, claim by claim."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.faults import processes
from benchmarks.faults.pipelines import Pipeline
from benchmarks.faults.running import AT_EXIT, OUT, TEMPORARY, Running
from benchmarks.faults.trial import REFUSED, Expected
from harness import store
from harness.errors import UsageError
from harness.records import Outcome, Phase, RunRecords
from harness.store import SavedRun
from harness.summary import Summary

CLAIMS = ("in time", "exit code", "saved", "accounted for", "errors", "processes", "descriptors", "memory", "files")
"""Columns of the table; the last four are what must not be left."""
GONE_S = 3.0
"""For the last of a run's processes to end behind the command itself."""
RESCUE = "harness-results*"
STANDARD = {"0", "1", "2"}


@dataclass(frozen=True)
class Observed:
    """What was seen when the command had ended, or had to be ended. seconds: from the injection."""

    in_time: bool
    seconds: float
    code: int
    said: str
    begun: bool
    left: list[str]
    memory: int
    at_exit: dict[str, Any] | None
    saved: SavedRun | None
    rescued: bool
    files: list[str]


def observe(running: Running, in_time: bool) -> Observed:
    """Look at a command that has ended or is out of time, and end what is left of it."""
    seconds = running.ended_at - running.injected
    begun = running.begun
    if not in_time:
        running.abort()
    left = processes.gone(running.mark, GONE_S) if in_time else []
    memory = sum(processes.shared_memory(pid) for pid in left)
    names = [f"{processes.command(pid)[:100]} (pid {pid})" for pid in left]
    processes.kill(running.mark)
    code = running.process.wait()
    out, temporary = running.place / OUT, running.place / TEMPORARY
    here = list(store.list_runs(out)) if out.is_dir() else []
    rescued = [run for folder in temporary.glob(RESCUE) for run in store.list_runs(folder)]
    return Observed(
        in_time=in_time,
        seconds=seconds,
        code=code,
        said=running.said,
        begun=begun,
        left=names,
        memory=memory,
        at_exit=_read(running.place / AT_EXIT),
        saved=next(iter([*here, *rescued]), None),
        rescued=not here and bool(rescued),
        files=_files(out, temporary),
    )


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):  # it was killed before, or on its way
        return None
    return found


def _files(out: Path, temporary: Path) -> list[str]:
    """What should not be in the two folders. A folder of results is one run each, under the scenario's name."""
    there = [path for path in temporary.iterdir() if not path.match(RESCUE)] if temporary.is_dir() else []
    homes = [out, *temporary.glob(RESCUE)]
    runs = [path for home in homes for path in home.glob("*/*") if not (path / store.SUMMARY_FILE).is_file()]
    return [str(path) for path in (*there, *runs)]


def judge(pipeline: Pipeline, wanted: Expected, seen: Observed) -> dict[str, str]:
    """What is wrong, by claim."""
    found: dict[str, str] = {}
    killed = seen.code == -signal.SIGKILL and -signal.SIGKILL in wanted.codes and seen.in_time
    if not seen.in_time:
        found["in time"] = f"it had not ended after {seen.seconds:.1f} s (allowed: {wanted.within_s:g})"
    summary: Summary | None = None
    if seen.saved is not None:
        try:
            summary = seen.saved.summary
            found |= dict(_accounted(pipeline, wanted, summary, seen.saved.records))
        except UsageError as error:
            found["saved"] = f"it does not load: {error}"
    must = (seen.begun and seen.code != REFUSED) if wanted.saved is None else wanted.saved
    if must and not killed and seen.saved is None:
        found["saved"] = "nothing was saved"
    if seen.in_time and not killed:
        found |= dict(_told(wanted, seen, summary.status if summary else ""))
    if seen.left and not wanted.leaves:
        found["processes"] = "; ".join(seen.left)
    if seen.memory and not wanted.leaves:
        found["memory"] = f"{seen.memory} segments of shared memory in the processes left"
    if seen.at_exit is not None:
        found |= dict(_held(wanted, seen.at_exit))
    files = [name for name in seen.files if not (killed and "/.unfinished-" in name)]
    if files:
        found["files"] = ", ".join(files)
    return found


def _told(wanted: Expected, seen: Observed, status: str) -> Iterator[tuple[str, str]]:
    """Exit code and standard error."""
    ended_well = status == "completed" or (not wanted.codes and seen.saved is None)
    codes = wanted.if_completed if ended_well else wanted.codes
    if seen.code not in codes:
        allowed = ", ".join(map(str, sorted(codes)))
        yield "exit code", f"{seen.code} of a run that is {status or 'not saved'} (allowed: {allowed or 'none'})"
    if seen.rescued and (seen.code == 0 or str(seen.saved and seen.saved.path) not in seen.said.replace("\n", "")):
        yield "exit code", f"{seen.code}, and it does not say where the results are instead"
    if "Traceback (most recent call last)" in seen.said and (seen.begun or not wanted.starved):
        yield "errors", "a traceback on standard error"
    elif seen.code > 0 and seen.code < 128 and "error" not in seen.said.lower():
        yield "errors", "no word about what went wrong"


def _held(wanted: Expected, at_exit: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What the command's own process had not given back when it exited."""
    open_ones = {name: to for name, to in at_exit["descriptors"].items() if name not in STANDARD}
    if open_ones and not wanted.hangs and not wanted.leaves:
        yield "descriptors", f"open at exit: {open_ones}"
    if at_exit["threads"] and not wanted.hangs and not wanted.leaves:
        yield "descriptors", f"threads at exit: {at_exit['threads']}"
    if at_exit["memory"] and not wanted.hangs:
        yield "memory", f"mapped at exit: {at_exit['memory']}"


def _accounted(
    pipeline: Pipeline, wanted: Expected, summary: Summary, records: RunRecords
) -> Iterator[tuple[str, str]]:
    """Every request that was issued has ended, in one way, with its stamps; and it is those that were to be issued."""
    counts = summary.requests
    measured = records.of_phase(Phase.MEASURED)
    raw = Counter(measured.outcome.tolist())
    load = pipeline.scenario["load"]
    figures = {
        "issued": len(measured),
        "completed": raw[Outcome.COMPLETED],
        "failed": raw[Outcome.FAILED] + raw[Outcome.ABORTED],
        "dropped": raw[Outcome.DROPPED],
    }
    told = {name: getattr(counts, name) for name in figures}
    wrong = [
        check.message for check in summary.checks if check.name in ("stamps", "conservation") and check.level != "ok"
    ]
    completed = summary.status == "completed"
    scheduled = load.get("requests")
    if told != figures:
        yield "accounted for", f"the summary counts {told}, the records {figures}"
    elif (records.outcome == Outcome.PENDING).any():
        yield "accounted for", "requests without an outcome"
    elif len(records.failures) != (failed := len(records.with_outcome(Outcome.FAILED))):
        yield "accounted for", f"{len(records.failures)} reasons for {failed} failures"
    elif wrong:
        yield "accounted for", "; ".join(wrong)
    elif completed and scheduled is not None and len(measured) != scheduled:
        yield "accounted for", f"{scheduled} were to be issued, {len(measured)} were"
    elif completed and raw[Outcome.ABORTED]:
        yield "accounted for", f"{raw[Outcome.ABORTED]} never ended"
    elif said := wanted.wrong(records):
        yield "accounted for", said
