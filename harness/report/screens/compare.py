"""The screen of a comparison: is it faster, by how much, and how sure is that."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report.figures import WIDEST, first_line, ms
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


def show(console: Console, document: Mapping[str, Any]) -> None:
    """Print a comparison; readable at 80 columns and without colour."""
    console.width = min(console.width, WIDEST)
    console.print(_title(document))
    if document["error"]:
        console.print(Text(f"failed: {first_line(document['error'])}", style="bold red"))
    console.print("", _sides(document), "", sep="\n")
    facts = [*_load(document), *_sameness(document)]
    if facts:
        console.print(_facts(facts), "", sep="\n")
    for pair in document["comparisons"]:
        label = next(side["label"] for side in document["sides"] if side["name"] == pair["b"])
        heading = Text(f"{pair['b']} against {pair['a']}", style="bold").append(f"  {label}", style="not bold dim")
        console.print(heading, _pair(pair, console), *_below(pair), "", sep="\n")
    if document["comparisons"]:
        console.print(_legend(document["comparisons"][0]), "", sep="\n")
    doubts = _doubts(document)
    if doubts:
        console.print(Text("Validity", style="bold"), *doubts, "", sep="\n")
    if document["gate"]:
        console.print(Text("Limits", style="bold"), _gate(document["gate"]), "", sep="\n")
    said = [*_misses(document), *document["reading"], *document.get("caveats", ())]
    console.print(Text("What it says", style="bold"), _bullets(said, console), sep="\n")
    if "saved" in document:
        console.print(Text(f"\nSaved in {document['saved']}", style="dim"), soft_wrap=True)


def _title(document: Mapping[str, Any]) -> Text:
    when = document.get("started_at", "").replace("T", " ")[:16]
    parts = ["comparison of runs" if document["kind"] == "runs" else "comparison", when, document["status"]]
    return Text.assemble((document["name"], "bold"), (f"  {', '.join(filter(None, parts))}", "dim"))


def _sides(document: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for side in document["sides"]:
        notes = []
        if side.get("capacity_rps"):
            notes.append(f"carries {side['capacity_rps']:.3g}/s")
        lost = {key: side.get("requests", {}).get(key, 0) for key in ("failed", "dropped", "aborted")}
        notes += [f"{count:,} {key}" for key, count in lost.items() if count]
        table.add_row(Text(side["name"], style="bold"), Text(side["label"]), Text(", ".join(notes), style="dim"))
    return table


def _load(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    if "load" not in document:
        return [("Differs", f"{d['what']}: {d['a']} and {d['b']}") for d in document.get("differences", ())]
    load, blocks = document["load"], document["blocks"]
    text = f"{load['arrivals']}, {load['concurrency']} in flight" if load["concurrency"] else load["arrivals"]
    if load["offered_rps"]:
        text += f", {load['offered_rps']:.3g}/s for all"
    if load["utilisation_of_a"]:
        text += f" ({percent(load['utilisation_of_a'])} of what a carries)"
    asked, complete = blocks["asked"], blocks["complete"]
    count = f"{complete}" if complete == asked else f"{complete} complete of {asked}"
    orders = document["order"][:SHOWN_ORDER]
    turns = " ".join(orders) + (" ..." if len(document["order"]) > SHOWN_ORDER else "")
    each = f"{blocks['requests']:,} requests a side" + (f" after {blocks['warmup']:,}" if blocks["warmup"] else "")
    return [("Load", text), ("Blocks", f"{count}, each of {each}, in the order {turns}")]


def _sameness(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    same = document.get("sameness")
    if not same:
        return []
    if "skipped" in same:
        return [("Sameness", f"not looked at: {same['skipped']}")]
    rows = []
    for pair in same["pairs"]:
        made = (("tensor", "tensors"), ("logits", "logits"))
        parts = [f"{name} {_apart(pair[what])}" for what, name in made if what in pair]
        if "top1" in pair:
            parts.append(f"top-1 the same for {pair['top1']['same']} of {pair['top1']['of']}")
        verdict = "differs" if pair["misses"] else "within the tolerance" if _judged(same) else "not judged"
        label = "Sameness" if len(same["pairs"]) == 1 else f"Sameness {pair['b']}"
        rows.append((label, f"{verdict}, on {same['images']} images: {'; '.join(parts)}"))
    return rows


def _apart(difference: Mapping[str, Any]) -> str:
    if "shapes" in difference:
        return f"of shapes {' and '.join(difference['shapes'])}"
    if "largest" not in difference:
        return "of no image on both sides"
    if not difference["largest"]:
        return "equal"
    return f"differ by {difference['largest']:.2g} at most, {difference['mean']:.2g} on average"


def _judged(same: Mapping[str, Any]) -> bool:
    return any(limit is not None for limit in same["tolerance"].values())


def _misses(document: Mapping[str, Any]) -> list[str]:
    """Why nothing was measured."""
    same = document.get("sameness") or {}
    pairs = same.get("pairs", ())
    told = [f"{pair['b']} is not the same as {pair['a']}: {miss}." for pair in pairs for miss in pair["misses"]]
    if told:
        told.append("Nothing was measured. --tolerance tensor=X allows more; --tolerance none measures all the same.")
    return told


def _pair(pair: Mapping[str, Any], console: Console) -> Table:
    """The metrics of one comparison. What does not fit beside verdicts is left out, the least needed first."""
    without: list[str] = []
    to = ".." if console.options.ascii_only else "…"
    table = _metrics(pair, without, to)
    for name in LEAST_NEEDED:
        if console.measure(table, options=console.options.update(max_width=10_000)).maximum <= console.width:
            break
        without.append(name)
        table = _metrics(pair, without, to)
    return table


def _metrics(pair: Mapping[str, Any], without: Sequence[str], to: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    confidence = f"{percent(pair['confidence'])} interval"
    columns = {
        "metric": "",
        "a": pair["a"],
        "b": pair["b"],
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
    for effect in pair["effects"]:
        cells = {
            "metric": Text(metric_name(effect["metric"])),
            "a": Text(ms(effect["a"])),
            "b": Text(ms(effect["b"])),
            "difference": Text(_signed(effect["difference"])),
            "difference interval": Text(_interval(effect["difference_interval"], _signed, to), style="dim"),
            "ratio": Text(ratio(effect["ratio"])),
            "ratio interval": Text(_interval(effect["ratio_interval"], ratio, to), style="dim"),
            "sees": Text("-" if effect["smallest_effect"] is None else percent(effect["smallest_effect"])),
            "verdict": Text(effect["verdict"], style=VERDICTS[effect["verdict"]]),
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


def percent(share: float) -> str:
    """With two digits."""
    value = share * 100
    return f"{value:.0f} %" if value >= 9.95 else f"{value:.2g} %"


def _below(pair: Mapping[str, Any]) -> list[Text]:
    """What the table leaves open: how long it takes to decide, why there is no answer, notes."""
    lines = []
    open_ = [e for e in pair["effects"] if e["requests_needed"]]
    if open_:
        needs = ", ".join(f"{metric_name(e['metric'])} {requests(e['requests_needed'])}" for e in open_)
        lines.append(f"Requests a side that would decide: {needs} ({max(pair['requests']):,} completed).")
    reasons: dict[str, list[str]] = {}
    for effect in pair["effects"]:
        if effect["reason"]:
            reasons.setdefault(effect["reason"], []).append(metric_name(effect["metric"]))
    lines += [f"{', '.join(names)} declined: {reason}." for reason, names in reasons.items()]
    return [Text(line, style="dim") for line in (*lines, *pair["notes"])]


def _legend(pair: Mapping[str, Any]) -> Text:
    return Text(
        f"In ms. The intervals hold together, with {percent(pair['confidence'])} confidence."
        f" sees: the smallest change that this would find nine times in ten. no difference: none beyond"
        f" {percent(pair['margin'])}.",
        style="dim",
    )


def _doubts(document: Mapping[str, Any]) -> list[Text]:
    """The checks of the sides that are not fine."""
    return [
        Text.assemble((side["name"], "bold"), (f"  {check['name']}: ", LEVELS[check["level"]]), check["message"])
        for side in document["sides"]
        for check in side.get("checks", ())
        if check["level"] != "ok"
    ]


def _gate(judgements: Sequence[Mapping[str, Any]]) -> Table:
    table = Table.grid(padding=(0, 1))
    for judgement in judgements:
        message = Text(judgement["message"], style=JUDGED[judgement["outcome"]])
        table.add_row(Text(judgement["side"], style="bold"), message)
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
