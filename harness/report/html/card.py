"""A run as a notebook shows it: the head of its report, the latency budget and the tail, from its summary alone.

One element with styles of its own and no script; it takes its colours from the page that it stands in.
"""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from harness.report.html.figures import Figures
from harness.report.html.page import shared, static, templates
from harness.report.html.run import Run
from harness.stats.budget import PRODUCER, RESIDUAL
from harness.store import SavedRun

NOTED = 0.005
"""Components with a smaller share of typical and of slow requests are left out."""


def run_card(saved: SavedRun) -> str:
    """HTML for one run. Raises UsageError where its summary cannot be read."""
    run = Run("", saved.path, saved.summary, None, {}, "")
    content = {
        "run": run,
        "s": run.summary,
        "fig": Figures(run.summary),
        "done": run.summary.requests.completed > 0,
        "budget": _budget(run),
        "style": Markup(static("card.css")),
    }
    return templates().get_template("card.html").render(**shared(), **content)


def _budget(run: Run) -> list[dict[str, Any]]:
    """The components that can be seen, in the order of the pipeline, with what they are of typical and slow requests.

    Without a steady state waits grow while the load lasts: their quantiles are not shown.
    """
    tail = run.summary.tail
    lateness = "producer_own_lateness_ms" if run.summary.producer_own_lateness else "producer_lateness_ms"
    own = {PRODUCER: lateness, RESIDUAL: "residual_ms"}
    rows = []
    for key, slowest in tail.shares.items():
        typical = tail.median_shares[key]
        if max(slowest, typical) >= NOTED:
            stage, _, part = key.rpartition(".")
            figures = f"stages/{stage}/{part}_ms" if stage else own[part]
            hidden = run.saturated and part != "service"
            rows.append({"key": key, "figures": figures, "typical": typical, "slowest": slowest, "hidden": hidden})
    return rows
