"""The figures as one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def plot(result: dict[str, Any], path: Path) -> None:
    """Bars of median times by size, on a logarithmic axis, with the spread; raises ImportError without matplotlib."""
    from matplotlib.figure import Figure  # type: ignore[import-not-found,import-untyped,unused-ignore]

    sizes = result["sizes"]
    figure: Any = Figure(figsize=(4.2 * len(sizes), 0.45 * max(map(len, sizes.values())) + 1.4), layout="constrained")
    for axes, (size, rows) in zip(
        figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0], sizes.items(), strict=True
    ):
        names = list(rows)[::-1]
        medians = [rows[name]["median_ms"] for name in names]
        below = [rows[name]["median_ms"] - rows[name]["p05_ms"] for name in names]
        above = [rows[name]["p95_ms"] - rows[name]["median_ms"] for name in names]
        colours = ["tab:blue" if name in ("numba", "native") else "lightgrey" for name in names]
        axes.barh(names, medians, xerr=[below, above], color=colours, error_kw={"linewidth": 0.8})
        axes.set(title=size, xscale="log", xlabel="ms, one thread (5 % to 95 %)")
    figure.suptitle(f"uint8 image to normalised 3x224x224, {result['machine']['cpu']}")
    figure.savefig(path)
