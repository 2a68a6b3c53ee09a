"""Names beside the ends of lines, moved apart where they would cover each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = 8  # points
LINE = 1.25  # height of a name, in units of its size
GAP = 7  # points between a line's end and its name
End = tuple[float, float, str, Any]
"""x, y, the name, and the colour of its line."""


def place(axes: Axes, ends: Sequence[End], lift: float = 0.0) -> None:
    """Write each name to the right of its point, and so many points above it; a name that had to move away is tied to
    its point by a thin line."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # only now it is known where the points are
    to_points = 72 / figure.dpi
    at = [axes.transData.transform((x, y)) * to_points for x, y, _, _ in ends]
    moved = spread([float(y) for _, y in at], [float(x) for x, _ in at])
    for (x, y, name, colour), (_, here), there in zip(ends, at, moved, strict=True):
        shift = there - float(here)
        tie = {"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3, "relpos": (0, 0.5)}
        axes.annotate(
            name,
            (x, y),
            xytext=(GAP + (4 if abs(shift) > 1 else 0), shift + lift),
            textcoords="offset points",
            va="center",
            fontsize=SIZE,
            color="0.15",
            arrowprops=tie if abs(shift) > 1 else None,
            annotation_clip=False,
        )


def spread(heights: Sequence[float], places: Sequence[float], near: float = 90.0) -> list[float]:
    """Heights of names, moved upwards as far as they would cover those below them.

    places: where they begin; names that begin further apart than `near` do not meet. All in points.
    """
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    found = list(heights)
    for rank, i in enumerate(order):
        for below in order[:rank]:
            if abs(places[i] - places[below]) < near:
                found[i] = max(found[i], found[below] + SIZE * LINE)
    return found
