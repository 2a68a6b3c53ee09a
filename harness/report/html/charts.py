"""Descriptions of the charts, as data: what static/plot.js and static/rows.js draw.

A chart with axes is {id, label, height, group, x, y, series, marks}; charts of one group zoom together. A series is
{label, kind: dots | line | steps | shade | bars, x, y, style}, its arrays float32, little endian, base64; shade is the
area below steps. A chart of rows is {id, label, most, rows}.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.numbers import ms
from harness.report.figures import header
from harness.report.html.figures import change, component, kind
from harness.report.html.run import Run
from harness.stats.series import LEAST_MS, Depth, Distribution, Series
from harness.summary import SloResult

Chart = dict[str, Any]
TALL, LOW, SMALL, STRIP = 280, 168, 130, 104
NOTED = 0.02
"""Components with a smaller share of typical and of slow requests have no picture of their own."""
PERCENTILES = ((0.0, "0"), (0.30103, "50 %"), *((float(k), f"{100 - 100 / 10**k:.10g} %") for k in range(1, 9)))
MILLISECONDS = {"unit": "ms"}


def of_one(run: Run) -> list[Chart]:
    """Every chart of a run's report, in the order of the page."""
    return [budget([run]), *over_time(run), percentiles([run]), ecdf([run]), *histograms(run), *models(run)]


def of_several(runs: Sequence[Run]) -> list[Chart]:
    """Every chart of the report of several runs."""
    drawn = [run for run in runs if run.series]
    ends = [_end(run) for run in drawn]
    most = max((float(run.series.latency.y.max()) for run in drawn if run.series), default=1.0)
    compared = [percentiles(drawn), ecdf(drawn)] if drawn else []
    return [
        *([budget(drawn)] if drawn else []),
        *compared,
        *(_latency(run, max(ends), f"latency-{run.label}", TALL - 60, most) for run in drawn),
    ]


def packed(values: NDArray[Any] | Sequence[float]) -> str:
    """Numbers as the page carries them."""
    return base64.b64encode(np.asarray(values, dtype="<f4").tobytes()).decode("ascii")


# ------------------------------------------------------------------ where the time goes


def budget(runs: Sequence[Run]) -> Chart:
    """A bar for typical requests and one for the slowest 1 %, of each run."""
    rows = []
    for run in runs:
        assert run.series is not None
        for name, which, parts in (
            ("Typical requests", "p40 to p60", run.series.typical_ms),
            ("Slowest 1 %", f"from {ms(run.summary.tail.threshold_ms)} ms on", run.series.slowest_ms),
        ):
            total = sum(parts.values())
            rows.append(
                {
                    "label": f"{run.label}: {name.lower()}" if run.label else name,
                    "note": f"{which}, {ms(total)} ms on average",
                    "total": total,
                    "parts": [
                        {"name": component(key), "kind": kind(key), "value": max(value, 0.0)}
                        for key, value in parts.items()
                    ],
                }
            )
    label = "Latency budget: mean time in each component. Arrow keys go from part to part."
    return {"id": "budget", "label": label, "most": max(row["total"] for row in rows), "rows": rows}


# ------------------------------------------------------------------ over time


def over_time(run: Run) -> list[Chart]:
    """Latency, queues, throughput, lateness and CPU, over one axis."""
    found = run.series
    assert found is not None
    end = _end(run)
    queues = [(f"waiting-{i}", f"Waiting for {name}", d) for i, (name, d) in enumerate(found.waiting.items())]
    queues.append(("in-system", "Requests in the whole system", found.in_system))
    rates = [_line(name, s, i, kind="steps") for i, (name, s) in enumerate(found.rates.items())]
    late = {**_line("lateness", found.lateness, 0), "kind": "dots"}
    charts = [
        _latency(run, end, "latency", TALL),
        *(_timed(name, label, end, _depth(depth), {"unit": "", "whole": True}, STRIP) for name, label, depth in queues),
        _timed("throughput", "Throughput", end, rates, {"unit": "/s"}),
        _timed("lateness", "Lateness of the producer", end, [late], MILLISECONDS),
    ]
    if run.cpu:
        cpu = [_line(name, s, i) for i, (name, s) in enumerate(run.cpu.items())]
        charts.append(_timed("cpu", "Share of CPU time", end, cpu, {"unit": "%", "range": [0, 100]}))
    return charts


def _depth(found: Depth) -> list[dict[str, Any]]:
    return [_line("requests", found.steps, 0, kind="shade"), _line("on average", found.mean, 0, kind="steps")]


def _latency(run: Run, end: float, name: str, height: int, most: float | None = None) -> Chart:
    assert run.series is not None
    latency = run.series.latency
    dots = {
        **_line("request", latency, 0),
        "kind": "dots",
        "threshold": run.summary.tail.threshold_ms,
        "numbers": packed(run.series.requests),
    }
    y: dict[str, Any] = MILLISECONDS if most is None else {**MILLISECONDS, "range": [0, most * 1.06]}
    marks = _levels(run) if not run.saturated else []
    title = f"e2e latency of each request{f' of {run.title}' if run.label else ''}"
    return {**_timed(name, title, end, [dots], y, height), "marks": marks}


def _levels(run: Run) -> list[dict[str, Any]]:
    """The p99, and the limits of the SLO."""
    p99 = run.summary.e2e.p99
    return [{"at": p99, "label": f"p99 {ms(p99)} ms"}, *map(_limit, run.summary.slo)]


def _limit(row: SloResult) -> dict[str, Any]:
    return {"at": row.limit_ms, "label": f"limit of {header(row.limit)}, {ms(row.limit_ms)} ms"}


def _end(run: Run) -> float:
    assert run.series is not None
    return max(float(s.x[-1]) for s in (run.series.latency, *run.series.rates.values()))


def _timed(
    name: str, label: str, end: float, series: list[dict[str, Any]], y: Mapping[str, Any], height: int = LOW
) -> Chart:
    x = {"title": "s", "unit": "s", "name": "at", "suffix": "s", "range": [0, end]}
    return _chart(name, label, "time", x, y, series, height)


# ------------------------------------------------------------------ distributions


def percentiles(runs: Sequence[Run]) -> Chart:
    """Latency over the percentile, on a scale on which each nine takes as much room as the one before.

    Of one run the components can be added; of several each is a curve.
    """
    series, marks = [], []
    if len(runs) == 1:
        (run,) = runs
        assert run.series is not None
        curves = {"e2e": run.series.e2e, "response": run.series.response}
        curves |= {component(k): run.series.components[k] for k in noted(run)}
        series = [_curve(name, d, i, hidden=i > 1) for i, (name, d) in enumerate(curves.items())]
        marks = [] if run.saturated else [_limit(row) for row in run.summary.slo]
    else:
        series = [_curve(run.title, run.series.e2e, i) for i, run in enumerate(runs) if run.series]
    for run in runs:
        low, high = run.summary.e2e.p99_interval
        if low is not None and high is not None:
            marks.append({"x": 2, "interval": [low, high]})
    most = max(float(np.log10(2 * run.series.e2e.count)) for run in runs if run.series)
    x = {"title": "percentile", "unit": "", "name": "percentile", "suffix": "%", "nines": True, "ticks": PERCENTILES}
    label = "Latency by percentile, logarithmic in 1 - p; the whisker is the 95 % interval on p99"
    return {
        **_chart("percentiles", label, "percentiles", {**x, "range": [0, most]}, MILLISECONDS, series, TALL + 40),
        "marks": marks,
    }


def _curve(name: str, found: Distribution, style: int, *, hidden: bool = False) -> dict[str, Any]:
    x, y = np.append(found.nines, np.log10(2 * found.count)), np.append(found.ms, found.ms[-1])
    return _line(name, Series(x, y), style, kind="steps", hidden=hidden)


def ecdf(runs: Sequence[Run]) -> Chart:
    """The share of requests that took no longer than x."""
    if len(runs) == 1:
        (run,) = runs
        assert run.series is not None
        found = {"e2e": run.series.e2e, "response": run.series.response}
        found |= {component(k): run.series.components[k] for k in noted(run) if kind(k) == "service"}
    else:
        found = {run.title: run.series.e2e for run in runs if run.series}
    courses = [Series(np.maximum(d.ms, LEAST_MS), 100 * d.shares) for d in found.values()]
    series = [_line(name, s, i, kind="steps") for i, (name, s) in enumerate(zip(found, courses, strict=True))]
    for extra in series[2:] if len(runs) == 1 else []:
        extra["hidden"] = True
    x = {"title": "ms, log scale", "unit": "ms", "name": "up to", "suffix": "ms", "log": True, "least": LEAST_MS}
    label = "Empirical distribution function"
    return _chart("ecdf", label, "ecdf", x, {"unit": "%", "range": [0, 100]}, series, TALL)


def histograms(run: Run) -> list[Chart]:
    """A small histogram for each component that matters, over one axis."""
    assert run.series is not None
    edges, names = run.series.histograms.edges_ms, noted(run)
    counts = {name: run.series.histograms.counts[name] for name in names}
    filled = np.flatnonzero(sum(counts.values())) if counts else np.array([], int)
    if not len(filled):
        return []
    x = {
        "title": "ms, log scale", "unit": "ms", "name": "from", "suffix": "ms on", "log": True, "least": LEAST_MS,
        "range": [float(edges[filled[0]]), float(edges[filled[-1] + 1])],
    }  # fmt: skip
    return [
        _chart(
            f"histogram-{i}", f"Histogram of {component(name)}", "histograms", x, {"unit": "requests"},
            [{"label": "requests", "kind": "bars", "x": packed(edges), "y": packed(counts[name]), "style": 0}], SMALL,
        )
        for i, name in enumerate(names)
    ]  # fmt: skip


def noted(run: Run) -> list[str]:
    """The components that make up a part of the latency that can be seen, in the order of the pipeline."""
    tail = run.summary.tail
    return [name for name, share in tail.shares.items() if max(share, tail.median_shares[name]) >= NOTED]


# ------------------------------------------------------------------ models


def models(run: Run) -> list[Chart]:
    """p50, p90 and p99 of the run and of each model that applies; no chart where there is none."""
    rungs = [(rung.model, rung.e2e, rung.error) for rung in run.summary.model.rungs if rung.e2e]
    if not rungs:
        return []
    e2e = run.summary.e2e
    low, high = e2e.p99_interval
    measured = {
        "label": "measured",
        "note": "",
        "measured": True,
        "points": _points({"p50": e2e.p50, "p90": e2e.p90, "p99": e2e.p99}),
        **({"interval": [low, high]} if low is not None and high is not None else {}),
    }
    rows: list[dict[str, Any]] = [measured]
    rows += [{"label": name, "note": "", "points": _points(levels, errors)} for name, levels, errors in rungs]
    most = max(point["value"] for row in rows for point in row["points"])
    label = "p50, p90 and p99, measured and by model. Arrow keys go from mark to mark."
    return [{"id": "ladder", "label": label, "most": most, "rows": rows}]


def _points(
    levels: Mapping[str, float | None], errors: Mapping[str, float | None] | None = None
) -> list[dict[str, Any]]:
    return [
        {"level": key, "value": value, **({"note": change(errors[key])} if errors else {})}
        for key, value in levels.items()
        if value is not None
    ]


# ------------------------------------------------------------------ the parts of a description


def _chart(
    name: str,
    label: str,
    group: str,
    x: Mapping[str, Any],
    y: Mapping[str, Any],
    series: Iterable[Mapping[str, Any]],
    height: int,
) -> Chart:
    whole = {"id": name, "label": f"{label}. Arrow keys move, plus and minus zoom, 0 shows all again."}
    return {**whole, "group": group, "height": height, "x": x, "y": y, "series": list(series)}


def _line(label: str, found: Series, style: int, *, kind: str = "line", hidden: bool = False) -> dict[str, Any]:
    line = {"label": label, "kind": kind, "x": packed(found.x), "y": packed(found.y), "style": style % 8}
    return {**line, "hidden": True} if hidden else line
