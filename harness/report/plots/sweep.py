"""The plots of a sweep: the Pareto front, and one picture for each axis with several values.

Series differ in marker and brightness and are named where they end, so that a print in grey can be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import SaveError
from harness.report.plots.labels import place
from harness.studies.predict.document import Forecast, Interval
from harness.studies.sweep.axes import label, numbers, short_names
from harness.studies.sweep.document import Measure, SweepResult, SweptAxis, VariantResult
from harness.studies.sweep.trials import Value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = "os^DvPX*"
MOST_NAMED = len(MARKERS)
LOADS = ("load.rate", "load.utilisation")
FORMATS = ("svg", "png")
ABOVE = 6.0  # points, for a name that an interval to the right would run through
LEAST_SPREAD = 1.02
"""Ratio of the highest to the lowest throughput, below which there is nothing to weigh against latency."""
Look = Mapping[str, Any]
"""Keyword arguments of matplotlib for the line of a series."""


def save(sweep: SweepResult, folder: Path) -> list[Path]:
    """Write every plot as SVG and PNG into `folder`. Raises SaveError."""
    from matplotlib import rc_context

    paths = []
    for name, figure in draw(sweep).items():
        for suffix in FORMATS:
            path = folder / f"{name}.{suffix}"
            try:
                folder.mkdir(exist_ok=True)
                with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
                    figure.savefig(path, dpi=150, metadata={"Date": None} if suffix == "svg" else None)
            except OSError as error:
                raise SaveError(f"cannot write the plot: {error.strerror}", where=str(path)) from None
            paths.append(path)
    return paths


def draw(sweep: SweepResult) -> dict[str, Figure]:
    """Figures by name: `over-<axis>` for each axis with several values, and `front` where throughput differs between
    variants. Empty before a variant has completed."""
    if not any(variant.throughput_rps for variant in sweep.variants):
        return {}
    names = short_names(sweep.keys)
    figures = {f"over-{names[axis.key]}": _over(sweep, axis) for axis in sweep.axes if len(axis.values) > 1}
    carried = [throughput for _, throughput, _ in _ranked(sweep.variants)]
    if carried and max(carried) > LEAST_SPREAD * min(carried):
        figures["front"] = _front(sweep)
    return figures


def _ranked(variants: Sequence[VariantResult]) -> list[tuple[VariantResult, float, float]]:
    """The variants that have a throughput and a p99, with both."""
    found = ((variant, variant.throughput_rps, variant.e2e_ms.p99) for variant in variants)
    return [(variant, rate, p99) for variant, rate, p99 in found if rate is not None and p99 is not None]


# ------------------------------------------------------------------ the front


def _front(sweep: SweepResult) -> Figure:
    """Throughput against p99: a line for each series over its loads, the front behind them."""
    figure = _figure(6.6)
    axes = figure.add_subplot()
    shown = _ranked(sweep.variants)
    best = sorted((rate, p99) for variant, rate, p99 in shown if variant.number in sweep.front)
    if len(best) > 1:
        axes.step(*zip(*best, strict=True), where="pre", color="0.85", linewidth=7, solid_capstyle="round", zorder=1)
    series = _series([variant for variant, _, _ in shown], [key for key in sweep.keys if not key.startswith("load")])
    ends = []
    for number, (name, variants) in enumerate(series.items()):
        named = len(series) <= MOST_NAMED or any(variant.number in sweep.front for variant in variants)
        look = _look(number, len(series)) if named else {**_look(number, len(series)), "color": "0.75", "zorder": 2}
        by_rate = sorted(_ranked(variants), key=lambda point: point[1])
        xs, ys = [rate for _, rate, _ in by_rate], [p99 for _, _, p99 in by_rate]
        axes.plot(xs, ys, color=look["color"], linewidth=1, zorder=look["zorder"] - 0.5)
        for variant, rate, p99 in by_rate:
            inside = look["color"] if variant.number in sweep.front else "white"
            _point(axes, variant, (rate, p99), {**look, "markerfacecolor": inside})
        if named:
            ends.append((xs[-1], ys[-1], name, look["color"]))
    axes.set(xlabel="completed, requests/s", ylabel="e2e latency p99, ms")
    _scale(axes, [p99 for _, _, p99 in shown])
    _finish(figure, sweep, [(axes, ends)], "filled: Pareto front (grey)", lift=ABOVE)
    return figure


def _point(axes: Axes, variant: VariantResult, at: tuple[float, float], look: Look) -> None:
    """A point with its intervals in both directions."""
    if variant.e2e_ms.p99_interval is not None:
        axes.plot([at[0]] * 2, variant.e2e_ms.p99_interval, color=look["color"], linewidth=1, zorder=2)
    if variant.throughput_interval is not None:
        axes.plot(variant.throughput_interval, [at[1]] * 2, color=look["color"], linewidth=1, zorder=2)
    axes.plot(*at, **look)


# ------------------------------------------------------------------ over an axis


@dataclass(frozen=True)
class _Place:
    """Where variants lie along an axis: at the rate that was offered to them, else at the value of the axis."""

    axis: SweptAxis
    offered: bool

    @cached_property
    def numbers(self) -> list[float] | None:
        """The values of the axis as numbers; None where they are not."""
        return numbers(self.axis.values)

    @cached_property
    def at(self) -> dict[Value, float]:
        """The place of each value: at itself, or in a row where the values are no numbers."""
        places = self.numbers or [float(index) for index in range(len(self.axis.values))]
        return dict(zip(self.axis.values, places, strict=True))

    def x(self, variant: VariantResult) -> float | None:
        """The place of a variant; None where no rate was offered to it."""
        return variant.offered_rps if self.offered else self.at[variant.values[self.axis.key]]


def _over(sweep: SweepResult, axis: SweptAxis) -> Figure:
    """p99 over the values of one axis, beside p50 for a load and throughput for any other; a line for each series."""
    offered = axis.key in LOADS and all(v.offered_rps for v in sweep.variants if v.throughput_rps)
    place = _Place(axis, offered)
    figure = _figure(8.6)
    panels = figure.subplots(1, 2)
    series = _series(sweep.variants, [key for key in sweep.keys if key != axis.key])
    what: tuple[Measure, Measure] = ("p50", "p99") if offered else ("throughput", "p99")
    labels = []
    for axes, measure in zip(panels, what, strict=True):
        ends = []
        stacked: dict[float, int] = {}
        for number, (name, variants) in enumerate(series.items()):
            look = _look(number, len(series))
            placed = [(x, variant) for variant in variants if (x := place.x(variant)) is not None]
            points = [(x, y, v.interval(measure)) for x, v in placed if (y := v.figure(measure)) is not None]
            _line(axes, points, look, joined=offered or place.numbers is not None)
            _twin(axes, [(x, sweep.forecast(variant)) for x, variant in placed], measure, look)
            if measure != "throughput":
                _edge(axes, [x for x, variant in placed if variant.verdict == "saturated"], stacked, look)
            if points:
                ends.append((*points[-1][:2], name, look["color"]))
        axes.set_ylabel("completed, requests/s" if measure == "throughput" else f"e2e latency {measure}, ms")
        if measure == "throughput":
            axes.set_ylim(bottom=0)
        else:
            _scale(axes, [y for variant in sweep.variants if (y := variant.figure(measure)) is not None])
        _x_axis(axes, place)
        labels.append((axes, ends))
    saturated = any(variant.verdict == "saturated" for variant in sweep.variants)
    notes = ["hollow, at the upper edge: saturated" if saturated else "", "dashed: the twin" if sweep.twin else ""]
    _finish(figure, sweep, labels[1:] if offered else labels, *notes)
    return figure


def _line(axes: Axes, points: Sequence[tuple[float, float, Interval | None]], look: Look, *, joined: bool) -> None:
    """The points of a series with their intervals. joined: a line stands for what lies between them."""
    axes.plot([x for x, _, _ in points], [y for _, y, _ in points], linewidth=1.3 if joined else 0.4, **look)
    for x, _, interval in points:
        if interval is not None:
            axes.plot([x, x], interval, color=look["color"], linewidth=1, zorder=2)


def _edge(axes: Axes, xs: Sequence[float], stacked: dict[float, int], look: Look) -> None:
    """Hollow markers at the upper edge; those of several series stand below one another."""
    for x in xs:
        level = stacked[round(x)] = stacked.get(round(x), -1) + 1
        place: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False, "linestyle": ""}
        axes.plot([x], [1 - 0.045 * level], markerfacecolor="white", **place, **look)


def _twin(axes: Axes, placed: Sequence[tuple[float, Forecast | None]], measure: Measure, look: Look) -> None:
    """The prediction, dashed."""
    forecasts = [(x, found) for x, found in placed if found is not None]
    values = [(x, f.throughput_rps if measure == "throughput" else f.e2e_ms[measure]) for x, f in forecasts]
    points = [(x, y) for x, y in values if y is not None]
    if points:
        axes.plot(*zip(*points, strict=True), color=look["color"], linestyle=(0, (4, 3)), linewidth=1.1, zorder=2)


def _x_axis(axes: Axes, place: _Place) -> None:
    if place.offered:
        axes.set(xlabel="offered, requests/s")
        return
    values = list(place.at.values())
    if place.numbers and min(values) > 0 and max(values) / min(values) >= 8:
        axes.set_xscale("log")
    if place.numbers is None:
        axes.set_xlim(-0.5, len(values) - 0.5)
    axes.set_xticks(values, [str(value) for value in place.axis.values])
    axes.set_xticks([], minor=True)
    axes.set_xlabel(place.axis.key)


# ------------------------------------------------------------------ parts


def _series(variants: Sequence[VariantResult], keys: Sequence[str]) -> dict[str, list[VariantResult]]:
    """Variants by their values of these keys, in their order."""
    found: dict[str, list[VariantResult]] = {}
    for variant in variants:
        found.setdefault(label(variant.values, keys), []).append(variant)
    return found


def _look(number: int, count: int) -> dict[str, Any]:
    """From dark to light, with a marker each."""
    from matplotlib import colormaps

    share = number / max(count - 1, 1)
    colour = colormaps["viridis"](0.05 + 0.65 * share)
    return {"color": colour, "marker": MARKERS[number % len(MARKERS)], "markersize": 5.5, "zorder": 3}


def _figure(width: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, 4.0), layout="constrained")


def _scale(axes: Axes, values: Sequence[float]) -> None:
    """Latencies from zero, or on a logarithmic axis where they differ much."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if values and min(values) > 0 and max(values) / min(values) > 6:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.margins(y=0.12)
        axes.set_ylim(bottom=0)


def _finish(
    figure: Figure, sweep: SweepResult, labels: Sequence[tuple[Axes, Any]], *notes: str, lift: float = 0.0
) -> None:
    """The frame, names at the ends of the lines, and a line that explains the marks."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="0.92", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.margins(x=0.06)
    figure.supxlabel("; ".join(filter(None, ("bars: 95 % interval", *notes))), fontsize=8, color="0.35")
    figure.suptitle(sweep.scenario, fontsize=10, x=0.01, ha="left")
    for axes, ends in labels:
        named = [end for end in ends if end[2]]
        place(axes, named if len(named) <= MOST_NAMED else [named[0], named[-1]], lift)
