"""One screen that answers: how slow is the tail, may the figure be believed, and where does it come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report.figures import WIDEST, clusters, first_line, ms, placement, rate, scheduling
from harness.report.screens.ladder import ladder

ROOMY = 96  # columns from which on tables are spaced out
COMPONENTS = ("queue_wait", "batch_wait", "blocked", "service")
LEVEL_STYLES = {"ok": "green", "warning": "yellow", "invalid": "bold red"}
LEVEL_WORDS = {"ok": "valid", "warning": "valid, with warnings", "invalid": "not valid"}
LEAST_NEEDED = (("95 % interval", "min", "max"), ("p99.9",), ("from",), ("p95",), ("p90",))
"""Columns of the quantiles, and the words after a label's comma, in the order in which a narrow screen loses them."""
KEYS = {"p99.9": "p999"}
Row = tuple[str, ...]  # a mark, its style, and the texts beside it
NOTED = 0.005  # a share below it is shown dimly


class _Look:
    """What the terminal can show: symbols, and how much room there is."""

    def __init__(self, console: Console) -> None:
        plain = console.options.ascii_only
        self.levels = (
            {"ok": "+", "warning": "!", "invalid": "x"} if plain else {"ok": "✓", "warning": "!", "invalid": "✗"}
        )
        self.bar = "#" if plain else "█"
        self.bullet = "-" if plain else "•"
        self.to = ".." if plain else "…"
        self.gap = 2 if console.width >= ROOMY else 1
        self.bar_width = 20 if console.width >= ROOMY else 8

    def table(self, *, header: bool = True) -> Table:
        gap = self.gap if header else 1
        return Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, show_header=header, header_style="dim")


def show(console: Console, summary: Mapping[str, Any]) -> None:
    """Print a run's summary; readable at 80 columns and without colour."""
    console.width = min(console.width, WIDEST)
    look = _Look(console)
    console.print(_title(summary, look), "", sep="\n")
    if summary.get("error"):
        console.print(Text(f"failed: {first_line(summary['error'])}\n", style="bold red"))
    if summary["requests"]["completed"]:
        console.print(_latency(summary, console, look))
    console.print(_facts(_load(summary)), "", sep="\n")
    if summary["requests"]["completed"]:
        aside = ": no steady state, the waits grow while the load lasts" if _saturated(summary) else ""
        console.print(Text.assemble((f"Latency budget{aside}", "bold"), (_rests_on(summary["tail"]), "dim")))
        console.print(_budget(summary, look), "", sep="\n")
    if summary["model"].get("rungs"):
        console.print(
            Text("What models make of it", style="bold"), ladder(summary["e2e_ms"], summary["model"]["rungs"])
        )
        said: list[Row] = [(look.bullet, "dim", sentence) for sentence in summary["model"]["meaning"]]
        console.print(_marked(said, look), "", sep="\n")
    for heading, rows in (
        ("Validity", _check_rows(summary, look)),
        ("SLO", [_slo_row(row, look) for row in summary["slo"]]),
        ("Failed requests", _failure_rows(summary, look)),
    ):
        if rows:
            console.print(Text(heading, style="bold"), _marked(rows, look), "", sep="\n")
    console.print(_facts(_machine(summary)), "", sep="\n")
    sentences: list[Row] = [(look.bullet, "dim", sentence) for sentence in summary["reading"]]
    console.print(Text("What it says", style="bold"), _marked(sentences, look), sep="\n")
    if "saved" in summary:
        console.print(Text(f"\nSaved in {summary['saved']}", style="dim"), soft_wrap=True)


def _title(summary: Mapping[str, Any], look: _Look) -> Text:
    level = summary["validity"]
    when = summary["started_at"].replace("T", " ")[:16]
    return Text.assemble(
        (summary["name"], "bold"),
        (f"  {summary['executor']}, {when}, {summary['status']}  ", "dim"),
        (f"{look.levels[level]} {LEVEL_WORDS[level]}", LEVEL_STYLES[level]),
    )


def _latency(summary: Mapping[str, Any], console: Console, look: _Look) -> Table:
    """The quantiles. What does not fit beside p50 and p99 is left out, the least needed first."""
    without: list[str] = []
    table = _quantile_table(summary, look, without)
    for names in LEAST_NEEDED:
        if console.measure(table, options=console.options.update(max_width=10_000)).maximum <= console.width:
            break
        without += names
        table = _quantile_table(summary, look, without)
    return table


def _quantile_table(summary: Mapping[str, Any], look: _Look, without: Sequence[str]) -> Table:
    table = look.table()
    every = ("p50", "p90", "p95", "p99", "95 % interval", "p99.9", "min", "max")
    names = tuple(name for name in every if name not in without)
    for name in ("ms", *names):
        table.add_column(name, justify="left" if name == "ms" else "right", no_wrap=True)
    for label, key in (("e2e latency, from due", "e2e_ms"), ("response, from issued", "response_ms")):
        row = summary[key]
        lo, hi = row["p99_ci"]
        interval = "too few requests" if lo is None else f"{ms(lo)} {look.to} {ms(hi)}"
        if row["p99"] is None:
            interval = "no steady state"
        cells = (interval if name == "95 % interval" else ms(row[KEYS.get(name, name)]) for name in names)
        label = label.partition(",")[0] if "from" in without else label
        table.add_row(label, *cells, style="bold" if key == "e2e_ms" else "")
    return table


def _load(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    counts, load = summary["requests"], summary["load"]
    if load["arrivals"] == "closed":
        text = f"closed, {load['concurrency']} in flight; completed {rate(summary['throughput_rps'])}"
    else:
        offered, completed = rate(summary["offered_rps"]), rate(summary["throughput_rps"])
        text = f"{load['arrivals']}; offered {offered}, completed {completed}"
    capacity = load["calibrated_capacity_rps"]
    if capacity:
        text += f"; saturated rate {rate(capacity)}"
    parts = [f"{counts['completed']:,} completed of {counts['issued']:,}"]
    parts += [f"{counts[k]:,} {k}" for k in ("failed", "dropped") if counts[k]]
    if counts["warmup"]:
        parts.append(f"after {counts['warmup']:,} of warm-up")
    return [("Load", text), ("Requests", ", ".join(parts))]


def _budget(summary: Mapping[str, Any], look: _Look) -> Table:
    """The latency budget: a line a component, with its share of the median requests and of the slowest 1 %."""
    tail, saturated = summary["tail"], _saturated(summary)
    ranges = tail.get("share_ranges") or {}
    table = look.table()
    table.add_column("ms", no_wrap=True)
    table.add_column("", no_wrap=True)
    for name in ("p50", "p90", "p99", "typical"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("slowest 1 %", no_wrap=True)

    def add(label: Text | str, what: str, figures: Mapping[str, Any], key: str) -> None:
        slow, typical = tail["shares"].get(key, 0.0), tail["median_shares"].get(key, 0.0)
        style = "" if max(slow, typical) >= NOTED else "dim"
        bar = Text(f"{slow:4.0%} ", style=style or ("bold" if slow >= 0.2 else ""))
        bar.append(look.bar * round(slow * look.bar_width), style="cyan")
        if key in ranges and not style:
            low, high = ranges[key]
            bar.append(f" {100 * low:.0f}-{high:.0%}", style="dim")
        meaningful = not saturated or key.endswith(".service")
        quantiles = _quantiles(figures) if meaningful else ("-", "-", "-")
        cells = (Text(text, style=style) for text in (what, *quantiles, f"{typical:.0%}"))
        table.add_row(label, *cells, bar)

    own = summary.get("producer_own_lateness_ms", summary["producer_lateness_ms"])  # earlier versions had the one only
    add("producer", "lateness", own, "producer")
    for name, stage in summary["stages"].items():
        labels = iter([Text(name, style="bold"), *(Text(f"  {note}", style="dim") for note in _notes(stage))])
        for component in COMPONENTS:
            row = stage[f"{component}_ms"]
            if component == "batch_wait" and not row["max"]:
                continue  # the stage serves one request at a time
            add(next(labels, ""), component.replace("_", " "), row, f"{name}.{component}")
            for part, figures in stage["parts"].items() if component == "service" else ():
                cells = (Text(text, style="dim") for text in (f"  of it {part}", *_quantiles(figures)))
                table.add_row(next(labels, ""), *cells)
        for label in labels:
            table.add_row(label)
    rest = summary["residual_ms"]
    if ms(rest["p99"]) != "0":
        add("between stamps", "", rest, "residual")
    return table


def _rests_on(tail: Mapping[str, Any]) -> str:
    """What the shares of the slowest 1 % rest on; runs of earlier versions do not say."""
    if not tail.get("clusters"):
        return ""
    ranges = "; lo-hi: without any one" if tail["share_ranges"] else ""
    return f"  slowest 1 %: {clusters(tail['count'], tail['clusters'])}{ranges}"


def _saturated(summary: Mapping[str, Any]) -> bool:
    return summary["steady_state"] is not None and bool(summary["steady_state"]["verdict"] == "saturated")


def _notes(stage: Mapping[str, Any]) -> list[str]:
    """What stands below a stage's name."""
    busy = "" if stage["utilisation"] is None else f"{stage['utilisation']:.0%} busy"
    workers = f"{stage['workers']} workers" if stage["workers"] > 1 else ""
    batch = f"batch {stage['batch_size']['mean']:.1f}" if (stage["batch_size"]["max"] or 1) > 1 else ""
    lines = [
        ", ".join(filter(None, (workers, busy))),
        ", ".join(filter(None, (f"capacity {stage['capacity']:,}", batch))),
    ]
    return [line for line in lines if line]


def _quantiles(figures: Mapping[str, Any]) -> tuple[str, str, str]:
    return ms(figures["p50"]), ms(figures["p90"]), ms(figures["p99"])


def _check_rows(summary: Mapping[str, Any], look: _Look) -> list[Row]:
    """A line for each check that is not ok, the worst first, and one for the rest."""
    rows: list[Row] = [
        (look.levels[level], LEVEL_STYLES[level], check["name"], check["message"])
        for level in ("invalid", "warning")
        for check in summary["checks"]
        if check["level"] == level
    ]
    fine = [check["name"] for check in summary["checks"] if check["level"] == "ok"]
    return [*rows, (look.levels["ok"], LEVEL_STYLES["ok"], "fine", ", ".join(fine))] if fine else rows


def _slo_row(row: Mapping[str, Any], look: _Look) -> Row:
    level = "ok" if row["met"] else "invalid"
    measured = "infinite" if row.get("infinite") else f"{ms(row['measured_ms'])} ms"
    why = f"; {row['why']}" if row.get("why") else ""  # runs saved by earlier versions do not say
    text = f"{measured}, limit {ms(row['limit_ms'])} ms{why}"
    return look.levels[level], LEVEL_STYLES[level], row["limit"].replace("p999", "p99.9"), text


def _failure_rows(summary: Mapping[str, Any], look: _Look) -> list[Row]:
    reasons = sorted(summary["failures"].items(), key=lambda item: -item[1])
    mark, style = look.levels["warning"], LEVEL_STYLES["warning"]
    rows: list[Row] = [(mark, style, f"{count:,}", first_line(reason)) for reason, count in reasons[:5]]
    return [*rows, ("", "", "", f"and {len(reasons) - 5} more reasons")] if len(reasons) > 5 else rows


def _marked(rows: Iterable[Row], look: _Look) -> Table:
    table = look.table(header=False)
    for mark, style, *texts in rows:
        table.add_row(Text(mark, style=style), *map(Text, texts))
    return table


def _facts(rows: Sequence[tuple[str, str]]) -> Table:
    """Labels and texts that fold beside them."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", min_width=11)
    for label, text in rows:
        if text:
            table.add_row(label, Text(text))
    return table


def _machine(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    memory = summary["memory"]["peak_rss_mb"]
    startup = {
        name: " + ".join(f"{part.replace('_', ' ')} {s:.2g} s" for part, s in parts.items() if s >= 0.005)
        for name, parts in summary["startup_s"].items()
    }
    rows = [
        ("Memory peak", ", ".join(f"{name} {mb:,.0f}" for name, mb in memory.items() if mb) + " MB"),
        ("Start-up", "; ".join(f"{name} {text}" for name, text in startup.items() if text)),
    ]
    for name, effective in summary["effective"].items():
        change = effective.get("scaled_decode_difference")
        if change:
            text = f"{name}: the output changes by {change['mean']:.2g} on average, {change['largest']:.2g} at most"
            rows.append(("Scaled decode", f"{text}, in normalised units"))
    producer = scheduling(summary["effective"].get("producer", {}).get("scheduling", {}))
    if producer and summary["load"]["arrivals"] != "closed":
        rows.append(("Producer", producer))
    rows.append(("Pinned", placement(summary["effective"])))
    during = summary["system"]["during_run"]
    if during.get("steal") is not None:
        waited = summary["cpu_wait_s"]
        longest = max(waited, key=lambda name: waited[name], default=None)
        queued = f", {longest} waited {waited[longest]:.2g} s for a core" if longest and waited[longest] >= 0.1 else ""
        rows.append(("CPU", f"idle {during['idle']:.0%}, steal {during['steal']:.1%}{queued}"))
    return rows


def list_runs(console: Console, rows: Sequence[tuple[str, Mapping[str, Any]]], root: str) -> None:
    """The table of `harness runs`: path and figures of every run, the newest first; `unreadable` if it has none."""
    if not rows:
        console.print(f"There are no runs under {root} yet: harness run scenarios/resnet18_cpu.yaml", soft_wrap=True)
        return
    look = _Look(console)
    wide, widest = console.width >= 110, console.width >= 136
    table = look.table()
    for name, shown in (("run", True), ("scenario", True), ("started", True), ("folder", widest)):
        if shown:
            table.add_column(name, no_wrap=True, overflow="ellipsis")
    for name in ("completed", *(("rate",) if wide else ()), "p50 ms", "p99 ms", *(("95 % interval",) if wide else ())):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for index, (path, row) in enumerate(rows):
        label = Text(f"last~{index}" if index else "last", style="dim")
        if "unreadable" in row:
            blank = ["-"] * (len(table.columns) - 3)
            verdict = Text(f"{look.levels['invalid']} unreadable", style=LEVEL_STYLES["invalid"])
            table.add_row(label, Text(row["name"], style="bold"), *blank, verdict)
            continue
        lo, hi = row["p99_ci"]
        interval = "-" if lo is None else f"{ms(lo)} {look.to} {ms(hi)}"
        level = row["validity"]
        ended = "" if row["status"] == "completed" else f" {row['status']}"
        table.add_row(
            label,
            Text(row["name"], style="bold"),
            row["started_at"].replace("T", " ")[:16],
            *((Text(path.rpartition("/")[2], style="dim"),) if widest else ()),
            f"{row['completed']:,}",
            *((rate(row["throughput_rps"]),) if wide else ()),
            ms(row["p50_ms"]),
            ms(row["p99_ms"]),
            *((interval,) if wide else ()),
            Text(f"{look.levels[level]}{ended}", style=LEVEL_STYLES[level]),
        )
    console.print(table)
