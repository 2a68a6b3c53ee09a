"""The screen of an evaluation: top-1, top-5 and agreement of every variant, with their intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report.console import new_table
from harness.report.figures import WIDEST, first_line
from harness.stats.proportions import Share
from harness.studies.accuracy.document import AccuracyDocument, Agreement, VariantResult

NAMED = 3
"""How many images are named that could not be used."""


def show(console: Console, document: AccuracyDocument) -> None:
    """Print an evaluation; readable at 80 columns and without colour."""
    console.width = min(console.width, WIDEST)
    labels = f", labelled by {document.mapped_by}" if document.mapped_by else ", without labels"
    head = f"  {_count(document.images, 'image')} of {document.data}{labels}"
    console.print(Text.assemble((document.scenario, "bold"), head), soft_wrap=True)
    lead = f"its largest logit leads by {document.lead_p50:.2g} (median)"
    console.print(Text(f"reference: {document.reference}; {lead}", style="dim"), "", sep="\n")
    console.print(_table(document.results))
    notes = [*_disagreements(document), *_notes(document)]
    if notes:
        grid = Table.grid(padding=(0, 1))
        for mark, text in notes:
            grid.add_row(Text(mark, style="yellow"), text)
        console.print("", grid, sep="\n")
    _gates(console, document)
    if document.interrupted:
        console.print("", Text("Interrupted: what is missing was not run.", style="yellow"), sep="\n")


def _table(results: Sequence[VariantResult]) -> Table:
    table = new_table(2)
    table.add_column("%, 95 % interval", ratio=1, overflow="fold")
    labelled = results[0].top1 is not None
    top5 = results[0].top5 is not None
    names = [*(["top-1", *(["top-5"] if top5 else []), "change"] if labelled else []), "agrees", "Δ logits"]
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for result in results:
        if result.error:
            table.add_row(result.variant, Text("not run", style="bold red"))
            continue
        pairs = [_share(result.top1)] if labelled else []
        pairs += [_share(result.top5)] if labelled and top5 else []
        pairs += [_change(result)] if labelled else []
        agreement = result.agreement
        pairs += [_share(agreement.top1 if agreement else None), _logits(agreement)]
        table.add_row(Text(result.variant, style="bold"), *(Text(figure) for figure, _ in pairs))
        table.add_row("", *(Text(interval, style="dim") for _, interval in pairs))
    return table


def _share(share: Share | None) -> tuple[str, str]:
    if share is None:
        return "", ""
    return _percent(share.value), f"{_percent(share.lo)}…{_percent(share.hi)}"


def _percent(value: float) -> str:
    """A share in percent; one decimal, and 100 and 0 only where that is what it is."""
    percent = 100 * value
    if 99.95 <= percent < 100:
        return f"{min(percent, 99.99):.2f}"
    return f"{percent:.1f}"


def _change(result: VariantResult) -> tuple[str, str]:
    change = result.top1_change
    if change is None:
        return "", ""
    return f"{100 * change.value:+.1f}", f"{100 * change.lo:+.1f}…{100 * change.hi:+.1f}"


def _logits(agreement: Agreement | None) -> tuple[str, str]:
    """The largest difference, and the median image's."""
    if agreement is None or agreement.difference_max is None or agreement.difference_p50 is None:
        return "", ""
    return f"{agreement.difference_max:.2g} max", f"{agreement.difference_p50:.2g} p50"


def _disagreements(document: AccuracyDocument) -> Iterator[tuple[str, Text]]:
    for result in document.results:
        agreement = result.agreement
        if agreement is None or not agreement.pairs:
            continue
        pairs = ", ".join(f"{p.reference} → {p.variant} ({p.count})" for p in agreement.pairs)
        more = sum(p.count for p in agreement.pairs) < agreement.top1.of - agreement.top1.count - len(result.failures)
        text = Text.assemble((result.variant, "bold"), f" predicts otherwise: {pairs}{', ...' if more else ''}.")
        if agreement.lead_max is not None:
            text.append(
                f" The reference was ahead by {agreement.lead_max:.2g} logits at most there;"
                f" its median lead is {document.lead_p50:.2g}."
            )
        yield " ", text


def _notes(document: AccuracyDocument) -> Iterator[tuple[str, Text]]:
    for result in document.results:
        if result.error:
            yield "!", Text.assemble((result.variant, "bold"), f" could not be run: {first_line(result.error)}")
    if document.unreadable:
        could = f"{_count(len(document.unreadable), 'image')} unreadable, in no figure"
        yield "!", Text(f"{could}: {_named(document.unreadable)}")
    for result in document.results:
        if result.failures:
            served = f" did not serve {_count(len(result.failures), 'image')}, counted against it"
            yield "!", Text.assemble((result.variant, "bold"), f"{served}: {_named(result.failures)}")
    if document.outside:
        yield "!", Text(f"{_count(document.outside, 'image')} outside the folders of the classes are left out.")
    for warning in document.warnings:
        yield "!", Text(warning)
    for left_out in document.left_out:
        yield " ", Text(f"Left out: {left_out}", style="dim")


def _gates(console: Console, document: AccuracyDocument) -> None:
    if not document.gates:
        return
    console.print()
    missed = [gate for gate in document.gates if not gate.met]
    for gate in missed:
        text = f"{gate.variant}: {gate.what} {gate.limit:.4g}, and it is {gate.value:.4g}"
        console.print(Text.assemble(("not met  ", "bold red"), text))
    if not missed:
        console.print(Text(f"All {len(document.gates)} limits are met.", style="green"))


def _named(reasons: Mapping[str, str]) -> str:
    first = "; ".join(f"{name}: {first_line(why)}" for name, why in list(reasons.items())[:NAMED])
    return first + ("; ..." if len(reasons) > NAMED else "")


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
