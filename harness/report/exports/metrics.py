"""A table of runs in a Markdown file: one row a run, made from its summary, kept up to date."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from harness import files
from harness.errors import SaveError, UsageError
from harness.numbers import ms, significant
from harness.scenario.model import DEFAULT_EXECUTOR
from harness.summary import Distribution, Summary
from harness.text import printable

STAGES = ("preprocess", "inference", "postprocess")
BEGIN, END = "<!-- harness metrics: begin -->", "<!-- harness metrics: end -->"
LEADING = 6
"""Columns of text; those behind them are figures."""
NONE = "-"
Row = dict[str, str]


def row(run: str, summary: Summary) -> Row:
    """A run's row: column -> cell. run: the name of its folder, which tells the row from all others."""
    system, git = summary.system, summary.system.git
    every = {name: mb for name, mb in summary.memory.peak_rss_mb.items() if mb is not None}
    memory = {name: mb for name, mb in every.items() if name != "harness"} or every  # who supervises is no part of it
    devices = sorted({e.device for e in summary.effective.values() if e.device})
    cores = f", {system.cores:g} cores" if system.cores else ""
    services = {name: summary.stages[name].service if name in summary.stages else None for name in STAGES}
    cells = {
        "run": run,
        "scenario": summary.name + ("" if summary.executor == DEFAULT_EXECUTOR else f", {summary.executor}"),
        "platform": f"{system.cpu or NONE}{cores}",
        "Python": system.python,
        "torch": system.libraries.get("torch"),
        "device": " ".join(devices) or "cpu",
        "e2e p50 / p99 ms": _pair(summary.e2e),
        **{f"{name} p50 / p99 ms": _pair(service) for name, service in services.items()},
        "throughput /s": None if summary.throughput_rps is None else significant(summary.throughput_rps, 4),
        "peak RSS MB": f"{max(memory.values()):,.0f}" if memory else None,
        "validity": summary.validity,
        "commit": f"{git.commit[:8]}{'+' if git.dirty else ''}" if git else None,
    }
    return {column: printable(re.sub(r"\s+", " ", (cell or NONE).replace("|", "/"))) for column, cell in cells.items()}


def table(rows: Iterable[Row]) -> str:
    """The rows as a Markdown table, the oldest run first."""
    ordered = sorted(rows, key=lambda cells: cells["run"])
    columns = list(dict.fromkeys(column for cells in ordered for column in cells))
    rule = ["---" if index < LEADING else "---:" for index in range(len(columns))]
    lines = [columns, rule, *([cells.get(column, NONE) for column in columns] for cells in ordered)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def update(path: Path, rows: Iterable[Row]) -> int:
    """Put rows into the table of a file and return how many it then has. A run that has a row gets it anew.

    The table stands between two comments; all other text stays as it is. A file without them gets them at its end.
    Raises UsageError and SaveError.
    """
    try:
        text = path.read_bytes().decode("utf-8") if path.exists() else "# Metrics\n"
        if (BEGIN in text) != (END in text) or text.find(END) < text.find(BEGIN):
            raise UsageError(f"the table's comments are not a pair: {BEGIN} ... {END}", where=str(path))
        if BEGIN not in text:
            text = f"{text.rstrip()}\n\n{BEGIN}\n{END}\n"
        before, _, rest = text.partition(BEGIN)
        inside, _, after = rest.partition(END)
        known = {cells["run"]: cells for cells in (*_parse(inside, path), *rows)}
        files.replace(path, f"{before}{BEGIN}\n{table(known.values())}\n{END}{after}")
    except (OSError, UnicodeDecodeError) as error:
        raise SaveError(f"cannot update the table: {error}", where=str(path)) from None
    return len(known)


def _parse(text: str, path: Path) -> list[Row]:
    """The rows of a table. Raises UsageError when it is none of ours."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    if not lines:
        return []
    header, *rest = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    if header[0] != "run" or any(len(cells) != len(header) for cells in rest):
        raise UsageError(
            "between the comments there is no table of runs", where=str(path), hint="Remove what is there."
        )
    return [dict(zip(header, cells, strict=True)) for cells in rest[1:]]


def _pair(times: Distribution | None) -> str | None:
    return None if times is None or times.p50 is None else f"{ms(times.p50)} / {ms(times.p99)}"
