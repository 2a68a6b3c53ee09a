"""The plot of a search for the capacity: the limited statistic over the rate, as measured and by the twin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import SaveError, UsageError
from harness.numbers import rate
from harness.studies.capacity.document import CapacityResult, MeasuredRun, ScaledCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TALLEST = 100
"""An upper end that is higher, in terms of its middle, leaves the picture."""


def save(result: CapacityResult, path: Path) -> None:
    """Draw it as PNG, SVG or PDF, by the path's suffix. Raises UsageError, SaveError."""
    try:
        figure = draw(result)
    except ImportError:
        raise UsageError("matplotlib is not installed", where="--plot", hint="pip install matplotlib") from None
    if figure is None:
        raise UsageError("there is nothing measured to draw", where="--plot")
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise SaveError(f"cannot write the plot: {error}", where=str(path)) from None


def draw(result: CapacityResult) -> Figure | None:
    """The figure; None where nothing was measured. Raises ImportError without matplotlib."""
    from matplotlib.figure import Figure

    shown, highest, slo = result.shown, result.highest, result.slo
    if shown is None:
        return None
    one = len(slo) == 1
    scale = slo[0].limit_ms if one else 1.0
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(scale, color="#b2182b", linewidth=1)
    label = f"SLO: {slo[0].limit} <= {scale:g} ms" if one else "SLO"
    axes.annotate(label, (0.01, scale), (0, 3), ("axes fraction", "data"), textcoords="offset points", color="#b2182b")
    top = scale if highest is None or highest.curve is None else _curve(axes, highest.curve, scale)
    top = max(top, *(_run(axes, run, scale) for run in shown.runs))
    if highest is not None:
        name = f"capacity {rate(highest.rate_rps)}, 95 % interval"
        axes.axvspan(*highest.interval_rps, color="#d1e5f0", zorder=0, label=name)
        axes.axvline(highest.rate_rps, color="#2166ac", linewidth=1)
    unit = f"{slo[0].limit} of the e2e latency, ms" if one else "worst statistic over its limit"
    axes.set(xlabel="offered load, requests/s", ylabel=unit, title=f"{result.scenario}: {shown.name}")
    axes.set_ylim(0, min(1.15 * top, 4 * scale))
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes.legend(unique.values(), unique.keys(), frameon=False, loc="upper left", bbox_to_anchor=(0.0, 0.93))
    return figure


def _curve(axes: Axes, curve: ScaledCurve, scale: float) -> float:
    """The twin's curve; returns its highest point."""
    points = [
        (rate, excess * scale) for rate, excess in zip(curve.rate_rps, curve.excess, strict=True) if excess is not None
    ]
    axes.plot(*zip(*points, strict=True), color="#4d4d4d", linewidth=1.2, label="twin, scaled to the runs")
    return max(y for _, y in points)


def _run(axes: Axes, run: MeasuredRun, scale: float) -> float:
    """A run twice: as measured (hollow), and without the luck of its arrivals, with its interval; returns the top."""
    top = 0.0
    if run.measured is not None:
        top = run.measured * scale
        axes.plot(run.rate_rps, top, "o", markerfacecolor="none", color="#878787", label="measured, as it stands")
    middle, (lo, hi) = run.long_run, run.long_run_interval
    if middle is None:
        return top
    most = TALLEST * middle
    hi = most if hi is None else min(hi, most)
    bars = [[(middle - (lo or 0.0)) * scale], [(hi - middle) * scale]]
    axes.errorbar(
        run.rate_rps, middle * scale, bars, fmt="o", color="#2166ac", capsize=3, label="measured, long run, 95 %"
    )
    return max(top, hi * scale)
