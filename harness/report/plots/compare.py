"""The plot of a comparison: the ratio of every metric with its interval, around 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.numbers import percent
from harness.report.plots.run import ACCENT, GREY, INK, WASH
from harness.report.screens.compare import metric_name, ratio
from harness.stats.comparison import Effect, Ends
from harness.studies.compare.document import ComparisonDocument, Pair

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = {
    "faster": ("o", ACCENT, ACCENT),
    "slower": ("s", "#a8241b", "#a8241b"),
    "no difference": ("o", INK, "white"),
    "inconclusive": ("D", GREY, "white"),
}
"""Marker, colour and fill of each verdict: they can be told apart in grey."""
LEAST_SPAN = 1.1
"""The axis extends at least by this ratio beyond the margin on both sides of 1."""


def draw(document: ComparisonDocument) -> dict[str, Figure]:
    """A figure for each side that was compared with the first, by name; none where no metric has an interval."""
    figures = {}
    for pair in document.comparisons:
        effects = [
            (effect, effect.ratio, effect.ratio_interval)
            for effect in pair.effects
            if effect.ratio is not None and effect.ratio_interval is not None and effect.ratio_interval[0] > 0
        ]
        if effects:
            figures[f"{pair.b} against {pair.a}"] = _forest(pair, effects)
    return figures


def _forest(pair: Pair, effects: Sequence[tuple[Effect, float, Ends]]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 1.3 + 0.32 * len(effects)), layout="constrained")
    axes = figure.add_subplot()
    margin = 1 + pair.margin
    axes.axvspan(1 / margin, margin, color=WASH, linewidth=0, zorder=0)
    axes.axvline(1, color=INK, linewidth=0.8, zorder=1)
    for row, (effect, estimate, interval) in enumerate(effects):
        marker, colour, filling = LOOKS[effect.verdict]
        axes.plot(interval, [row, row], color=colour, linewidth=1.6, zorder=2)
        axes.plot(estimate, row, marker, color=colour, markerfacecolor=filling, markersize=6, zorder=3)
        text = f"x {ratio(estimate)}  {effect.verdict}"
        axes.annotate(text, (1.02, row), xycoords=("axes fraction", "data"), va="center", fontsize=8, color=INK)
    axes.set_yticks(range(len(effects)), [metric_name(effect.metric) for effect, *_ in effects], fontsize=8)
    axes.invert_yaxis()
    _scale(axes, [end for *_, interval in effects for end in interval], margin)
    axes.set_xlabel(
        f"{pair.b} over {pair.a}, log scale; bars: {percent(pair.confidence, 2)} intervals, of all rows together;"
        f" shaded: within {percent(pair.margin, 2)}",
        fontsize=8,
    )
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False, labelsize=8)
    axes.grid(axis="x", color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure


def _scale(axes: Axes, ends: list[float], margin: float) -> None:
    """Logarithmic, so that a half is as far from 1 as a double, with ticks at whole steps."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    axes.set_xscale("log")
    low, high = min(*ends, 1 / (LEAST_SPAN * margin)), max(*ends, LEAST_SPAN * margin)
    axes.set_xlim(low / (high / low) ** 0.03, high * (high / low) ** 0.03)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high / low > 6 else MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
