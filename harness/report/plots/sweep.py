"""The plots of a sweep, from its answer: the Pareto front, and one picture for each axis of the grid.

Series differ in marker and brightness and are named where they end, so that a print in grey can be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import SaveError
from harness.report.axes import label, numbers, short_names
from harness.report.plots.labels import place

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = "os^DvPX*"
MOST_NAMED = len(MARKERS)
LOADS = ("load.rate", "load.utilisation")
FORMATS = ("svg", "png")
ABOVE = 6.0  # points, for a name that an interval to the right would run through
LEAST_SPREAD = 1.02
"""Of throughput, below which there is nothing to weigh against latency."""
Cell = Mapping[str, Any]


def save(answer: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write every plot as SVG and PNG into `folder`. Raises SaveError."""
    from matplotlib import rc_context

    paths = []
    for name, figure in draw(answer).items():
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


def draw(answer: Mapping[str, Any]) -> dict[str, Figure]:
    """Figures by name: `over-<axis>` for each axis with several values, and `front` where throughput differs between
    cells. Empty before a cell has completed."""
    if not any(cell["throughput_rps"] for cell in answer["cells"]):
        return {}
    keys = [axis["key"] for axis in answer["grid"]]
    names = short_names(keys)
    several = [axis for axis in answer["grid"] if len(axis["values"]) > 1]
    figures = {f"over-{names[axis['key']]}": _over(answer, axis) for axis in several}
    carried = [cell["throughput_rps"] for cell in answer["cells"] if cell["e2e_ms"]["p99"] is not None]
    if carried and max(carried) > LEAST_SPREAD * min(carried):
        figures["front"] = _front(answer)
    return figures


# ------------------------------------------------------------------ the front


def _front(answer: Mapping[str, Any]) -> Figure:
    """Throughput against p99: a line for each configuration over its loads, the front behind them."""
    figure = _figure(6.6)
    axes = figure.add_subplot()
    shown = [cell for cell in answer["cells"] if cell["e2e_ms"]["p99"] is not None]
    best = sorted((c["throughput_rps"], c["e2e_ms"]["p99"]) for c in shown if c["cell"] in answer["front"])
    if len(best) > 1:
        axes.step(*zip(*best, strict=True), where="pre", color="0.85", linewidth=7, solid_capstyle="round", zorder=1)
    keys = [axis["key"] for axis in answer["grid"]]
    series = _series(shown, [key for key in keys if not key.startswith("load")])
    ends = []
    for number, (name, cells) in enumerate(series.items()):
        named = len(series) <= MOST_NAMED or any(cell["cell"] in answer["front"] for cell in cells)
        look = _look(number, len(series)) if named else {**_look(number, len(series)), "color": "0.75", "zorder": 2}
        by_rate = sorted(cells, key=lambda cell: cell["throughput_rps"])
        axes.plot(*_xy(by_rate, "throughput_rps", "p99"), color=look["color"], linewidth=1, zorder=look["zorder"] - 0.5)
        for cell in by_rate:
            inside = look["color"] if cell["cell"] in answer["front"] else "white"
            _bars(axes, [cell], "throughput_rps", "p99", {**look, "markerfacecolor": inside})
        if named:
            ends.append((by_rate[-1]["throughput_rps"], by_rate[-1]["e2e_ms"]["p99"], name, look["color"]))
    axes.set(xlabel="completed, requests/s", ylabel="e2e latency p99, ms")
    _scale(axes, [y for _, y in zip(*_xy(shown, "throughput_rps", "p99"), strict=True)])
    _finish(figure, answer, [(axes, ends)], "filled: Pareto front (grey)", lift=ABOVE)
    return figure


# ------------------------------------------------------------------ over an axis


def _over(answer: Mapping[str, Any], axis: Mapping[str, Any]) -> Figure:
    """Latency, and in what is no load throughput too, over the values of one axis; a line for each of the others."""
    key, keys = axis["key"], [a["key"] for a in answer["grid"]]
    loads = key in LOADS and all(cell["offered_rps"] for cell in answer["cells"] if cell["throughput_rps"])
    figure = _figure(8.6)
    panels = figure.subplots(1, 2)
    series = _series(answer["cells"], [k for k in keys if k != key])
    at = _positions(axis)
    what = ("p50", "p99") if loads else ("throughput", "p99")
    labels = []
    for axes, measure in zip(panels, what, strict=True):
        ends = []
        stacked: dict[float, int] = {}
        for number, (name, cells) in enumerate(series.items()):
            look = _look(number, len(series))
            placed = [(_x(cell, key, at, loads), cell) for cell in cells]
            points = [(x, cell) for x, cell in placed if x is not None and _value(cell, measure) is not None]
            _line(axes, points, measure, look, joined=loads or numbers(axis["values"]) is not None)
            _twin(axes, placed, measure, answer, look)
            if measure != "throughput":
                _edge(
                    axes, [x for x, cell in placed if x is not None and cell["verdict"] == "saturated"], stacked, look
                )
            if points:
                x, cell = points[-1]
                ends.append((x, _value(cell, measure), name, look["color"]))
        axes.set_ylabel("completed, requests/s" if measure == "throughput" else f"e2e latency {measure}, ms")
        values = [_value(cell, measure) for cell in answer["cells"] if _value(cell, measure) is not None]
        if measure == "throughput":
            axes.set_ylim(bottom=0)
        else:
            _scale(axes, values)
        _x_axis(axes, axis, at, loads)
        labels.append((axes, ends))
    saturated = any(cell["verdict"] == "saturated" for cell in answer["cells"])
    notes = [
        "hollow, at the upper edge: saturated" if saturated else "",
        "dashed: the twin" if answer["twin"] else "",
    ]
    _finish(figure, answer, labels[1:] if loads else labels, *notes)
    return figure


def _line(
    axes: Axes, points: Sequence[tuple[float, Cell]], measure: str, look: Mapping[str, Any], *, joined: bool
) -> None:
    """The points of a series with their intervals. joined: a line stands for what lies between them."""
    xs, cells = [x for x, _ in points], [cell for _, cell in points]
    values = [_value(cell, measure) for cell in cells]
    axes.plot(xs, values, linewidth=1.3 if joined else 0.4, **look)
    for x, cell in points:
        ends = _ends(cell, measure)
        if ends is not None:
            axes.plot([x, x], ends, color=look["color"], linewidth=1, zorder=2)


def _edge(axes: Axes, xs: Sequence[float], stacked: dict[float, int], look: Mapping[str, Any]) -> None:
    """Hollow markers at the upper edge; those of several series stand below one another."""
    for x in xs:
        level = stacked[round(x)] = stacked.get(round(x), -1) + 1
        place: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False, "linestyle": ""}
        axes.plot([x], [1 - 0.045 * level], markerfacecolor="white", **place, **look)


def _twin(
    axes: Axes, placed: Sequence[tuple[float | None, Cell]], measure: str, answer: Mapping[str, Any], look: Any
) -> None:
    """The prediction, dashed."""
    if answer["twin"] is None:
        return
    points = []
    for x, cell in placed:
        found = answer["twin"]["by_cell"].get(cell["cell"])
        if x is not None and found is not None and (measure == "throughput" or found["steady"]):
            y = found["throughput_rps"] if measure == "throughput" else found["e2e_ms"][measure]
            points.append((x, y))
    if points:
        axes.plot(*zip(*points, strict=True), color=look["color"], linestyle=(0, (4, 3)), linewidth=1.1, zorder=2)


# ------------------------------------------------------------------ parts


def _series(cells: Sequence[Cell], keys: Sequence[str]) -> dict[str, list[Cell]]:
    """Cells by the values of these keys, in the order of the grid."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(label(cell["values"], keys), []).append(cell)
    return found


def _positions(axis: Mapping[str, Any]) -> dict[Any, float]:
    """Where the values of an axis lie: at themselves, or in a row where they are no numbers."""
    at = numbers(axis["values"])
    return dict(zip(axis["values"], at or [float(i) for i in range(len(axis["values"]))], strict=True))


def _x(cell: Cell, key: str, at: Mapping[Any, float], loads: bool) -> float | None:
    return cell["offered_rps"] if loads else at[cell["values"][key]]


def _x_axis(axes: Axes, axis: Mapping[str, Any], at: Mapping[Any, float], loads: bool) -> None:
    if loads:
        axes.set(xlabel="offered, requests/s")
        return
    values = list(at.values())
    if numbers(axis["values"]) and min(values) > 0 and max(values) / min(values) >= 8:
        axes.set_xscale("log")
    if numbers(axis["values"]) is None:
        axes.set_xlim(-0.5, len(values) - 0.5)
    axes.set_xticks(values, [str(value) for value in axis["values"]])
    axes.set_xticks([], minor=True)
    axes.set_xlabel(axis["key"])


def _value(cell: Cell, measure: str) -> Any:
    return cell["throughput_rps"] if measure == "throughput" else cell["e2e_ms"][measure]


def _ends(cell: Cell, measure: str) -> Any:
    return cell["throughput_ci"] if measure == "throughput" else cell["e2e_ms"][f"{measure}_ci"]


def _xy(cells: Sequence[Cell], x: str, y: str) -> tuple[list[float], list[float]]:
    return [cell[x] for cell in cells], [cell["e2e_ms"][y] for cell in cells]


def _bars(axes: Axes, cells: Sequence[Cell], x: str, y: str, look: Mapping[str, Any]) -> None:
    """Points with their intervals in both directions."""
    for cell in cells:
        here = cell[x], cell["e2e_ms"][y]
        if cell["e2e_ms"][f"{y}_ci"]:
            axes.plot([here[0]] * 2, cell["e2e_ms"][f"{y}_ci"], color=look["color"], linewidth=1, zorder=2)
        if cell["throughput_ci"]:
            axes.plot(cell["throughput_ci"], [here[1]] * 2, color=look["color"], linewidth=1, zorder=2)
        axes.plot(*here, **look)


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
    figure: Figure, answer: Mapping[str, Any], labels: Sequence[tuple[Axes, Any]], *notes: str, lift: float = 0.0
) -> None:
    """Frame, names at the ends of the lines, and a line that says what is what."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="0.92", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.margins(x=0.06)
    figure.supxlabel("; ".join(filter(None, ("bars: 95 % interval", *notes))), fontsize=8, color="0.35")
    figure.suptitle(answer["scenario"], fontsize=10, x=0.01, ha="left")
    for axes, ends in labels:
        named = [end for end in ends if end[2]]
        place(axes, named if len(named) <= MOST_NAMED else [named[0], named[-1]], lift)
