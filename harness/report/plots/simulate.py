"""The plot of a prediction: latencies over utilisation, or over the values that a key takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from harness.errors import SaveError, UsageError
from harness.report.axes import numbers


def save(answer: Mapping[str, Any], path: Path) -> None:
    """Draw p50, p90 and p99 over utilisation, or over the values of a key. Raises UsageError, SaveError."""
    rows = answer["curve"] if answer["kind"] == "quick" else answer.get("sweep", {}).get("rows")
    if not rows:
        raise UsageError("there is no curve to draw", where="--plot", hint="Add --vary load.rate=10..50/10/s.")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("matplotlib is not installed", where="--plot", hint="pip install matplotlib") from None
    quick = answer["kind"] == "quick"
    xs = [r["utilisation"] for r in rows] if quick else numbers([r["value"] for r in rows])
    places: Sequence[float] = range(len(rows)) if xs is None else xs
    found = [(x, r["simulated"] if quick else r) for x, r in zip(places, rows, strict=True)]
    if xs is not None:
        found.sort(key=lambda point: point[0])
    steady = [(x, f) for x, f in found if f["steady"]]
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for key, colour in (("p50", "#9ecae1"), ("p90", "#4292c6"), ("p99", "#08306b")):
        middle = [f["e2e_ms"][key] for _, f in steady]
        low = [m - f["interval_ms"][key][0] for m, (_, f) in zip(middle, steady, strict=True)]
        high = [f["interval_ms"][key][1] - m for m, (_, f) in zip(middle, steady, strict=True)]
        line = "none" if xs is None else "-"
        axes.errorbar(
            [x for x, _ in steady], middle, [low, high],
            color=colour, marker="o", markersize=4, linestyle=line, label=key,
        )  # fmt: skip
    if quick:
        formula = [
            (r["utilisation"], r["theory"]["e2e_ms"]["p99"]) for r in rows if r["theory"] and r["theory"]["e2e_ms"]
        ]
        if formula and formula[0][1] is not None:
            axes.plot(
                *zip(*formula, strict=True), color="black", linestyle=":", label=f"p99, {rows[0]['theory']['model']}"
            )
        axes.axvline(answer["utilisation"], color="grey", linewidth=0.8)
    for number, (low_x, high_x) in enumerate(_unsteady(found)):
        axes.axvspan(low_x, high_x, color="#fee0d2", linewidth=0, label="" if number else "no steady state")
    axes.set(xlabel="utilisation" if quick else answer["sweep"]["key"], ylabel="e2e latency, ms")
    if xs is None:
        axes.set_xticks(places, [r["value"] for r in rows], rotation=30, ha="right")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise SaveError(f"cannot write the plot: {error}", where=str(path)) from None


def _unsteady(found: Sequence[tuple[float, Mapping[str, Any]]]) -> Iterator[tuple[float, float]]:
    """For each prediction without a steady state, how far it reaches: half way to its neighbours."""
    xs = [x for x, _ in found]
    middles = [xs[0], *((a + b) / 2 for a, b in pairwise(xs)), xs[-1]]
    for (_, prediction), low, high in zip(found, middles[:-1], middles[1:], strict=True):
        if not prediction["steady"]:
            yield low, high
