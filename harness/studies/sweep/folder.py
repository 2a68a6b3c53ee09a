"""A sweep's folder: there is all of it or none, and its files can be read at every moment, however a process ends.

sweep.json     what was asked; it never changes           scenario.yaml  the scenario as given
cells/N.yaml   the scenario of each cell, every key        index.json     the run of each trial that has ended
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
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from harness import files
from harness.errors import SaveError, UsageError
from harness.scenario import Scenario, dump, load
from harness.store import SavedRun, list_runs
from harness.studies.sweep.grid import Trial
from harness.studies.sweep.spec import Spec

SCHEMA_VERSION = 1
SPEC, INDEX, CELLS, RUNS = "sweep.json", "index.json", "cells", "runs"
_MARK = re.compile(r"# sweep: cell (\d+), repeat (\d+)\n")


@dataclass(frozen=True)
class Entry:
    """How a trial ended. run: its folder, relative to the sweep's. machine: its number in the index."""

    trial: Trial
    status: Literal["completed", "failed", "interrupted"]
    run: str | None
    reason: str | None
    wall_s: float | None
    machine: int | None


@dataclass(frozen=True)
class Index:
    """What has ended, the latest entry of each trial, and the machines it ran on."""

    entries: Mapping[Trial, Entry]
    machines: tuple[Mapping[str, Any], ...]

    def pending(self, spec: Spec) -> list[Trial]:
        """Trials that have not completed, in their order. A failed one may be tried again."""
        return [t for t in spec.order if t not in self.entries or self.entries[t].status != "completed"]


@dataclass(frozen=True)
class SweepFolder:
    """A sweep on disk."""

    path: Path

    @classmethod
    def create(cls, root: Path, spec: Spec, scenarios: Sequence[Scenario]) -> SweepFolder:
        """A new one under `root`. scenarios: of each cell. Raises SaveError."""

        def fill(folder: Path) -> None:
            (folder / CELLS).mkdir()
            (folder / "scenario.yaml").write_text(spec.text, encoding="utf-8")
            for cell, scenario in zip(spec.cells, scenarios, strict=True):
                (folder / CELLS / f"{cell}.yaml").write_text(dump(scenario), encoding="utf-8")
            _write(folder / SPEC, {"schema_version": SCHEMA_VERSION, **spec.as_dict()})
            _write(folder / INDEX, {"schema_version": SCHEMA_VERSION, "machines": [], "entries": []})

        final = root / spec.scenario / f"sweep-{datetime.now():%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        try:
            files.new_folder(final, fill)
        except OSError as error:
            raise SaveError(f"cannot begin a sweep here: {error.strerror}", where=str(root)) from None
        return cls(final)

    @property
    def spec(self) -> Spec:
        """What was asked. Raises UsageError."""
        found = self._read(SPEC)
        try:
            return Spec.from_dict({key: value for key, value in found.items() if key != "schema_version"})
        except (KeyError, TypeError) as error:
            raise UsageError(f"not a sweep: {SPEC} has no proper {error}", where=str(self.path)) from None

    @property
    def index(self) -> Index:
        """What has ended so far. Raises UsageError."""
        found = self._read(INDEX)
        try:
            entries = [Entry(**{**entry, "trial": Trial(**entry["trial"])}) for entry in found["entries"]]
            return Index({entry.trial: entry for entry in entries}, tuple(found["machines"]))
        except (KeyError, TypeError) as error:
            raise UsageError(f"not a sweep: {INDEX} has no proper {error}", where=str(self.path)) from None

    @property
    def runs(self) -> Path:
        """The folder under which its runs are saved."""
        return self.path / RUNS

    def scenario(self, cell: int) -> Scenario:
        """Of a cell. Raises ScenarioError when what it names (a trace file) is no longer there."""
        return load(self.path / CELLS / f"{cell}.yaml")

    def run(self, entry: Entry) -> SavedRun | None:
        """Of an entry, if it was saved."""
        return SavedRun(self.path / entry.run) if entry.run else None

    def given(self, spec: Spec, trial: Trial, scenario: Scenario) -> str:
        """What a run's folder holds as the scenario that was given; its first line says of which trial."""
        settings = (*spec.settings_of(trial.cell), *spec.seed_of(trial, scenario))
        head = [f"# sweep: cell {trial.cell}, repeat {trial.repeat}", *(f"# --set {s}" for s in settings)]
        return "\n".join([*head, spec.text])

    def record(
        self, trial: Trial, status: Any, run: SavedRun | None, reason: str | None, wall_s: float | None
    ) -> Entry:
        """Note how a trial ended. The index is replaced at once, and is on disk when this returns. Raises SaveError."""
        index = self.index
        machines = list(index.machines)
        machine = None if run is None else _machine(run)
        if machine is not None and machine not in machines:
            machines.append(machine)
        where = None if run is None else str(run.path.relative_to(self.path))
        number = None if machine is None else machines.index(machine)
        entry = Entry(trial, status, where, reason, wall_s, number)
        entries = [asdict(e) for e in {**index.entries, trial: entry}.values()]
        _write(self.path / INDEX, {"schema_version": SCHEMA_VERSION, "machines": machines, "entries": entries})
        return entry

    def take_in(self, spec: Spec) -> None:
        """Note completed runs that were saved when the process ended before it could note them, and remove what it had
        begun to save. For whoever holds the lock. Raises SaveError."""
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

    def _read(self, name: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"not a sweep: {error}", where=str(self.path)) from None
        version = found.get("schema_version") if isinstance(found, dict) else None
        if not isinstance(version, int) or version > SCHEMA_VERSION:
            raise UsageError(
                f"not a sweep that is known here: {name} has schema_version {version}",
                where=str(self.path),
                hint=f"This harness reads up to {SCHEMA_VERSION}.",
            )
        return found


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


def _write(path: Path, document: Mapping[str, Any]) -> None:
    replace(path, (json.dumps(document, indent=1, allow_nan=False) + "\n").encode())


def _completed(run: SavedRun) -> bool:
    try:
        return bool(run.summary["status"] == "completed")
    except UsageError:  # it has no summary
        return False


def _machine(run: SavedRun) -> dict[str, Any] | None:
    """What must not change between the runs of a sweep if their figures are to be compared."""
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
