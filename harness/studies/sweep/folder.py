"""A sweep's folder: there is all of it or none, and its files can be read at every moment, however a process ends.

sweep.json     what was asked; it never changes           scenario.yaml  the scenario as given
cells/N.yaml   the scenario of each variant, every key       index.json     the run of each trial that has ended
runs/          the runs, as `harness run --out` saves them
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from harness import files
from harness.documents import Document, Kind
from harness.errors import SaveError, UsageError
from harness.scenario import Scenario, dump, load
from harness.store import SavedRun, list_runs
from harness.studies.sweep.spec import SWEEP, Spec
from harness.studies.sweep.trials import Trial

SPEC, INDEX, CELLS, RUNS = "sweep.json", "index.json", "cells", "runs"
_MARK = re.compile(r"# sweep: cell (\d+), repeat (\d+)\n")


Status = Literal["completed", "failed", "interrupted"]
Machine = Mapping[str, str | int | float | None]
"""What must not change between the runs of a sweep if their figures are to be compared, by name."""


class Entry(Document):
    """How a trial ended."""

    trial: Trial
    status: Status
    run: str | None
    """Folder of its run, relative to the sweep's."""
    reason: str | None
    """Why it failed."""
    wall_s: float | None
    """How long it took in all."""
    machine: int | None
    """Position of its machine in the index, from 0."""


class SavedIndex(Document):
    """index.json."""

    schema_version: int = 1
    machines: tuple[Machine, ...]
    entries: tuple[Entry, ...]


INDEXED = Kind("the index of a sweep", SavedIndex)


@dataclass(frozen=True)
class Index:
    """The latest entry of each trial that has ended, and the machines on which they ran."""

    entries: Mapping[Trial, Entry]
    machines: tuple[Machine, ...]

    def pending(self, spec: Spec) -> list[Trial]:
        """Trials that have not completed, in their order; a failed one is tried again."""
        return [t for t in spec.order if t not in self.entries or self.entries[t].status != "completed"]


@dataclass(frozen=True)
class SweepFolder:
    """A sweep on disk."""

    path: Path

    @classmethod
    def create(cls, root: Path, spec: Spec, scenarios: Sequence[Scenario]) -> SweepFolder:
        """A new one under `root`. scenarios: of each variant, in their order. Raises SaveError."""

        def fill(folder: Path) -> None:
            (folder / CELLS).mkdir()
            (folder / "scenario.yaml").write_text(spec.text, encoding="utf-8")
            for number, scenario in zip(spec.variants, scenarios, strict=True):
                (folder / CELLS / f"{number}.yaml").write_text(dump(scenario), encoding="utf-8")
            _write(folder / SPEC, spec)
            _write(folder / INDEX, SavedIndex(machines=(), entries=()))

        final = root / spec.scenario / f"sweep-{datetime.now():%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        try:
            files.new_folder(final, fill)
        except OSError as error:
            raise SaveError(f"cannot begin a sweep here: {error.strerror}", where=str(root)) from None
        return cls(final)

    @property
    def spec(self) -> Spec:
        """What was asked. Raises UsageError."""
        return SWEEP.read(self.path / SPEC)

    @property
    def index(self) -> Index:
        """What has ended so far. Raises UsageError."""
        found = INDEXED.read(self.path / INDEX)
        return Index({entry.trial: entry for entry in found.entries}, found.machines)

    @property
    def runs(self) -> Path:
        """The folder under which its runs are saved."""
        return self.path / RUNS

    def scenario(self, variant: int) -> Scenario:
        """The scenario of a variant. Raises ScenarioError when what it names (a trace file) is no longer there."""
        return load(self.path / CELLS / f"{variant}.yaml")

    def run(self, entry: Entry) -> SavedRun | None:
        """The run of an entry, if it was saved."""
        return SavedRun(self.path / entry.run) if entry.run else None

    def given(self, spec: Spec, trial: Trial, scenario: Scenario) -> str:
        """The scenario.yaml of a trial's run: the scenario as given, with the trial in the first line."""
        overrides = (*spec.overrides_of(trial.variant), *spec.seed_of(trial, scenario))
        head = [f"# sweep: cell {trial.variant}, repeat {trial.repeat}", *(f"# --set {s}" for s in overrides)]
        return "\n".join([*head, spec.text])

    def record(
        self, trial: Trial, status: Status, run: SavedRun | None, reason: str | None, wall_s: float | None
    ) -> Entry:
        """Note how a trial ended. The index is replaced at once, and is on disk when this returns. Raises SaveError."""
        index = self.index
        machines = list(index.machines)
        machine = None if run is None else _machine(run)
        if machine is not None and machine not in machines:
            machines.append(machine)
        where = None if run is None else str(run.path.relative_to(self.path))
        number = None if machine is None else machines.index(machine)
        entry = Entry(trial=trial, status=status, run=where, reason=reason, wall_s=wall_s, machine=number)
        entries = {**index.entries, trial: entry}.values()
        _write(self.path / INDEX, SavedIndex(machines=tuple(machines), entries=tuple(entries)))
        return entry

    def take_in(self, spec: Spec) -> None:
        """Note completed runs that were saved but not noted when the process ended, and remove half-saved ones.

        Only for the process that holds the lock. Raises SaveError.
        """
        for left in self.runs.glob(f"*/{files.UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)
        index = self.index
        pending, known = set(index.pending(spec)), {entry.run for entry in index.entries.values()}
        for run in list_runs(self.runs):
            if str(run.path.relative_to(self.path)) in known or not _completed(run):
                continue
            mark = _MARK.match((run.path / "scenario.yaml").read_text(encoding="utf-8"))
            trial = Trial(int(mark[1]), int(mark[2])) if mark else None
            if trial in pending:
                self.record(trial, "completed", run, None, None)
                pending.discard(trial)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from running this sweep; the kernel ends it with the process. Raises UsageError."""
        with (self.path / SPEC).open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UsageError("another process is running this sweep", where=str(self.path)) from None
            yield


def find(reference: str, root: Path) -> SweepFolder:
    """The sweep that a person means: its folder, or `last` for the newest under `root`. Raises UsageError."""
    if (Path(reference) / SPEC).is_file():
        return SweepFolder(Path(reference))
    if reference != "last":
        raise UsageError("not the folder of a sweep", where=reference, hint=f"Give one that holds {SPEC}, or last.")
    found = sorted(root.glob(f"*/sweep-*/{SPEC}"), key=lambda file: file.parent.name)
    if not found:
        raise UsageError("there are no sweeps", where=str(root))
    return SweepFolder(found[-1].parent)


def replace(path: Path, data: bytes) -> None:
    """Put a new file in the place of an old one: a reader finds one of the two, whenever the process or the machine
    stops. Raises SaveError."""
    try:
        files.replace(path, data)
    except OSError as error:
        raise SaveError(f"cannot write it: {error.strerror}", where=str(path)) from None


def _write(path: Path, document: Document) -> None:
    replace(path, (json.dumps(document.as_json(), indent=1, allow_nan=False) + "\n").encode())


def _completed(run: SavedRun) -> bool:
    try:
        return run.summary.status == "completed"
    except UsageError:  # it has no summary
        return False


def _machine(run: SavedRun) -> Machine | None:
    """That of a run; None where its environment.json does not say."""
    try:
        found = json.loads((run.path / "environment.json").read_text(encoding="utf-8"))
        return {
            "cpu": found["cpu"]["model"],
            "cores": found["cpu"]["usable_cores"],
            "memory_gb": round((found["memory"]["total_mb"] or 0) / 1000),
            "kernel": found["platform"]["kernel"],
            "python": found["python"]["version"],
            "commit": ((found["git"] or {}).get("commit") or "")[:10] or None,
            **{name: version for name, version in found["libraries"].items() if version},
        }
    except (OSError, ValueError, KeyError, TypeError):
        return None
