"""What `harness capacity` prints and draws: progress, the configurations, the runs of the best one, the answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.errors import SaveError, UsageError
from harness.report.figures import WIDEST, first_line, ms
from harness.stats.checks import three
from harness.studies.capacity import State, Step

VERDICTS = {"met": "green", "not met": "red", "undecided": "yellow", "best": "bold green", "failed": "red"}
MOST_PREDICTED = 4
ROOMY = 96  # columns from which on tables are spaced out


# ------------------------------------------------------------------ while it lasts


def progress(console: Console, state: State, step: Step | None) -> None:
    """What was learnt from the last run, and what is measured next, and why."""
    lines = [*_learnt(state), *_coming(state, step)]
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def _learnt(state: State) -> list[str]:
    if state.last is None:
        return []
    candidate = state.candidates[state.last]
    if candidate.failed is not None:
        return [f"   failed: {first_line(str(candidate.failed))}"]
    if not candidate.evidence or state.signal:
        return []
    last = candidate.evidence[-1]
    limits = state.goal.limits
    said = f"   {last.verdict}"
    if math.isinf(last.long_run) or last.saturated:
        said += ": no steady state"
    elif len(limits) == 1:
        said += f": {limits[0].name} {ms(last.long_run * limits[0].limit_ns / 1e6)} ms"
    if last.purpose == "calibrate":
        predicted = sorted((c for c in state.candidates if c.predicted), key=lambda c: -c.estimate.rate_rps)
        shown = "; ".join(f"{c.configuration.name} {_rate(c.estimate.rate_rps)}" for c in predicted[:MOST_PREDICTED])
        more = f"; and {len(predicted) - MOST_PREDICTED} below" if len(predicted) > MOST_PREDICTED else ""
        return [said, f"   predicted: {shown}{more}"] if predicted else [said]
    found = candidate.estimate
    bracket = f"capacity {_rate(found.rate_rps)} (± {found.half:.1%})" if found.rate_rps else "no load keeps the SLO"
    return [f"{said}; {bracket}"]


def _coming(state: State, step: Step | None) -> list[str]:
    if step is None:
        return []
    at = "" if step.rate_rps is None else f" at {_rate(step.rate_rps)}"
    return [f"-> {state.candidates[step.candidate].configuration.name}{at}, {step.seconds:.0f} s: {step.why}"]


# ------------------------------------------------------------------ the answer


def show(console: Console, answer: Mapping[str, Any]) -> None:
    """Print an answer; readable at 80 columns and without colour."""
    console.width = min(console.width, WIDEST)
    gap = 2 if console.width >= ROOMY else 1
    slo = " and ".join(f"{row['limit']} <= {row['limit_ms']:,.6g} ms" for row in answer["slo"])
    console.print(
        Text.assemble((f"capacity of {answer['scenario']}", "bold"), f"  {slo}"), _headline(answer), "", sep="\n"
    )
    console.print(_configurations(answer, gap), "", sep="\n")
    for row in answer["configurations"]:
        if row["verdict"] == "failed":
            console.print(Text(f"{row['name']}: {first_line(row['failed'])}", style="red"))
    shown = _shown(answer["configurations"])
    if shown is not None:
        console.print(Text(f"Runs of {shown['name']}", style="bold"), _runs(shown, answer["slo"], gap), "", sep="\n")
    bullet = "-" if console.options.ascii_only else "•"
    sentences = Table.grid(padding=(0, 1))
    for sentence in answer["sentences"]:
        sentences.add_row(Text(bullet, style="dim"), Text(sentence))
    console.print(sentences)
    spent = f"\n{answer['measured_s']:.0f} s under load, {answer['elapsed_s']:.0f} s in all."
    saved = f" Saved in {answer['saved']}" if "saved" in answer else ""
    console.print(Text(spent + saved, style="dim"), soft_wrap=True)


def _headline(answer: Mapping[str, Any]) -> Text:
    found = answer["answer"]
    if found is None:
        return Text("no load keeps it" if answer["attainable"] is False else "no answer", style="bold yellow")
    lo, hi = found["interval_rps"]
    exact = f"  95 % interval {three(lo)} … {three(hi)}/s (± {found['half_width']:.1%})"
    style = "bold green" if answer["status"] == "answered" else "bold yellow"
    return Text.assemble((_rate(found["rate_rps"]), style), exact)


def _configurations(answer: Mapping[str, Any], gap: int) -> Table:
    """The best first, the failed last."""
    table = _table(gap, "configuration", "predicted", "measured", "95 % interval", "")
    rows = sorted(
        answer["configurations"],
        key=lambda row: (row["verdict"] == "failed", -(row["measured_rps"] or 0), -(row["predicted_rps"] or 0)),
    )
    for row in rows:
        interval = row["interval_rps"]
        ends = f"{three(interval[0])} … {three(interval[1])}/s" if interval and interval[1] else ""
        verdict = Text(row["verdict"], style=VERDICTS.get(row["verdict"], "dim"))
        table.add_row(
            Text(row["name"], overflow="fold"), _rate(row["predicted_rps"]), _rate(row["measured_rps"]), ends, verdict
        )
    return table


def _shown(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The configuration whose runs are worth a look: the best, else one that was measured."""
    best = next((row for row in rows if row["verdict"] == "best"), None)
    return best or max((row for row in rows if row["runs"]), key=lambda row: len(row["runs"]), default=None)


def _runs(row: Mapping[str, Any], slo: Sequence[Mapping[str, Any]], gap: int) -> Table:
    """Runs by rate. Of several limits the worst one counts, and figures are shares of it."""
    one = len(slo) == 1
    name = f"{slo[0]['limit']}, ms" if one else "of the SLO"
    table = _table(gap, "rate", "requests", name, "95 %", "long run", "95 %", "verdict", "capacity")
    table.columns[6].justify = "left"

    def figure(value: float | None) -> str:
        if value is None or value == float("inf"):
            return "-"
        return ms(value * slo[0]["limit_ms"]) if one else f"{value:.0%}"

    def ends(values: Sequence[float] | None, missing: str = "") -> str:
        return missing if values is None else f"{figure(values[0])} … {figure(values[1])}"

    for run in sorted(row["runs"], key=lambda run: run["rate_rps"]):
        verdict = Text(run["verdict"], style=VERDICTS[run["verdict"]])
        table.add_row(
            Text(_rate(run["rate_rps"]), style="dim" if run["purpose"] == "calibrate" else ""),
            f"{run['requests']:,}",
            "infinite" if run["measured"] == float("inf") else figure(run["measured"]),
            Text(ends(run["interval"], "grows" if run["saturated"] else "too few"), style="dim"),
            Text(figure(run["long_run"]), style="bold"),
            Text(ends(run["long_run_interval"]) if figure(run["long_run"]) != "-" else "", style="dim"),
            verdict,
            _rate(run["capacity_rps"]) if run["capacity_rps"] else "none",
        )
    return table


def _table(gap: int, *names: str) -> Table:
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="dim")
    for index, name in enumerate(names):
        table.add_column(name, justify="left" if index == 0 or not name else "right", no_wrap=index > 0)
    return table


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{three(value)}/s"


# ------------------------------------------------------------------ a plot


def plot(answer: Mapping[str, Any], path: Path) -> None:
    """Draw the SLO's statistic over the rate: measured runs, the twin's curve, the answer. Raises SaveError."""
    found = answer["answer"]
    row = _shown(answer["configurations"])
    if row is None:
        raise UsageError("there is nothing measured to draw", where="--plot")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("matplotlib is not installed", where="--plot", hint="pip install matplotlib") from None
    slo = answer["slo"]
    scale = slo[0]["limit_ms"] if len(slo) == 1 else 1.0
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(scale, color="#b2182b", linewidth=1)
    label = f"SLO: {slo[0]['limit']} <= {scale:g} ms" if len(slo) == 1 else "SLO"
    axes.annotate(label, (0.01, scale), (0, 3), ("axes fraction", "data"), textcoords="offset points", color="#b2182b")
    highest = _draw_curve(axes, found, scale)
    for run in row["runs"]:
        highest = max(highest, _draw_run(axes, run, scale))
    if found is not None:
        lo, hi = found["interval_rps"]
        axes.axvspan(lo, hi, color="#d1e5f0", zorder=0, label=f"capacity {_rate(found['rate_rps'])}, 95 % interval")
        axes.axvline(found["rate_rps"], color="#2166ac", linewidth=1)
    unit = f"{slo[0]['limit']} of the e2e latency, ms" if len(slo) == 1 else "worst statistic over its limit"
    axes.set(xlabel="offered load, requests/s", ylabel=unit, title=f"{answer['scenario']}: {row['name']}")
    axes.set_ylim(0, min(1.15 * highest, 4 * scale))
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes.legend(unique.values(), unique.keys(), frameon=False, loc="upper left", bbox_to_anchor=(0.0, 0.93))
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise SaveError(f"cannot write the plot: {error}", where=str(path)) from None


def _draw_curve(axes: Any, found: Mapping[str, Any] | None, scale: float) -> float:
    if found is None or found["curve"] is None:
        return scale
    points = [
        (rate, excess * scale)
        for rate, excess in zip(found["curve"]["rate_rps"], found["curve"]["excess"], strict=True)
        if excess is not None
    ]
    axes.plot(*zip(*points, strict=True), color="#4d4d4d", linewidth=1.2, label="twin, scaled to the runs")
    return max(float(y) for _, y in points)


def _draw_run(axes: Any, run: Mapping[str, Any], scale: float) -> float:
    """A run twice: as it stands (hollow), and without the luck of its arrivals, with its interval."""
    x, highest = run["rate_rps"], 0.0
    if run["measured"] != float("inf"):
        highest = run["measured"] * scale
        axes.plot(x, highest, "o", markerfacecolor="none", color="#878787", label="measured, as it stands")
    middle, (lo, hi) = run["long_run"], run["long_run_interval"]
    if middle != float("inf"):
        hi = min(hi, 100 * middle)  # one that is infinite leaves the picture
        bars = [[(middle - lo) * scale], [(hi - middle) * scale]]
        axes.errorbar(x, middle * scale, bars, fmt="o", color="#2166ac", capsize=3, label="measured, long run, 95 %")
        highest = max(highest, hi * scale)
    return float(highest)
