"""The plots of `harness report` as PNG or SVG files, for slides and papers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import SaveError
from harness.numbers import ms
from harness.report.html.charts import NOTED, PERCENTILES
from harness.report.html.figures import component, kind
from harness.report.html.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACCENT, INK, GREY, WASH = "#1f5fbf", "#14181d", "#8a94a0", "#dbe7f8"
LINES = ((ACCENT, "-"), (INK, "--"), (GREY, "-"), (INK, ":"), (ACCENT, "-."), (GREY, "--"), (ACCENT, ":"), (INK, "-."))
KINDS = {
    "service": (ACCENT, ""),
    "queue_wait": (WASH, "////"),
    "batch_wait": (WASH, "..."),
    "blocked": (WASH, "++++"),
    "producer": ("white", "---"),
    "residual": ("#eef0f3", ""),
}
"""Fill and hatching of each kind of component: they can be told apart in grey."""


def draw(runs: Sequence[Run], folder: Path, form: str) -> list[Path]:
    """Draw what there is to draw of the runs into a folder; returns the files. form: png or svg. Raises SaveError."""
    drawn = [run for run in runs if run.series]
    figures: dict[str, Figure] = {}
    if drawn:
        figures = {"budget": _budget(drawn), "percentiles": _percentiles(drawn)}
    for run in drawn:
        figures[f"over-time-{run.label}" if run.label else "over-time"] = _over_time(run)
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, figure in figures.items():
            written.append(folder / f"{name}.{form}")
            figure.savefig(written[-1], dpi=150)
    except OSError as error:
        raise SaveError(f"cannot write the plots: {error.strerror}", where=str(folder)) from None
    return written


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _budget(runs: Sequence[Run]) -> Figure:
    figure = _figure(8, 1.0 + 0.95 * 2 * len(runs))
    axes = figure.add_subplot()
    bars = {}
    for run in runs:
        assert run.series is not None
        bars[f"{run.label} typical".strip()] = run.series.typical_ms
        bars[f"{run.label} slowest 1 %".strip()] = run.series.slowest_ms
    names = list(bars)
    most = max(sum(parts.values()) for parts in bars.values())
    for at, parts in enumerate(bars.values()):
        _bar(axes, at, parts, most)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("mean of each component, ms")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False)
    shown = {kind(k) for run in runs if run.series for k, v in run.series.slowest_ms.items() if v > 0}
    handles = [_patch(name) for name in KINDS if name in shown]
    axes.legend(handles=handles, frameon=False, ncols=6, loc="lower left", bbox_to_anchor=(0, 1), fontsize=8)
    return figure


def _bar(axes: Axes, at: int, parts: Any, most_ms: float) -> None:
    left = 0.0
    for key, value in parts.items():
        fill, hatch = KINDS[kind(key)]
        axes.barh(at, value, 0.6, left, color=fill, hatch=hatch, edgecolor=ACCENT if hatch else fill, linewidth=0.6)
        if value > 0.16 * most_ms:
            colour, halo = ("white", ACCENT) if kind(key) == "service" else (INK, "white")
            text = f"{component(key)}\n{ms(value)} ms"
            box = {"facecolor": halo, "edgecolor": "none", "pad": 1.5}
            axes.text(left + value / 2, at, text, color=colour, fontsize=7.5, ha="center", va="center", bbox=box)
        left += value


def _patch(name: str) -> Any:
    from matplotlib.patches import Patch

    fill, hatch = KINDS[name]
    return Patch(facecolor=fill, hatch=hatch, edgecolor=ACCENT if hatch else GREY, linewidth=0.5, label=component(name))


def _percentiles(runs: Sequence[Run]) -> Figure:
    figure = _figure(8, 4.4)
    axes = figure.add_subplot()
    if len(runs) == 1:
        (run,) = runs
        assert run.series is not None
        tail = run.summary.tail.shares
        noted = [k for k in run.series.components if tail[k] >= 5 * NOTED][:4]
        curves = {"e2e": run.series.e2e, **{component(k): run.series.components[k] for k in noted}}
    else:
        curves = {run.title: run.series.e2e for run in runs if run.series}
    for (name, found), (colour, dash) in zip(curves.items(), LINES, strict=False):
        x = np.append(found.nines, np.log10(2 * found.count))
        axes.step(x, np.append(found.ms, found.ms[-1]), where="post", color=colour, linestyle=dash, label=name)
    most = max(found.count for found in curves.values())
    for run in runs:
        low, high = run.summary.e2e.p99_interval
        if low is not None and high is not None:
            axes.vlines(2, low, high, color=INK, linewidth=3, alpha=0.4)
    ticks = [(at, text) for at, text in PERCENTILES if at <= np.log10(2 * most)]
    axes.set_xticks([at for at, _ in ticks], [text for _, text in ticks])
    axes.set(xlabel="percentile", ylabel="ms", xlim=(0, np.log10(2 * most)))
    axes.set_ylim(bottom=0)
    axes.grid(color="#e3e6ea", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return figure


def _over_time(run: Run) -> Figure:
    assert run.series is not None
    found, rows = run.series, 4 + bool(run.cpu)
    figure = _figure(9, 1.4 + 1.35 * rows)
    latency, waiting, rates, late, *cpu = figure.subplots(
        rows, 1, sharex=True, height_ratios=[2.2] + [1] * (rows - 1), squeeze=True
    )
    threshold_ms = run.summary.tail.threshold_ms
    slow = found.latency.y >= (np.inf if threshold_ms is None else threshold_ms)
    for mask, colour, size in ((~slow, GREY, 2), (slow, ACCENT, 9)):
        latency.scatter(found.latency.x[mask], found.latency.y[mask], size, colour, linewidths=0, rasterized=True)
    latency.set_ylabel("latency, ms")
    _lines(waiting, {name: depth.mean for name, depth in found.waiting.items()}, "mean waiting")
    _lines(rates, found.rates, "requests/s")
    late.plot(found.lateness.x, found.lateness.y, color=ACCENT, linewidth=0.8, rasterized=True)
    late.set_ylabel("lateness, ms")
    for axes in cpu:
        _lines(axes, run.cpu, "CPU, %", "default")
        axes.set_ylim(0, 100)
    for axes in (latency, waiting, rates, late, *cpu):
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_ylim(bottom=0)
    figure.align_ylabels()
    (cpu or [late])[-1].set(xlabel="s since the first request was due", xlim=(0, found.in_system.steps.x[-1]))
    return figure


def _lines(axes: Axes, series: Any, label: str, style: str = "steps-post") -> None:
    for (name, one), (colour, dash) in zip(series.items(), LINES, strict=False):
        look: dict[str, Any] = {"color": colour, "linestyle": dash, "drawstyle": style, "label": name}
        axes.plot(one.x, one.y, linewidth=0.9, rasterized=True, **look)
    axes.set_ylabel(label)
    axes.legend(frameon=False, fontsize=7, ncols=8, loc="lower right", bbox_to_anchor=(1, 0.94), borderpad=0)
