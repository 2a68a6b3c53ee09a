"""One screen that answers the question: how slow is the tail, may the figure be believed, and where does it come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDEST = 100
COMPONENTS = ("queue_wait", "batch_wait", "blocked", "service")
BAR_WIDTH = 12
LEVEL_STYLES = {"ok": "green", "warning": "yellow", "invalid": "bold red"}


class _Marks:
    """Symbols that the terminal can print."""

    def __init__(self, console: Console) -> None:
        plain = console.options.ascii_only
        self.levels = (
            {"ok": "+", "warning": "!", "invalid": "x"} if plain else {"ok": "✓", "warning": "!", "invalid": "✗"}
        )
        self.bar = "#" if plain else "█"
        self.bullet = "-" if plain else "•"


def show(console: Console, summary: Mapping[str, Any]) -> None:
    """Print a run's summary; readable at 80 columns and without colour."""
    marks = _Marks(console)
    console.width = min(console.width, WIDEST)
    console.print(_title(summary, marks))
    if summary.get("error"):
        console.print(Text(f"failed: {summary['error']}", style="bold red"))
    if summary["requests"]["completed"]:
        console.print(_latency(summary), _load(summary), "", sep="\n")
        console.print(_budget(summary, marks), "", sep="\n")
    else:
        console.print(_load(summary), "", sep="\n")
    for heading, rows in (
        (
            "Validity",
            [(marks.levels[c["level"]], LEVEL_STYLES[c["level"]], c["name"], c["message"]) for c in _by_level(summary)],
        ),
        ("SLO", [_slo_row(row, marks) for row in summary["slo"]]),
    ):
        if rows:
            console.print(_marked(heading, rows), "", sep="\n")
    _failures(console, summary, marks)
    console.print(_machine(summary), "", sep="\n")
    console.print(Text("What it says", style="bold"))
    sentences = Table.grid(padding=(0, 1))
    for sentence in summary["reading"]:
        sentences.add_row(Text(marks.bullet, style="dim"), Text(sentence))
    console.print(sentences)
    if "saved" in summary:
        console.print(Text(f"\nSaved in {summary['saved']}", style="dim"), soft_wrap=True)


def ms(value: float | None) -> str:
    """Milliseconds to three digits, or a dash."""
    if value is None:
        return "-"
    if abs(value) >= 999.5:
        return f"{value:,.0f}"
    if abs(value) >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 9.995 else f"{value:.2f}" if abs(value) >= 0.995 else f"{value:.3f}"


def _title(summary: Mapping[str, Any], marks: _Marks) -> Text:
    level = summary["validity"]
    words = {"ok": "valid", "warning": "valid, with warnings", "invalid": "not valid"}
    title = Text.assemble(
        (summary["name"], "bold"),
        (f"  {summary['executor']}, {summary['started_at'].replace('T', ' ')[:16]}, {summary['status']}  ", "dim"),
        (f"{marks.levels[level]} {words[level]}", LEVEL_STYLES[level]),
    )
    return title.append("\n")


def _latency(summary: Mapping[str, Any]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    for name in ("ms", "p50", "p90", "p95", "p99", "95 % interval", "p99.9", "min", "max"):
        table.add_column(name, justify="left" if name == "ms" else "right", no_wrap=True)
    for label, key in (("e2e latency, from due", "e2e_ms"), ("response, from issued", "response_ms")):
        row = summary[key]
        lo, hi = row["p99_ci"]
        interval = "too few requests" if lo is None else f"{ms(lo)} … {ms(hi)}"
        if row["p99"] is None:
            interval = "no steady state"
        bold = "bold" if key == "e2e_ms" else ""
        cells = [ms(row["p50"]), ms(row["p90"]), ms(row["p95"]), ms(row["p99"]), interval, ms(row["p999"])]
        table.add_row(Text(label, style=bold), *(Text(c, style=bold) for c in cells), ms(row["min"]), ms(row["max"]))
    return table


def _load(summary: Mapping[str, Any]) -> Text:
    counts, load = summary["requests"], summary["load"]
    parts = [f"{counts['issued']:,} requests: {counts['completed']:,} completed"]
    parts += [f"{counts[k]:,} {k}" for k in ("failed", "dropped") if counts[k]]
    first = ", ".join(parts)
    if load["arrivals"] == "closed":
        offered = f"closed load, {load['concurrency']} in flight"
    else:
        offered = f"{load['arrivals']} arrivals, offered {_rate(summary['offered_rps'])}"
    carried = f", completed {_rate(summary['throughput_rps'])}"
    capacity = load["calibrated_capacity_rps"]
    calibrated = f", capacity by calibration {_rate(capacity)}" if capacity else ""
    return Text(f"{first}; {offered}{carried}{calibrated}", style="dim")


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}/s" if value >= 1000 else f"{value:.3g}/s"


def _budget(summary: Mapping[str, Any], marks: _Marks) -> Table:
    """The latency budget: a line a component, with its share of the slowest 1 % and of the median requests."""
    tail = summary["tail"]
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim", title_justify="left")
    table.title = Text("Latency budget", style="bold")
    table.add_column("ms")
    table.add_column("")
    for name in ("p50", "p90", "p99"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("typical", justify="right", no_wrap=True)
    table.add_column(f"slowest 1 % ({tail['count']})", no_wrap=True)

    def share(key: str) -> tuple[str, Text]:
        slow = tail["shares"].get(key, 0.0)
        bar = Text(f"{slow:4.0%} ", style="bold" if slow >= 0.2 else "")
        return f"{tail['median_shares'].get(key, 0.0):.0%}", bar.append(
            marks.bar * round(slow * BAR_WIDTH), style="cyan"
        )

    late = summary["producer_lateness_ms"]
    table.add_row(Text("producer"), "lateness", ms(late["p50"]), ms(late["p90"]), ms(late["p99"]), *share("producer"))
    for name, stage in summary["stages"].items():
        busy = "" if stage["utilisation"] is None else f"{stage['utilisation']:.0%} busy"
        workers = f"{stage['workers']} workers, " if stage["workers"] > 1 else ""
        batch = f", batch {stage['batch_size']['mean']:.1f}" if (stage["batch_size"]["max"] or 1) > 1 else ""
        notes = iter([name, f"  {workers}{busy}", f"  capacity {stage['capacity']}{batch}"])
        for component in COMPONENTS:
            row = stage[f"{component}_ms"]
            if component in ("batch_wait", "blocked") and not row["max"]:
                continue
            label = next(notes, "")
            style = "bold" if label == name else "dim"
            cells = (ms(row["p50"]), ms(row["p90"]), ms(row["p99"]), *share(f"{name}.{component}"))
            table.add_row(Text(label, style=style), component.replace("_", " "), *cells)
            for part, figures in stage["parts"].items() if component == "service" else ():
                inner = (ms(figures["p50"]), ms(figures["p90"]), ms(figures["p99"]))
                table.add_row(Text(next(notes, ""), style="dim"), Text(f"  of it {part}", style="dim"), *inner)
        for label in notes:
            table.add_row(Text(label, style="dim"))
    rest = summary["residual_ms"]
    table.add_row(
        Text("between stamps", style="dim"), "", ms(rest["p50"]), ms(rest["p90"]), ms(rest["p99"]), *share("residual")
    )
    return table


def _by_level(summary: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return sorted(summary["checks"], key=lambda c: ("invalid", "warning", "ok").index(c["level"]))


def _slo_row(row: Mapping[str, Any], marks: _Marks) -> tuple[str, str, str, str]:
    level = "ok" if row["met"] else "invalid"
    text = f"{ms(row['measured_ms'])} ms, limit {ms(row['limit_ms'])} ms"
    return marks.levels[level], LEVEL_STYLES[level], row["limit"].replace("p999", "p99.9"), text


def _marked(heading: str, rows: Sequence[tuple[str, str, str, str]]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, show_header=False, title_justify="left")
    table.title = Text(heading, style="bold")
    for mark, style, name, text in rows:
        table.add_row(Text(mark, style=style), Text(name), Text(text))
    return table


def _failures(console: Console, summary: Mapping[str, Any], marks: _Marks) -> None:
    reasons = sorted(summary["failures"].items(), key=lambda item: -item[1])
    if reasons:
        rows = [
            (marks.levels["warning"], LEVEL_STYLES["warning"], f"{count:,}", reason) for reason, count in reasons[:5]
        ]
        console.print(_marked("Failed requests", rows), "", sep="\n")


def _machine(summary: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    memory = summary["memory"]["peak_rss_mb"]
    rows = [("Memory peak", ", ".join(f"{name} {mb:,.0f} MB" for name, mb in memory.items() if mb))]
    startup = {
        name: " + ".join(f"{part.replace('_', ' ')} {s:.2g} s" for part, s in parts.items() if s >= 0.005)
        for name, parts in summary["startup_s"].items()
    }
    rows.append(("Start-up", "; ".join(f"{name} {text}" for name, text in startup.items() if text)))
    during = summary["system"]["during_run"]
    if during.get("steal") is not None:
        waited = summary["cpu_wait_s"]
        longest = max(waited, key=lambda name: waited[name], default=None)
        queued = f", {longest} waited {waited[longest]:.2g} s for a core" if longest and waited[longest] >= 0.1 else ""
        rows.append(("CPU", f"idle {during['idle']:.0%}, steal {during['steal']:.1%}{queued}"))
    for label, text in rows:
        if text:
            table.add_row(Text(label, style="bold"), Text(text))
    return table


def list_runs(console: Console, rows: Sequence[tuple[str, Mapping[str, Any]]], root: str) -> None:
    """The table of `harness runs`."""
    if not rows:
        console.print(f"There are no runs under {root} yet: harness run scenarios/resnet18_cpu.yaml")
        return
    marks = _Marks(console)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("", "scenario", "started", "status", "requests", "rate", "p50 ms", "p99 ms", "95 % interval", "run"):
        table.add_column(name, justify="right" if name.endswith("ms") or name in ("requests", "rate") else "left")
    for index, (path, row) in enumerate(rows):
        lo, hi = row["p99_ci"]
        level = row["validity"]
        table.add_row(
            Text(marks.levels[level], style=LEVEL_STYLES[level]),
            Text(row["name"], style="bold"),
            row["started_at"].replace("T", " ")[:16],
            Text(row["status"], style="" if row["status"] == "completed" else "yellow"),
            f"{row['completed']:,}",
            _rate(row["throughput_rps"]),
            ms(row["p50_ms"]),
            ms(row["p99_ms"]),
            "-" if lo is None else f"{ms(lo)} … {ms(hi)}",
            Text(path.rpartition("/")[2] + (f"  last~{index}" if index else "  last"), style="dim"),
        )
    console.print(table)
