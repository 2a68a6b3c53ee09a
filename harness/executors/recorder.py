"""Takes rows that have ended out of the ring, writes them to a file, and makes their places ready for the next ones.

All of that happens in a thread that yields to everything else. A run that cannot have more rows than the ring has, or
has no more than a quarter of them in the end, has no file and no thread: its records are what lies in the ring.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError, RunFailed, SaveError
from harness.executors.ring import LIMIT, Ring
from harness.plan import Plan
from harness.records import (
    DONE,
    DUE,
    FAILED_STAGE,
    OFFERED,
    OUTCOME,
    PHASE,
    STAMPS,
    Ints,
    Outcome,
    Phase,
    RecordsWriter,
    RunRecords,
    read,
)
from harness.records.growing import RESERVE_BYTES, GrowingFile

OPENING_S = 0.005
PIECE = 8192
"""Rows that are taken out at once: some hundred microseconds."""
TAKE, KEEP, HURRY = 1 / 4, 1 / 8, 3 / 4
"""Shares of the ring: more rows than that in it, and rows are taken out; so many of the last ones stay, for whoever
watches; with more the thread does not yield any more."""


@dataclass(frozen=True)
class Destination:
    """Where the records of a long run go. open: makes the file, once there is something to write; raises OSError.
    free: the bytes that are free on that disk, and what to call it."""

    open: Callable[[], GrowingFile]
    free: Callable[[], tuple[int, str]]


def free_in(folder: Path) -> tuple[int, str]:
    """As `Destination.free`, of a folder, which need not be there yet; what has to stay free is taken off."""
    there = next((path for path in (folder, *folder.absolute().parents) if path.is_dir()), Path("/"))
    return max(0, shutil.disk_usage(there).free - RESERVE_BYTES), str(folder)


TEMPORARY = Destination(lambda: GrowingFile(None), lambda: free_in(Path(tempfile.gettempdir())))
"""A file without a name, which is gone when its records are."""


class Recorder:
    """The records of one pipeline. The event loop calls it; `finish` comes last."""

    def __init__(
        self,
        plan: Plan,
        ring: Ring,
        failures: dict[int, str],
        started_at: str,
        destination: Destination,
        *,
        yields: bool,
    ) -> None:
        """failures: the executor's, of which a row's reason is taken out with it.

        yields: whether the thread runs only when nothing else wants its core; not where it shares an interpreter with
        what is measured: it would hold that up as long as it waits for a core.
        """
        self._plan = plan
        self._ring = ring
        self._failures = failures
        self._meta = {"name": plan.scenario.name, "started_at": started_at}
        self._destination = destination
        self._yields = yields
        self._taken = 0  # rows before it are out of the ring
        self._prepared = 0  # rows before it may be issued
        self._phases: tuple[int, int, int] = (0, 0, Phase.MEASURED)
        self._last = 0
        self._due: Iterator[Ints] = iter(())
        self._held: Ints = np.empty(0, np.int64)
        self._places = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wake, self._idle = threading.Event(), threading.Event()
        self._upto, self._closing = 0, False
        self._file: GrowingFile | None = None
        self._writer: RecordsWriter | None = None
        self._error: Exception | None = None
        self._idle.set()

    @property
    def streams(self) -> bool:
        """Whether rows may have to leave the ring before the end."""
        return self._plan.max_rows > self._ring.size

    @property
    def first(self) -> int:
        """The first row that is still in the ring."""
        return self._taken

    async def open(self) -> None:
        """Make file and thread ready now, where they will be needed, so that nothing of it is done during the load."""
        if self._plan.least_rows > self._ring.size:
            self._start(0)
            while not self._idle.is_set():
                await asyncio.sleep(OPENING_S)

    def begin(self, last: int, phase: int, until: int, due: Iterable[Ints] = ()) -> None:
        """The rows up to `last` come next, those up to `until` for `phase` and the others to be measured.

        due: due times in pieces, as the producer finds them in the rows; none where it writes them itself.
        """
        with self._places:
            self._phases = self._prepared, until, phase
            self._last, self._due, self._held = last, iter(due), np.empty(0, np.int64)
            self._prepare()

    def look(self, ended: int, issued: int) -> None:
        """Take rows out, if there are many. All rows before `ended` have ended. Raises RunFailed where it cannot."""
        if self._error is not None or (self._file is not None and self._file.full is not None):
            raise self._failed()
        if not self.streams:
            return
        size, lying = self._ring.size, issued - self._taken
        if self._thread is not None and lying > HURRY * size:
            self._hurry()
        upto = min(ended, issued - int(KEEP * size))
        if lying > TAKE * size and upto > self._taken and self._idle.is_set():
            self._start(upto)

    def finish(self, issued: int) -> RunRecords:
        """The records of all issued requests, once nothing stamps any more. One that had not ended is aborted.

        Raises SaveError where they could not be written to any file.
        """
        if self._thread is not None:
            self._closing = True
            self._hurry()
            self._wake.set()
            self._thread.join()
        rest = self._rest(issued)
        if self._writer is None or self._file is None:
            return rest
        try:
            if isinstance(self._error, SaveError):
                raise self._error
            for block in rest.blocks():
                self._writer.append(block.rows, block.failures)
            self._writer.finish()
        except SaveError:
            self._file.discard()
            raise
        return read(self._file.release(), "the records")[0]

    def _start(self, upto: int) -> None:
        self._idle.clear()
        self._upto = upto
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
            self._thread.start()
        self._wake.set()

    # -------------------------------------------------------------- in the thread

    def _run(self) -> None:
        native = threading.get_native_id()
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._closing:
                return
            if self._yields:
                with contextlib.suppress(OSError, AttributeError):
                    os.sched_setscheduler(native, os.SCHED_IDLE, os.sched_param(0))
            try:
                self._take(self._upto)
            except Exception as error:
                self._error = error
            self._idle.set()

    def _hurry(self) -> None:
        """Without the right to, which takes CAP_SYS_NICE or `ulimit -e`, it goes on yielding: see docs."""
        if self._thread is not None and self._thread.native_id is not None:
            with contextlib.suppress(OSError, AttributeError):
                os.sched_setscheduler(self._thread.native_id, os.SCHED_OTHER, os.sched_param(0))

    def _take(self, upto: int) -> None:
        """Take out the rows before `upto`, as far as every stamp of them is there."""
        file, writer = self._opened()
        for piece in self._ring.pieces(self._taken, upto):
            for begin in range(0, len(piece), PIECE):
                rows = piece[begin : begin + PIECE]
                count = self._final(rows)
                issued = np.flatnonzero(rows[:count, self._plan.layout.base(0) + OFFERED])
                out = rows[issued]
                reasons = self._reasons(out, self._taken + issued)
                try:
                    with self._places:
                        rows[:count] = 0
                        self._taken += count
                        self._prepare()
                finally:  # they are in no place any more, whatever the due times that follow may raise
                    writer.append(out, reasons)
                if count < len(rows) or self._closing or file.full is not None:
                    return

    def _opened(self) -> tuple[GrowingFile, RecordsWriter]:
        if self._file is None or self._writer is None:
            file = self._destination.open()
            try:
                writer = RecordsWriter(file, self._plan.layout, self._meta)
                writer.warm_up()
            except BaseException:
                file.discard()
                raise
            self._file, self._writer = file, writer
        return self._file, self._writer

    def _final(self, rows: Ints) -> int:
        """How many rows, from the first on, nobody writes any more.

        A worker hands a request on before it writes its own last stamp, `done`; why one failed comes as a message.
        """
        layout = self._plan.layout
        outcome, failed_stage = rows[:, OUTCOME], rows[:, FAILED_STAGE]
        failed = outcome == Outcome.FAILED
        ready = (outcome != Outcome.PENDING) | (rows[:, layout.base(0) + OFFERED] == 0)
        for index in range(len(layout.stages)):
            served = (outcome == Outcome.COMPLETED) | (failed & (failed_stage > index))
            ready &= ~served | (rows[:, layout.base(index) + DONE] > 0)
        for place in np.flatnonzero(failed & ready):
            ready[place] = self._taken + int(place) in self._failures
        return len(rows) if ready.all() else int(np.argmin(ready))

    def _reasons(self, out: Ints, numbers: Ints) -> dict[int, str]:
        failed = np.flatnonzero(out[:, OUTCOME] == Outcome.FAILED).tolist()
        return {row: self._failures.pop(int(numbers[row])) for row in failed}

    def _prepare(self) -> None:
        """Write phases and due times into the rows whose places are free, and let the producer have them."""
        upto = min(self._last, self._taken + self._ring.size)
        first = self._prepared
        for rows in self._ring.pieces(first, upto):
            numbers = np.arange(first, first + len(rows))
            begin, end, phase = self._phases
            rows[:, PHASE] = np.where((numbers >= begin) & (numbers < end), phase, Phase.MEASURED)
            first += len(rows)
            self._write_due(rows)
        self._prepared = max(first, self._prepared)
        self._ring.words[LIMIT] = self._prepared

    def _write_due(self, rows: Ints) -> None:
        while len(rows):
            if not len(self._held):
                self._held = next(self._due, self._held)
                if not len(self._held):
                    return
            count = min(len(rows), len(self._held))
            rows[:count, DUE] = self._held[:count]
            rows, self._held = rows[count:], self._held[count:]

    # -------------------------------------------------------------- the end

    def _failed(self) -> HarnessError:
        file = self._file
        if file is not None and file.full is not None:
            return RunFailed(
                f"the records of the run do not fit on the disk: {file.full.strerror}",
                where=str(file.path or "a temporary file"),
                hint="Free some space. What was measured until then is saved.",
            )
        if isinstance(self._error, HarnessError):
            return self._error
        return RunFailed(f"the records cannot be written: {type(self._error).__name__}: {self._error}")

    def _rest(self, issued: int) -> RunRecords:
        """The requests that are still in the ring; one more than `issued` may have been offered."""
        layout, first = self._plan.layout, self._taken
        rows = self._ring.between(first, min(issued + 1, first + self._ring.size))
        kept = np.flatnonzero(rows[:, layout.base(0) + OFFERED])
        rows = rows[kept].copy()
        rows[rows[:, OUTCOME] == Outcome.PENDING, OUTCOME] = Outcome.ABORTED
        rows[_unstamped(rows, self._plan), OUTCOME] = Outcome.ABORTED
        return RunRecords(layout, rows, _at(self._failures, kept + first))


def _unstamped(rows: Ints, plan: Plan) -> NDArray[np.bool_]:
    """Completed requests that lack a stamp, because a worker was killed behind handing them on."""
    columns = plan.layout.columns
    lacking = np.zeros(len(rows), np.bool_)
    for stage in plan.layout.names:
        for stamp in STAMPS:
            lacking |= rows[:, columns[f"{stage}.{stamp}"]] == 0
    lacking &= rows[:, OUTCOME] == Outcome.COMPLETED
    return lacking


def _at(failures: Mapping[int, str], numbers: Ints) -> dict[int, str]:
    """Reasons by place among the rows of these numbers, ascending."""
    places = {row: int(np.searchsorted(numbers, row)) for row in failures}
    return {places[row]: why for row, why in failures.items() if row in numbers[places[row] : places[row] + 1]}
