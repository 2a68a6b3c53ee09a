"""Saved runs: one folder each, `<root>/<scenario>/<timestamp>-<id>/`, complete or not there, never overwritten.

summary.json      what the run says about itself      records.parquet  every stamp of every request
scenario.yaml     the scenario as given               resolved.yaml    as run: every key, the rate that was found
environment.json  the machine and the software        failure.txt      a failed run's traceback and output
"""

from __future__ import annotations

import json
import math
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from harness import files, records
from harness.documents import Document
from harness.errors import SaveError, UsageError
from harness.records import RunRecords
from harness.summary import SUMMARY, Summary

DEFAULT_ROOT = Path("results")
SUMMARY_FILE, RECORDS, FAILURE = "summary.json", "records.parquet", "failure.txt"
_RUN = re.compile(r"\d{8}T\d{6}-[0-9a-f]{6}")


@dataclass(frozen=True)
class SavedRun:
    """A run's folder."""

    path: Path

    @property
    def summary(self) -> Summary:
        """Its summary, of whatever version. Raises UsageError, with the file and what is wrong with it."""
        if (self.path / RECORDS).is_file() and not (self.path / SUMMARY_FILE).exists():
            why = self.path / FAILURE
            raise UsageError(
                f"no summary: {RECORDS} is there, whole, and what is computed from it is not",
                where=str(self.path),
                hint=f"{why} says why." if why.is_file() else "",
            )
        return SUMMARY.read(self.path / SUMMARY_FILE)

    @property
    def records(self) -> RunRecords:
        """Its raw records. Raises UsageError."""
        return records.load(self.path / RECORDS)[0]


def save(root: Path, name: str, summary: Summary, raw: RunRecords, texts: Mapping[str, str]) -> SavedRun:
    """Write a run under `root`, as `new_folder` does. texts: further files by name."""

    def fill(folder: Path) -> None:
        write_raw(folder, name, summary.started_at, raw, texts)
        write_summary(folder, summary)

    return SavedRun(new_folder(root / name, fill, what="the run"))


def write_raw(
    folder: Path,
    name: str,
    started_at: Any,
    raw: RunRecords,
    texts: Mapping[str, str],
    written: Path | None = None,
) -> None:
    """Write all of a run but what is computed from its records; it is on disk when this returns.

    written: a file on this disk that holds the records already, to be moved.
    """
    if written is not None and written.exists():
        written.rename(folder / RECORDS)
    else:
        records.save(raw, folder / RECORDS, {"name": name, "started_at": started_at})
    for file, text in texts.items():
        write_text(folder / file, text)
    files.to_disk(folder)


def write_summary(folder: Path, summary: Summary) -> None:
    """Write a run's summary into its folder."""
    write_text(folder / SUMMARY_FILE, to_json(summary) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file, and in it what no UTF-8 can say as its escape."""
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def new_folder(home: Path, fill: Callable[[Path], None], *, what: str, prefix: str = "") -> Path:
    """Make `<home>/<prefix><timestamp>-<id>` and have it filled; it appears under its name when all of it is on disk.

    Where that cannot be, it is made in a new folder under the one for temporary files (`fill` is called again), and
    SaveError says so. what: is in it.
    """
    try:
        return _new_folder(home, fill, prefix)
    except (OSError, SaveError) as error:
        root, reason = home.parent, _reason(error)
        rescued = _rescued(home.name, fill, prefix)
        if rescued is None:
            raise SaveError(f"cannot save {what}: {reason}", where=str(root), hint="Free some space.") from None
        raise SaveError(
            f"cannot save {what} here: {reason}", where=str(root), hint=f"It is saved in {rescued}."
        ) from None


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or getattr(error, "what", error))


def _rescued(name: str, fill: Callable[[Path], None], prefix: str) -> Path | None:
    """In a folder that is nobody else's; None where that cannot be written either."""
    try:
        refuge = Path(tempfile.mkdtemp(prefix="harness-results-"))
    except OSError:
        return None
    try:
        return _new_folder(refuge / name, fill, prefix)
    except (OSError, SaveError):
        shutil.rmtree(refuge, ignore_errors=True)
        return None


def _new_folder(home: Path, fill: Callable[[Path], None], prefix: str) -> Path:
    final = home / f"{prefix}{_stamp()}-{secrets.token_hex(3)}"
    files.new_folder(final, fill)
    return final


def _stamp() -> str:
    return datetime.now().strftime("%Y%m%dT%H%M%S")


def to_json(document: Document | Mapping[str, Any]) -> str:
    """JSON with no NaN in it: what is not a number is null."""
    return json.dumps(_plain(document), indent=2, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Document):
        value = value.as_json()
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "item"):  # a NumPy scalar
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def list_runs(root: Path = DEFAULT_ROOT) -> Iterator[SavedRun]:
    """Every saved run under `root`, the newest first."""
    files: dict[Path, Path] = {}
    for name in (RECORDS, SUMMARY_FILE):  # one whose summary could not be computed is a run, too
        files |= {file.parent: file for file in root.glob(f"*/*/{name}") if _RUN.fullmatch(file.parent.name)}
    order = sorted(files, key=lambda run: (run.name[:15], files[run].stat().st_mtime_ns), reverse=True)
    return map(SavedRun, order)


def unfinished(root: Path = DEFAULT_ROOT) -> list[Path]:
    """Folders in which a run is being saved, or was when its process was killed."""
    return sorted(root.glob(f"*/{files.UNFINISHED}*"))


def find(reference: str, root: Path = DEFAULT_ROOT) -> SavedRun:
    """The run that a person means by a folder, `last`, `last~1`, or a scenario's name. Raises UsageError."""
    if any((Path(reference) / name).is_file() for name in (SUMMARY_FILE, RECORDS)):
        return SavedRun(Path(reference))
    counted = re.fullmatch(r"last(?:~(\d+))?", reference)
    runs = list(list_runs(root))
    if counted:
        back = int(counted[1] or 0)
        if back < len(runs):
            return runs[back]
        there = f"there are {len(runs)} runs" if runs else "there are no runs"
        raise UsageError(f"no run {reference!r}: {there} under {root}", hint="`harness runs` lists them.")
    named = next((run for run in runs if reference in (run.path.parent.name, run.path.name)), None)
    if named is None:
        names = sorted({run.path.parent.name for run in runs})
        known = f"the scenarios with runs are {', '.join(names)}" if names else f"there are no runs under {root}"
        raise UsageError(
            f"no run {reference!r}: {known}",
            hint="Give a run's folder, last, last~1, or a scenario's name; `harness runs` lists them.",
        )
    return named
