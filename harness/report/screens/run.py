"""One screen that answers: how slow is the tail, may the figure be believed, and where does it come from."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.numbers import ms, rate, significant
from harness.report.figures import WIDEST, first_line, header, placement, scheduling
from harness.report.screens import budget
from harness.report.screens.ladder import ladder
from harness.report.screens.look import LEVEL_STYLES, Look, Row, labelled
from harness.summary import QUANTILES, SloResult, Summary

LEVEL_WORDS = {"ok": "valid", "warning": "valid, with warnings", "invalid": "not valid"}
INTERVAL = "95 % interval"
INNER = [quantile.header for quantile in QUANTILES if quantile.level <= 0.99]
OUTER = [quantile.header for quantile in QUANTILES if quantile.level > 0.99]
KEYS = {quantile.header: quantile.key for quantile in QUANTILES}
LEAST_NEEDED = (
    (INTERVAL, "min", "max"),
    *((name,) for name in reversed(OUTER)),
    ("from",),
    *((name,) for name in reversed(INNER) if name not in ("p50", "p99")),
)
"""Columns of the quantiles, and the words after a label's comma, in the order in which a narrow screen loses them."""


def show(console: Console, summary: Summary) -> None:
    """Print a run's summary; readable at 80 columns and without colour."""
    console.width = min(console.width, WIDEST)
    look = Look(console)
    done = summary.requests.completed > 0
    console.print(_title(summary, look), "", sep="\n")
    if summary.error:
        console.print(Text(f"failed: {first_line(summary.error)}\n", style="bold red"))
    if done:
        console.print(_latency(summary, console, look))
    console.print(labelled(_load(summary)), "", sep="\n")
    if done:
        console.print(budget.title(summary), budget.budget(summary, look), "", sep="\n")
    if summary.model.rungs:
        measured = {key: summary.e2e[key] for key in ("p50", "p90", "p99")}
        console.print(Text("What models make of it", style="bold"), ladder(measured, summary.model.rungs))
        console.print(look.sentences(summary.model.meaning), "", sep="\n")
    for heading, rows in (
        ("Validity", _check_rows(summary, look)),
        ("SLO", [_slo_row(row, look) for row in summary.slo]),
        ("Failed requests", _failure_rows(summary, look)),
    ):
        if rows:
            console.print(Text(heading, style="bold"), look.marked(rows), "", sep="\n")
    console.print(labelled(_machine(summary)), "", sep="\n")
    console.print(Text("What it says", style="bold"), look.sentences(summary.findings), sep="\n")
    if summary.saved is not None:
        console.print(Text(f"\nSaved in {summary.saved}", style="dim"), soft_wrap=True)


def _title(summary: Summary, look: Look) -> Text:
    level = summary.validity
    when = summary.started_at.replace("T", " ")[:16]
    return Text.assemble(
        (summary.name, "bold"),
        (f"  {summary.executor}, {when}, {summary.status}  ", "dim"),
        (f"{look.levels[level]} {LEVEL_WORDS[level]}", LEVEL_STYLES[level]),
    )


def _latency(summary: Summary, console: Console, look: Look) -> Table:
    """The quantiles. What does not fit beside p50 and p99 is left out, the least needed first."""
    without: list[str] = []
    table = _quantile_table(summary, look, without)
    for names in LEAST_NEEDED:
        if console.measure(table, options=console.options.update(max_width=10_000)).maximum <= console.width:
            break
        without += names
        table = _quantile_table(summary, look, without)
    return table


def _quantile_table(summary: Summary, look: Look, without: Sequence[str]) -> Table:
    table = look.table()
    names = tuple(name for name in (*INNER, INTERVAL, *OUTER, "min", "max") if name not in without)
    for name in ("ms", *names):
        table.add_column(name, justify="left" if name == "ms" else "right", no_wrap=True)
    for label, latency in (("e2e latency, from due", summary.e2e), ("response, from issued", summary.response)):
        lo, hi = latency.p99_interval
        interval = "too few requests" if lo is None else f"{ms(lo)} {look.to} {ms(hi)}"
        if latency.p99 is None:
            interval = "no steady state"
        cells = (interval if name == INTERVAL else ms(latency[KEYS.get(name, name)]) for name in names)
        label = label.partition(",")[0] if "from" in without else label
        table.add_row(label, *cells, style="bold" if latency is summary.e2e else "")
    return table


def _load(summary: Summary) -> list[tuple[str, str]]:
    counts, load = summary.requests, summary.load
    if load.arrivals == "closed":
        text = f"closed, {load.concurrency} in flight; completed {rate(summary.throughput_rps)}"
    else:
        offered, completed = rate(summary.offered_rps), rate(summary.throughput_rps)
        text = f"{load.arrivals}; offered {offered}, completed {completed}"
    if load.calibrated_capacity_rps:
        text += f"; saturated rate {rate(load.calibrated_capacity_rps)}"
    parts = [f"{counts.completed:,} completed of {counts.issued:,}"]
    parts += [f"{count:,} {way}" for way, count in (("failed", counts.failed), ("dropped", counts.dropped)) if count]
    if counts.warmup:
        parts.append(f"after {counts.warmup:,} of warm-up")
    return [("Load", text), ("Requests", ", ".join(parts))]


def _check_rows(summary: Summary, look: Look) -> list[Row]:
    """A line for each check that is not ok, the worst first, and one for the rest."""
    rows: list[Row] = [
        (look.levels[level], LEVEL_STYLES[level], check.name, check.message)
        for level in ("invalid", "warning")
        for check in summary.checks
        if check.level == level
    ]
    fine = [check.name for check in summary.checks if check.level == "ok"]
    return [*rows, (look.levels["ok"], LEVEL_STYLES["ok"], "fine", ", ".join(fine))] if fine else rows


def _slo_row(row: SloResult, look: Look) -> Row:
    level = "ok" if row.met else "invalid"
    measured = "infinite" if row.infinite else f"{ms(row.measured_ms)} ms"
    why = f"; {row.why}" if row.why else ""
    text = f"{measured}, limit {ms(row.limit_ms)} ms{why}"
    return look.levels[level], LEVEL_STYLES[level], header(row.limit), text


def _failure_rows(summary: Summary, look: Look) -> list[Row]:
    reasons = sorted(summary.failures.items(), key=lambda item: -item[1])
    mark, style = look.levels["warning"], LEVEL_STYLES["warning"]
    rows: list[Row] = [(mark, style, f"{count:,}", first_line(reason)) for reason, count in reasons[:5]]
    return [*rows, ("", "", "", f"and {len(reasons) - 5} more reasons")] if len(reasons) > 5 else rows


def _machine(summary: Summary) -> list[tuple[str, str]]:
    startup = {
        name: " + ".join(f"{part.replace('_', ' ')} {significant(s, 2)} s" for part, s in parts.items() if s >= 0.005)
        for name, parts in summary.startup_s.items()
    }
    memory = ", ".join(f"{name} {mb:,.0f}" for name, mb in summary.memory.peak_rss_mb.items() if mb)
    rows = [
        ("Memory peak", f"{memory} MB"),
        ("Start-up", "; ".join(f"{name} {text}" for name, text in startup.items() if text)),
    ]
    for name, effective in summary.effective.items():
        change = effective.scaled_decode_difference
        if change:
            text = f"{name}: the output changes by {change.mean:.2g} on average, {change.largest:.2g} at most"
            rows.append(("Scaled decode", f"{text}, in normalised units"))
    producer = summary.effective.get("producer")
    if producer is not None and summary.load.arrivals != "closed":
        rows.append(("Producer", scheduling(producer.scheduling)))
    rows.append(("Pinned", placement(summary.effective)))
    during, waited = summary.system.during_run, summary.cpu_wait_s
    if during.steal is not None and during.idle is not None:
        longest = max(waited, key=lambda name: waited[name], default=None)
        queued = (
            f", {longest} waited {significant(waited[longest], 2)} s for a core"
            if longest and waited[longest] >= 0.1
            else ""
        )
        rows.append(("CPU", f"idle {during.idle:.0%}, steal {during.steal:.1%}{queued}"))
    return rows
