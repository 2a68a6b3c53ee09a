"""The screen of a run holds what a person needs, at 80 columns, without colour, in ASCII; and nothing that misleads."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from rich.console import Console

from harness import host
from harness.executors.progress import Progress
from harness.numbers import ms
from harness.plan import resolve
from harness.records import Outcome
from harness.report.figures import WIDEST
from harness.report.live import run as live
from harness.report.screens import run as terminal
from harness.studies.run.measure import measure
from tests.facts import changed
from tests.pipelines import scenario

LOST = {
    "limit": "p99", "limit_ms": 1000.0, "measured_ms": None, "infinite": True, "met": False,
    "why": "3 % of the requests were lost (dropped) and count as infinitely late",
}  # fmt: skip
SERVER = {"delay": {"name": "server", "mean": "1 ms", "capacity": 1000}}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Summaries of short real runs by name."""
    described = host.describe()
    runs = {
        "steady": scenario(
            {"null": {"name": "front", "batch": {"max": 4, "timeout": "1 ms"}}}, SERVER,
            load={"arrivals": "poisson", "rate": "300/s", "requests": 300, "warmup": 10},
            slo={"p99": "1 s", "p50": "1 us"}, executor="asyncio",
        ),
        "saturated": scenario(
            SERVER, load={"arrivals": "constant", "rate": "2000/s", "requests": 1500}, executor="asyncio"
        ),
        "closed": scenario(SERVER, load={"arrivals": "closed", "requests": 50}, executor="asyncio"),
    }  # fmt: skip
    out = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "describe", lambda: described)
        return {name: measure(resolve(given), "", out).summary for name, given in runs.items()}


def screen(summary, width: int = 80, encoding: str = "utf-8", colour: bool = False) -> str:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    terminal.show(Console(file=out, width=width, highlight=False, force_terminal=colour, no_color=not colour), summary)
    out.flush()
    return out.buffer.getvalue().decode(encoding)


def section(text: str, heading: str) -> list[str]:
    """The lines below a heading, up to the next empty one."""
    lines = [line.rstrip() for line in text.splitlines()]
    begin = next(i for i, line in enumerate(lines) if line.startswith(heading)) + 1
    return lines[begin : lines.index("", begin) if "" in lines[begin:] else None]


@pytest.mark.parametrize("width", [80, 100, 160])
@pytest.mark.parametrize("name", ["steady", "saturated", "closed"])
def test_the_screen_fits_its_width_and_no_number_is_cut(measured, name, width):
    text = screen(measured[name], width)
    body = [line.rstrip() for line in text.splitlines() if not line.startswith("Saved in")]
    assert max(map(len, body)) <= min(width, WIDEST)
    assert len(body) - len(section(text, "Validity")) <= 54  # how much it warns of depends on the machine
    assert "…" not in re.sub(r"\d … \d", "", text)  # rich cuts with an ellipsis
    assert "\x1b" not in text


def test_the_screen_answers_what_it_is_for(measured):
    summary = measured["steady"]
    text = screen(summary)
    title = text.splitlines()[0]
    assert title.startswith("test  asyncio, ")
    assert terminal.LEVEL_WORDS[summary.validity] in title
    for word in ("p50", "p90", "p95", "p99", "95 % interval", "p99.9", "min", "max"):
        assert word in text
    for row in ("e2e latency, from due", "response, from issued", "Load", "Requests", "Memory peak", "What it says"):
        assert row in text
    assert f"Saved in {summary.saved}" in text
    assert "p99 is likelier too low than too high" in " ".join(text.split())


def test_the_headline_shows_the_summary_s_figures(measured):
    summary = measured["steady"]
    row = next(line for line in screen(summary).splitlines() if line.startswith("e2e latency"))
    shown = row.removeprefix("e2e latency, from due").replace("too few requests", "").split()
    e2e = summary.e2e
    expected = [ms(e2e[key]) for key in ("p50", "p90", "p95", "p99")]
    assert shown[:4] == expected
    assert shown[-3:] == [ms(e2e[key]) for key in ("p999", "min", "max")]


def test_the_budget_has_a_line_for_each_component_of_each_stage(measured):
    lines = section(screen(measured["steady"]), "Latency budget")
    components = [re.search(r"(lateness|queue wait|batch wait|blocked|service) ", line) for line in lines[1:]]
    assert [c[1] for c in components if c] == [
        "lateness", "queue wait", "batch wait", "blocked", "service", "queue wait", "blocked", "service",
    ]  # fmt: skip
    busy = measured["steady"].stages["server"].utilisation
    assert any(f"{busy:.0%} busy" in line for line in lines)
    assert any("batch 1." in line or "batch 2." in line for line in lines)


def test_the_budget_s_lateness_is_the_producer_s_own(measured):
    """What held it up stands at the first stage; a run of an earlier version has the one figure only."""
    own = dict.fromkeys(("p50", "p90", "p99"), 0.125)
    summary = changed(measured["steady"], lambda s: s["producer_own_lateness_ms"].update(own))
    assert section(screen(summary), "Latency budget")[1].split()[2:5] == ["0.125"] * 3
    older = changed(summary, lambda s: s.pop("producer_own_lateness_ms"))
    shown = section(screen(older), "Latency budget")[1].split()[2:5]
    assert shown == [ms(older.producer_lateness[key]) for key in ("p50", "p90", "p99")]


def test_the_largest_share_of_the_tail_has_the_longest_bar(measured):
    summary = measured["steady"]
    lines = section(screen(summary), "Latency budget")
    longest = max(lines, key=lambda line: line.count("█"))
    largest = max(summary.tail.shares, key=summary.tail.shares.get)
    assert largest.rpartition(".")[2].replace("_", " ") in longest
    assert f"{summary.tail.shares[largest]:.0%}" in longest


def test_shares_of_the_tail_say_on_how_many_clusters_they_rest(measured):
    ranges = dict.fromkeys(measured["steady"].tail.shares, (0.41, 0.83))
    summary = changed(measured["steady"], lambda s: s["tail"].update(count=5, clusters=2, share_ranges=ranges))
    heading = next(line for line in screen(summary).splitlines() if line.startswith("Latency budget"))
    assert heading.rstrip().endswith("slowest 1 %: 5 requests in 2 clusters; lo-hi: without any one")
    assert any(line.rstrip().endswith("41-83%") for line in section(screen(summary), heading.rstrip()))
    one = changed(summary, lambda s: s["tail"].update(clusters=1, share_ranges=None))
    assert "5 requests in 1 cluster\n" in re.sub(r" +\n", "\n", screen(one))
    older = changed(summary, lambda s: [s["tail"].pop(key) for key in ("clusters", "share_ranges")])
    assert section(screen(older), "Latency budget")


def test_offered_and_completed_rates_stand_side_by_side(measured):
    assert re.search(r"Load +poisson; offered [\d.,]+/s, completed [\d.,]+/s", screen(measured["steady"]))
    assert re.search(r"Load +closed, 1 in flight; completed [\d.,]+/s", screen(measured["closed"]))


def test_checks_that_are_fine_take_one_line_and_the_others_say_why(measured):
    summary = measured["saturated"]
    lines = section(screen(summary), "Validity")
    assert lines[0].startswith("✗ ")
    assert "steady state" in lines[0] + lines[1]
    assert sum(line.startswith("✓ fine") for line in lines) == 1
    assert "conservation" in " ".join(lines)


def test_limits_are_shown_with_what_was_measured(measured):
    lines = section(screen(measured["steady"]), "SLO")
    assert {line.split()[1]: line[0] for line in lines} == {"p99": "✓", "p50": "✗"}
    assert any("limit 1,000 ms" in line for line in lines)


def test_a_limit_that_lost_requests_miss_says_so(measured):
    summary = changed(measured["steady"], lambda s: s.update(slo=[LOST]))
    text = " ".join(" ".join(section(screen(summary), "SLO")).split())
    assert (
        text == "✗ p99 infinite, limit 1,000 ms; 3 % of the requests were lost (dropped) and count as infinitely late"
    )
    row = {"limit": "p99", "limit_ms": 1000.0, "measured_ms": 20.0, "met": True}  # of an earlier version
    older = changed(measured["steady"], lambda s: s.update(slo=[row]))
    assert section(screen(older), "SLO") == ["✓ p99 20.0 ms, limit 1,000 ms"]


def test_a_saturated_run_shows_no_p99_and_no_wait(measured):
    summary = measured["saturated"]
    assert summary.steady_state.verdict == "saturated"
    text = screen(summary)
    row = next(line for line in text.splitlines() if line.startswith("e2e latency"))
    assert row.split("due")[1].split()[:4] == ["-"] * 4
    assert "no steady state" in row
    for line in section(text, "Latency budget"):
        if "wait" in line or "blocked" in line:
            assert line.split("wait" if "wait" in line else "blocked")[1].split()[:3] == ["-"] * 3
    assert "the backlog grows by" in text


def test_an_ascii_terminal_gets_ascii(measured):
    for summary in measured.values():
        assert screen(summary, encoding="ascii").isascii()


def test_colour_adds_nothing_but_colour(measured):
    coloured = screen(measured["steady"], colour=True)
    assert "\x1b" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == screen(measured["steady"])


def test_a_run_in_which_nothing_completed_has_no_figures_but_its_reason(measured):
    def change(summary):
        summary["requests"]["completed"] = 0
        summary |= {"status": "failed", "error": "stages.server: worker 0 was killed by SIGKILL"}

    text = screen(changed(measured["closed"], change))
    assert "failed: stages.server: worker 0 was killed by SIGKILL" in text
    assert "Latency budget" not in text


def test_failed_requests_are_counted_by_reason(measured):
    failures = {f"image-{i}.jpg: cut off": i for i in range(1, 9)}
    summary = changed(measured["closed"], lambda s: s.update(failures=failures))
    lines = section(screen(summary), "Failed requests")
    assert lines[0].split()[1:] == ["8", "image-8.jpg:", "cut", "off"]
    assert lines[-1].strip() == "and 3 more reasons"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (0.0, "0"), (0.0004, "0"), (0.0006, "0.001"), (0.5, "0.500"), (0.9996, "1.00"), (9.99, "9.99"),
     (9.996, "10.0"), (99.96, "100"), (123.4, "123"), (12345.6, "12,346"), (-0.2, "-0.200")],
)  # fmt: skip
def test_milliseconds_have_three_digits(value, shown):
    assert ms(value) == shown


@pytest.mark.parametrize("width", [30, 40, 60])
def test_a_narrow_screen_keeps_p50_and_p99_whole(measured, width):
    head, e2e, *_ = section("head\n" + screen(measured["steady"], width).split("\n\n", 1)[1], "head")
    figures = measured["steady"].e2e
    assert head.split()[0] == "ms" and {"p50", "p99"} <= set(head.split())
    assert "interval" not in head and "min" not in head.split()
    assert {ms(figures["p50"]), ms(figures["p99"])} <= set(e2e.split())
    assert max(len(head), len(e2e)) <= width


def test_an_error_of_many_lines_is_one_line_on_the_screen(measured):
    wordy = {"error": "stages.server: ValueError: first\nfollowing", "failures": {"third\nfourth": 1}}
    text = screen(changed(measured["steady"], lambda s: s.update(wordy)), 100)
    assert "failed: stages.server: ValueError: first" in text and "third" in text
    assert "following" not in text and "fourth" not in text


# The live view


@pytest.fixture
def progress():
    """Half of a run of 40 requests, each of which took 1 ms more than the one before."""
    plan = resolve(scenario(SERVER, load={"arrivals": "poisson", "rate": "10/s", "requests": 40}))
    rows = np.zeros((40, plan.layout.width), np.int64)
    rows[:20, plan.layout.columns["outcome"]] = Outcome.COMPLETED
    rows[:20, plan.layout.columns["server.done"]] = np.arange(1, 21) * 1_000_000
    return Progress("running", plan, rows, first=0, issued=len(rows), total=40, ended=20, depths=[3], elapsed_s=2.0)


def drawn(renderable, width: int = 80) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(renderable)
    return out.getvalue()


def test_the_live_view_tells_progress_rate_queues_latency_and_time_left(progress):
    lines = drawn(live._block(progress)).splitlines()
    assert lines[0].split("  ") [:4] == ["test", "running", "20 of 40 requests", "10.0/s"]  # fmt: skip
    assert "2 s left" in lines[0]
    assert "server 3/1,000" in lines[2]
    assert re.search(r"p50 10\.\d ms  p99 (19|20)\.\d ms", lines[3])
    assert len(lines) == 4


def test_where_standard_error_is_no_terminal_there_is_a_plain_line_now_and_then(progress, capsys):
    lines = live._Lines()
    for elapsed_s in (0.0, 1.0, 2.0, 5.5, 6.0):
        lines(Progress("running", progress.plan, progress.rows, 0, 40, 40, 20, [3], elapsed_s))
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 2
    assert shown[1].startswith("test: running: 20 of 40 requests")
    assert "queues 3" in shown[1]


def test_a_quiet_view_shows_nothing(progress, capsys):
    with live.view(progress.plan, quiet=True) as observe:
        observe(progress)
    assert capsys.readouterr() == ("", "")


def test_before_the_first_request_there_is_no_latency_to_show(progress):
    empty = Progress("running", progress.plan, progress.rows[:0], 0, 0, 40, 0, [0], 0.0)
    assert "latency" not in drawn(live._block(empty))
    starting = Progress("starting", progress.plan, progress.rows[:0], 0, 0, None, 0, [], 0.0)
    assert "starting workers" in drawn(live._block(starting))
