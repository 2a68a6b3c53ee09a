"""Templates, styles and scripts put together as one file that asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from harness.report.html import charts
from harness.report.html.figures import FILTERS, Figures
from harness.report.html.run import Run
from harness.report.html.study import Study
from harness.report.screens.budget import COMPONENTS
from harness.report.screens.run import LEVEL_WORDS
from harness.scenario import read as read_scenario
from harness.stats import side_by_side
from harness.stats.series import by_kind
from harness.summary import QUANTILES
from harness.text import printable

HERE = Path(__file__).parent
SCRIPTS = ("scale", "paths", "plot", "rows", "main")
MARKS = {"ok": "✓", "warning": "!", "invalid": "✗"}


def render(runs: Sequence[Run]) -> str:
    """The page of one run, or of several side by side."""
    return _page(_one(runs[0]) if len(runs) == 1 else _several(runs))


def render_study(study: Study) -> str:
    """The page of a study: its screen and its plots."""
    images = {name: f"data:image/svg+xml;base64,{_base64(text.encode())}" for name, text in study.plots.items()}
    return _page({"template": "study.html", "title": study.name, "study": study, "plots": images, "charts": _data([])})


def _page(content: dict[str, Any]) -> str:
    style = static("report.css")
    script = '"use strict";\n(() => {\n' + "\n".join(static(f"{name}.js") for name in SCRIPTS) + "})();\n"
    policy = f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    page = {"style": Markup(style), "script": Markup(script), "policy": policy}
    return templates().get_template(content["template"]).render(**shared(), **page, **content)


def shared() -> dict[str, Any]:
    """What every template may use."""
    return {
        "marks": MARKS,
        "verdicts": LEVEL_WORDS,
        "components": COMPONENTS,
        "inner": [quantile for quantile in QUANTILES if quantile.level <= 0.99],  # left of the interval on p99
        "outer": [quantile for quantile in QUANTILES if quantile.level > 0.99],
    }


def _one(run: Run) -> dict[str, Any]:
    drawn = charts.of_one(run) if run.series else []
    kinds = [by_kind(parts) for parts in (run.series.typical_ms, run.series.slowest_ms)] if run.series else []
    return {
        "template": "one.html",
        "title": run.summary.name,
        "run": run,
        "s": run.summary,
        "fig": Figures(run.summary),
        "charts": _data(drawn),
        "drawn": [chart["id"] for chart in drawn],
        "histograms": [(c["id"], name) for c, name in zip(_histograms(drawn), charts.noted(run), strict=False)],
        "kinds": kinds,
    }


def _several(runs: Sequence[Run]) -> dict[str, Any]:
    summaries = [run.summary for run in runs]
    drawn = charts.of_several(runs)
    scenarios = [run.path / "resolved.yaml" for run in runs]
    known = all(path.is_file() for path in scenarios)
    return {
        "template": "several.html",
        "title": " and ".join(dict.fromkeys(s.name for s in summaries)),
        "runs": runs,
        "figures": [Figures(summary, i) for i, summary in enumerate(summaries)],
        "latencies": side_by_side.latencies(summaries),
        "stages": side_by_side.stages(summaries),
        "settings": side_by_side.settings([read_scenario(path).raw for path in scenarios]) if known else [],
        "machines": side_by_side.machines(summaries),
        "charts": _data(drawn),
        "drawn": [chart["id"] for chart in drawn],
    }


def _histograms(drawn: Sequence[charts.Chart]) -> list[charts.Chart]:
    return [chart for chart in drawn if chart["id"].startswith("histogram-")]


def _data(drawn: Sequence[charts.Chart]) -> Markup:
    """JSON that no text in it can end early."""
    text = json.dumps(drawn, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def templates() -> jinja2.Environment:
    """The templates, with their filters; text is escaped, and a name that is not known is an error."""
    loader = jinja2.FileSystemLoader(HERE / "templates")
    found = jinja2.Environment(
        loader=loader,
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(FILTERS)
    return found


def _shown(value: Any) -> str:
    """Text from outside without control characters; markup of our own is as it is."""
    return value if isinstance(value, Markup) else printable(str(value))


def static(name: str) -> str:
    """A style or a script."""
    return (HERE / "static" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + _base64(hashlib.sha256(text.encode()).digest())


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
