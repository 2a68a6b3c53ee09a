"""The latency budget of a run: a line a component, with its share of typical requests and of the slowest 1 %."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from harness.numbers import ms
from harness.report.figures import clusters
from harness.report.screens.look import Look
from harness.summary import Distribution, StageSummary, Summary, Tail

COMPONENTS = ("queue_wait", "batch_wait", "blocked", "service")
NOTED = 0.005  # a share below it is shown dimly


def title(summary: Summary) -> Text:
    """The heading, with what the shares rest on."""
    aside = ": no steady state, the waits grow while the load lasts" if summary.saturated else ""
    return Text.assemble((f"Latency budget{aside}", "bold"), (_rests_on(summary.tail), "dim"))


def budget(summary: Summary, look: Look) -> Table:
    """The table."""
    lines = _Lines(summary, look)
    lines.add("producer", "lateness", summary.producer_own_lateness or summary.producer_lateness, "producer")
    for name, stage in summary.stages.items():
        labels = iter([Text(name, style="bold"), *(Text(f"  {note}", style="dim") for note in _notes(stage))])
        for component in COMPONENTS:
            times: Distribution = getattr(stage, component)
            if component == "batch_wait" and not times.max:
                continue  # the stage serves one request at a time
            lines.add(next(labels, ""), component.replace("_", " "), times, f"{name}.{component}")
            for part, inner in stage.parts.items() if component == "service" else ():
                lines.add_part(next(labels, ""), part, inner)
        for label in labels:
            lines.table.add_row(label)
    if ms(summary.residual.p99) != "0":
        lines.add("between stamps", "", summary.residual, "residual")
    return lines.table


class _Lines:
    def __init__(self, summary: Summary, look: Look) -> None:
        self._tail, self._saturated, self._look = summary.tail, summary.saturated, look
        self.table = look.table()
        self.table.add_column("ms", no_wrap=True)
        self.table.add_column("", no_wrap=True)
        for name in ("p50", "p90", "p99", "typical"):
            self.table.add_column(name, justify="right", no_wrap=True)
        self.table.add_column("slowest 1 %", no_wrap=True)

    def add(self, label: Text | str, what: str, times: Distribution, key: str) -> None:
        tail = self._tail
        slow, typical = tail.shares.get(key, 0.0), tail.median_shares.get(key, 0.0)
        style = "" if max(slow, typical) >= NOTED else "dim"
        bar = Text(f"{slow:4.0%} ", style=style or ("bold" if slow >= 0.2 else ""))
        bar.append(self._look.bar * round(slow * self._look.bar_width), style="cyan")
        if tail.share_ranges and key in tail.share_ranges and not style:
            low, high = tail.share_ranges[key]
            bar.append(f" {100 * low:.0f}-{high:.0%}", style="dim")
        meaningful = not self._saturated or key.endswith(".service")
        quantiles = _quantiles(times) if meaningful else ("-", "-", "-")
        cells = (Text(text, style=style) for text in (what, *quantiles, f"{typical:.0%}"))
        self.table.add_row(label, *cells, bar)

    def add_part(self, label: Text | str, part: str, times: Distribution) -> None:
        cells = (Text(text, style="dim") for text in (f"  of it {part}", *_quantiles(times)))
        self.table.add_row(label, *cells)


def _rests_on(tail: Tail) -> str:
    """What the shares of the slowest 1 % rest on; runs of earlier versions do not say."""
    if not tail.clusters:
        return ""
    ranges = "; lo-hi: without any one" if tail.share_ranges else ""
    return f"  slowest 1 %: {clusters(tail.count, tail.clusters)}{ranges}"


def _notes(stage: StageSummary) -> list[str]:
    """What stands below a stage's name."""
    busy = "" if stage.utilisation is None else f"{stage.utilisation:.0%} busy"
    workers = f"{stage.workers} workers" if stage.workers > 1 else ""
    batch = f"batch {stage.batch_size.mean or 0:.1f}" if (stage.batch_size.max or 1) > 1 else ""
    lines = [
        ", ".join(filter(None, (workers, busy))),
        ", ".join(filter(None, (f"capacity {stage.capacity:,}", batch))),
    ]
    return [line for line in lines if line]


def _quantiles(times: Distribution) -> tuple[str, str, str]:
    return ms(times.p50), ms(times.p90), ms(times.p99)
