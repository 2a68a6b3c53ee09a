"""The screen of a comparison: is it faster, by how much, and how sure is that."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.numbers import ms, percent, rate
from harness.report.console import new_table
from harness.report.figures import WIDEST, first_line
from harness.studies.compare.document import ComparisonDocument, GateResult, Pair
from harness.studies.compare.equivalence import Equivalence, OutputDifference
from harness.studies.compare.findings import requests

VERDICTS = {
    "faster": "bold green",
    "slower": "bold red",
    "no difference": "",
    "inconclusive": "yellow",
    "declined": "yellow",
}
JUDGED = {"kept": "green", "failed": "bold red", "undecided": "yellow", "not judged": "bold red"}
LEVELS = {"warning": "yellow", "invalid": "bold red"}
LEAST_NEEDED = ("difference interval", "difference")
"""Columns in the order in which a narrow screen loses them."""
SHOWN_ORDER = 6
_SERVICE = re.compile(r"stages\.(.+)\.service\.(.+)")


def show(console: Console, document: ComparisonDocument) -> None:
    """Print a comparison; readable at 80 columns and without colour."""
    console.width = min(console.width, WIDEST)
    console.print(_title(document))
    if document.error:
        console.print(Text(f"failed: {first_line(document.error)}", style="bold red"))
    console.print("", _sides(document), "", sep="\n")
    facts = [*_load(document), *_equivalence(document.equivalence)]
    if facts:
        console.print(_facts(facts), "", sep="\n")
    labels = {side.name: side.label for side in document.sides}
    for pair in document.comparisons:
        heading = Text(f"{pair.b} against {pair.a}", style="bold").append(f"  {labels[pair.b]}", style="not bold dim")
        console.print(heading, _pair(pair, console), *_below(pair), "", sep="\n")
    if document.comparisons:
        console.print(_legend(document.comparisons[0]), "", sep="\n")
    doubts = _doubts(document)
    if doubts:
        console.print(Text("Validity", style="bold"), *doubts, "", sep="\n")
    if document.gate:
        console.print(Text("Limits", style="bold"), _gate(document.gate), "", sep="\n")
    said = [*_misses(document.equivalence), *document.findings, *document.caveats]
    console.print(Text("What it says", style="bold"), _bullets(said, console), sep="\n")
    if document.saved is not None:
        console.print(Text(f"\nSaved in {document.saved}", style="dim"), soft_wrap=True)


def _title(document: ComparisonDocument) -> Text:
    when = document.started_at.replace("T", " ")[:16]
    parts = ["comparison of runs" if document.kind == "runs" else "comparison", when, document.status]
    return Text.assemble((document.name, "bold"), (f"  {', '.join(filter(None, parts))}", "dim"))


def _sides(document: ComparisonDocument) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for side in document.sides:
        notes = []
        if side.saturated_rps:
            notes.append(f"carries {rate(side.saturated_rps)}")
        lost = {key: side.requests.get(key, 0) for key in ("failed", "dropped", "aborted")}
        notes += [f"{count:,} {key}" for key, count in lost.items() if count]
        table.add_row(Text(side.name, style="bold"), Text(side.label), Text(", ".join(notes), style="dim"))
    return table


def _load(document: ComparisonDocument) -> list[tuple[str, str]]:
    load, blocks = document.load, document.blocks
    if load is None or blocks is None:
        return [("Differs", f"{d.what}: {d.a} and {d.b}") for d in document.differences]
    text = f"{load.arrivals}, {load.concurrency} in flight" if load.concurrency else load.arrivals
    if load.offered_rps:
        text += f", {rate(load.offered_rps)} for all"
    if load.utilisation_of_a:
        text += f" ({percent(load.utilisation_of_a, 2)} of what a carries)"
    count = (
        f"{blocks.complete}" if blocks.complete == blocks.planned else f"{blocks.complete} complete of {blocks.planned}"
    )
    turns = " ".join(document.order[:SHOWN_ORDER]) + (" ..." if len(document.order) > SHOWN_ORDER else "")
    each = f"{blocks.requests:,} requests a side" + (f" after {blocks.warmup:,}" if blocks.warmup else "")
    return [("Load", text), ("Blocks", f"{count}, each of {each}, in the order {turns}")]


def _equivalence(equivalence: Equivalence | None) -> list[tuple[str, str]]:
    if equivalence is None:
        return []
    if equivalence.skipped is not None:
        return [("Outputs", f"not compared: {equivalence.skipped}")]
    limits = vars(equivalence.tolerance).values()
    judged = any(limit is not None for limit in limits)
    rows = []
    for pair in equivalence.pairs:
        outputs = (("tensors", pair.tensor), ("logits", pair.logits))
        parts = [f"{name} {_apart(difference)}" for name, difference in outputs if difference is not None]
        if pair.top1 is not None:
            parts.append(f"top-1 the same for {pair.top1.same} of {pair.top1.of}")
        verdict = "differ" if pair.misses else "within the tolerance" if judged else "no tolerance set"
        label = "Outputs" if len(equivalence.pairs) == 1 else f"Outputs of {pair.b}"
        rows.append((label, f"{verdict}, on {equivalence.images} images: {'; '.join(parts)}"))
    return rows


def _apart(difference: OutputDifference) -> str:
    if difference.shapes is not None:
        return f"of shapes {' and '.join(difference.shapes)}"
    if difference.largest is None or difference.mean is None:
        return "of no image on both sides"
    if not difference.largest:
        return "equal"
    return f"differ by {difference.largest:.2g} at most, {difference.mean:.2g} on average"


def _misses(equivalence: Equivalence | None) -> list[str]:
    """Why nothing was measured."""
    pairs = equivalence.pairs if equivalence is not None else ()
    told = [f"{pair.b} does not compute the same as {pair.a}: {miss}." for pair in pairs for miss in pair.misses]
    if told:
        told.append("Nothing was measured. --tolerance tensor=X allows more; --tolerance none measures all the same.")
    return told


def _pair(pair: Pair, console: Console) -> Table:
    """The metrics of one comparison. Columns that do not fit are left out, the least needed first."""
    without: list[str] = []
    to = ".." if console.options.ascii_only else "…"
    table = _metrics(pair, without, to)
    for name in LEAST_NEEDED:
        if console.measure(table, options=console.options.update(max_width=10_000)).maximum <= console.width:
            break
        without.append(name)
        table = _metrics(pair, without, to)
    return table


def _metrics(pair: Pair, without: Sequence[str], to: str) -> Table:
    table = new_table()
    confidence = f"{percent(pair.confidence, 2)} interval"
    columns = {
        "metric": "",
        "a": pair.a,
        "b": pair.b,
        "difference": "difference",
        "difference interval": confidence,
        "ratio": "ratio",
        "ratio interval": confidence,
        "sees": "sees",
        "verdict": "verdict",
    }
    shown = [name for name in columns if name not in without]
    for name in shown:
        table.add_column(columns[name], justify="left" if name in ("metric", "verdict") else "right", no_wrap=True)
    for effect in pair.effects:
        cells = {
            "metric": Text(metric_name(effect.metric)),
            "a": Text(ms(effect.a)),
            "b": Text(ms(effect.b)),
            "difference": Text(_signed(effect.difference)),
            "difference interval": Text(_interval(effect.difference_interval, _signed, to), style="dim"),
            "ratio": Text(ratio(effect.ratio)),
            "ratio interval": Text(_interval(effect.ratio_interval, ratio, to), style="dim"),
            "sees": Text("-" if effect.smallest_effect is None else percent(effect.smallest_effect, 2)),
            "verdict": Text(effect.verdict, style=VERDICTS[effect.verdict]),
        }
        table.add_row(*(cells[name] for name in shown))
    return table


def metric_name(metric: str) -> str:
    """`stages.inference.service.p50` as people say it."""
    service = _SERVICE.fullmatch(metric)
    if service:
        return f"{service[1]} service {service[2]}"
    return metric.replace("e2e.", "e2e ") if metric != "throughput" else "throughput /s"


def ratio(value: float | None) -> str:
    """With three digits after the point."""
    return "-" if value is None else f"{value:.3f}" if value < 9.995 else f"{value:.1f}"


def _signed(value: float | None) -> str:
    return "-" if value is None else ("+" if value > 0 else "") + ms(value)


def _interval(ends: Sequence[float] | None, write: Callable[[float], str], to: str) -> str:
    return "-" if ends is None else f"{write(ends[0])} {to} {write(ends[1])}"


def _below(pair: Pair) -> list[Text]:
    """Notes below the table: how many requests would decide, and why a metric is declined."""
    lines = []
    open_ = [(metric_name(e.metric), e.requests_needed) for e in pair.effects if e.requests_needed]
    if open_:
        needs = ", ".join(f"{name} {requests(needed)}" for name, needed in open_)
        lines.append(f"Requests a side that would decide: {needs} ({max(pair.requests):,} completed).")
    reasons: dict[str, list[str]] = {}
    for effect in pair.effects:
        if effect.reason:
            reasons.setdefault(effect.reason, []).append(metric_name(effect.metric))
    lines += [f"{', '.join(names)} declined: {reason}." for reason, names in reasons.items()]
    return [Text(line, style="dim") for line in (*lines, *pair.notes)]


def _legend(pair: Pair) -> Text:
    return Text(
        f"In ms. The intervals hold together, with {percent(pair.confidence, 2)} confidence."
        f" sees: the smallest change that this would find nine times in ten. no difference: none beyond"
        f" {percent(pair.margin, 2)}.",
        style="dim",
    )


def _doubts(document: ComparisonDocument) -> list[Text]:
    """The checks of the sides that are not ok."""
    return [
        Text.assemble((side.name, "bold"), (f"  {check.name}: ", LEVELS[check.level]), check.message)
        for side in document.sides
        for check in side.checks
        if check.level != "ok"
    ]


def _gate(judgements: Sequence[GateResult]) -> Table:
    table = Table.grid(padding=(0, 1))
    for judgement in judgements:
        message = Text(judgement.message, style=JUDGED[judgement.outcome])
        table.add_row(Text(judgement.side, style="bold"), message)
    return table


def _bullets(sentences: Sequence[str], console: Console) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    for sentence in sentences:
        table.add_row(Text("-" if console.options.ascii_only else "•", style="dim"), Text(sentence))
    return table


def _facts(rows: Sequence[tuple[str, str]]) -> Table:
    """Labels and texts that fold beside them."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", min_width=8, no_wrap=True)
    for label, text in rows:
        table.add_row(label, Text(text))
    return table
