"""The plot of a prediction: latencies over utilisation, or over the values that a key takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from harness.errors import SaveError, UsageError
from harness.studies.predict.document import Forecast, OneStageResult, WhatIfResult
from harness.studies.sweep.axes import numbers

COLOURS = {"p50": "#9ecae1", "p90": "#4292c6", "p99": "#08306b"}


def save(result: OneStageResult | WhatIfResult, path: Path) -> None:
    """Draw p50, p90 and p99 over utilisation, or over the values of a key. Raises UsageError, SaveError."""
    values, forecasts = _values(result)
    if not forecasts:
        raise UsageError("there is no curve to draw", where="--plot", hint="Add --vary load.rate=10..50/10/s.")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("matplotlib is not installed", where="--plot", hint="pip install matplotlib") from None
    xs = numbers(values)
    places: Sequence[float] = range(len(values)) if xs is None else xs
    points = list(zip(places, forecasts, strict=True))
    if xs is not None:
        points.sort(key=lambda point: point[0])
    steady = [(x, found) for x, found in points if found.steady]
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for key, colour in COLOURS.items():
        middle = [found.e2e_ms[key] or 0.0 for _, found in steady]
        low = [m - found.interval_ms[key][0] for m, (_, found) in zip(middle, steady, strict=True)]
        high = [found.interval_ms[key][1] - m for m, (_, found) in zip(middle, steady, strict=True)]
        line = "none" if xs is None else "-"
        axes.errorbar(
            [x for x, _ in steady], middle, [low, high],
            color=colour, marker="o", markersize=4, linestyle=line, label=key,
        )  # fmt: skip
    if isinstance(result, OneStageResult):
        model, formula = _formula(result)
        if formula:
            axes.plot(*zip(*formula, strict=True), color="black", linestyle=":", label=f"p99, {model}")
        axes.axvline(result.utilisation, color="grey", linewidth=0.8)
    for number, (low_x, high_x) in enumerate(_unsteady(points)):
        axes.axvspan(low_x, high_x, color="#fee0d2", linewidth=0, label="" if number else "no steady state")
    varied = result.varied.key if isinstance(result, WhatIfResult) and result.varied else "utilisation"
    axes.set(xlabel=varied, ylabel="e2e latency, ms")
    if xs is None:
        axes.set_xticks(places, [str(value) for value in values], rotation=30, ha="right")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise SaveError(f"cannot write the plot: {error}", where=str(path)) from None


def _values(result: OneStageResult | WhatIfResult) -> tuple[Sequence[float | str], Sequence[Forecast]]:
    """What lies on the x axis, and the forecast at each place."""
    if isinstance(result, OneStageResult):
        return [point.utilisation for point in result.curve], [point.simulated for point in result.curve]
    rows = result.varied.rows if result.varied else ()
    return [row.value for row in rows], rows


def _formula(result: OneStageResult) -> tuple[str, list[tuple[float, float]]]:
    """The name of the closed form, and its p99 at each utilisation where it has one."""
    found = [(point.utilisation, point.theory) for point in result.curve if point.theory]
    levels = [(x, theory.e2e_ms["p99"]) for x, theory in found if theory.e2e_ms]
    return found[0][1].model if found else "", [(x, p99) for x, p99 in levels if p99 is not None]


def _unsteady(points: Sequence[tuple[float, Forecast]]) -> Iterator[tuple[float, float]]:
    """For each forecast without a steady state, how far it reaches: half way to its neighbours."""
    xs = [x for x, _ in points]
    middles = [xs[0], *((a + b) / 2 for a, b in pairwise(xs)), xs[-1]]
    for (_, found), low, high in zip(points, middles[:-1], middles[1:], strict=True):
        if not found.steady:
            yield low, high
