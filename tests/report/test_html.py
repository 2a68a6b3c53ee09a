"""The HTML report is one file that holds the summary's figures and nothing that it should not."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.commands import cli
from harness.plan import resolve
from harness.report import html
from harness.report.html.figures import STYLES
from harness.report.html.files import write_report
from harness.scenario import dump
from harness.store import SavedRun, to_json
from harness.studies.run.measure import measure
from tests import sweeps
from tests.facts import changed
from tests.pipelines import scenario
from tests.report.pages import Page

SERVER = {"delay": {"name": "server", "mean": "1 ms", "capacity": 1000}}
FRONT = {"null": {"name": "front", "batch": {"max": 4, "timeout": "1 ms"}}}
OPEN = {"arrivals": "poisson", "rate": "300/s", "requests": 300, "warmup": 10}
GIVEN = {
    "steady": scenario(FRONT, SERVER, load=OPEN, slo={"p99": "1 s", "p50": "1 us"}, executor="asyncio"),
    "calmer": scenario(FRONT, SERVER, load={**OPEN, "rate": "150/s"}, executor="asyncio"),
    "saturated": scenario(SERVER, load={"arrivals": "constant", "rate": "2000/s", "requests": 900}, executor="asyncio"),
    "closed": scenario(SERVER, load={"arrivals": "closed", "requests": 50}, executor="asyncio"),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> dict[str, SavedRun]:
    """Short real runs by name."""
    out = tmp_path_factory.mktemp("runs")
    return {name: SavedRun(Path(measure(resolve(g), dump(g), out).summary.saved)) for name, g in GIVEN.items()}


def page(runs, tmp_path) -> Page:
    return Page(write_report(runs, tmp_path / "x.html").read_text(encoding="utf-8"))


def look_up(document, key: str):
    for part in key.split("/"):
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


@pytest.mark.parametrize("name", GIVEN)
def test_every_figure_is_the_summary_s(saved, name, tmp_path):
    found = page([saved[name]], tmp_path)
    summary = saved[name].summary
    document = json.loads(to_json(summary))
    for _, key, style, text in found.figures:
        assert text == STYLES[style](look_up(document, key)), key
    keys = {key for _, key, _, _ in found.figures}
    assert {"e2e_ms/max", "requests/completed", "throughput_rps"} <= keys
    for stage in summary.stages:
        assert {f"stages/{stage}/service_ms/{level}" for level in ("p50", "p90", "p99", "max")} <= keys
        assert f"tail/shares/{stage}.service" in keys
    ranged = summary.tail.share_ranges is not None
    assert any(key.startswith("tail/share_ranges/") for key in keys) == ranged
    assert "cluster" in found.text


def test_a_limit_that_lost_requests_miss_says_so(saved):
    run = html.read(saved["steady"])

    def said(row) -> str:
        summary = changed(run.summary, lambda document: document.update(slo=[row]))
        return " ".join(Page(html.render([replace(run, summary=summary)])).text.split())

    row = {
        "limit": "p99", "limit_ms": 1000.0, "measured_ms": None, "infinite": True, "met": False,
        "why": "3 % of the requests were lost (dropped) and count as infinitely late",
    }  # fmt: skip
    assert f"Limit of p99✗ not met infinite, limit 1,000 ms; {row['why']}" in said(row)
    old = {"limit": "p99", "limit_ms": 1000.0, "measured_ms": 20.0, "met": True}
    assert "Limit of p99✓ met 1,000 ms Is the run valid?" in said(old)


def test_it_answers_in_order(saved, tmp_path):
    text = page([saved["steady"]], tmp_path).text
    questions = [
        "Is the run valid?", "How long is the tail?", "Where does it come from?", "What happened over time?",
        "How are the latencies distributed?", "How do theory and the twin compare?", "what to do next?",
    ]  # fmt: skip
    places = [text.rindex(question) for question in questions]
    assert places == sorted(places)
    summary = saved["steady"].summary
    for sentence in (*summary.findings, *(check.message for check in summary.checks)):
        assert sentence in text
    assert "too few requests for an interval; likelier too low than too high" in text


def test_a_saturated_run_shows_no_p99_and_no_quantile_of_a_wait(saved, tmp_path):
    found = page([saved["saturated"]], tmp_path)
    assert "no steady state" in found.text and "no p99" in found.text
    keys = {key for _, key, _, text in found.figures if text != "-"}
    assert not {"e2e_ms/p99", "stages/server/queue_wait_ms/p99"} & keys
    assert "stages/server/service_ms/p99" in keys


def test_one_file_loads_nothing_and_its_policy_names_its_own_style_and_script(saved, tmp_path):
    for runs in ([saved["steady"]], [saved["steady"], saved["closed"]]):
        found = page(runs, tmp_path)
        assert found.loaded == ["data:,"]
        assert found.styled == []
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", found.blocks["script"])
        for kind in ("style", "script"):
            digest = base64.b64encode(hashlib.sha256(found.blocks[kind].encode()).digest()).decode()
            assert f"{kind}-src 'sha256-{digest}'" in found.blocks["policy"]
        assert "default-src 'none'" in found.blocks["policy"]


def copied(run: SavedRun, to: Path, change) -> SavedRun:
    """A copy of a run with another summary."""
    shutil.copytree(run.path, to)
    (to / "summary.json").write_text(to_json(changed(run.summary, change)))
    return SavedRun(to)


NASTY = "</script><img src=x onerror=alert(1)>&\"'"


def test_what_users_write_is_text_and_never_markup(saved, tmp_path):
    def change(summary):
        summary |= {"name": NASTY, "error": NASTY, "failures": {NASTY: 3}}
        summary["reading"].append(NASTY)
        summary["checks"][0]["message"] = NASTY

    run = copied(saved["steady"], tmp_path / "run", change)
    (run.path / "resolved.yaml").write_text(f"name: {json.dumps(NASTY)}\n")
    for runs in ([run], [run, saved["steady"]]):
        found = page(runs, tmp_path)
        assert "<img" not in (tmp_path / "x.html").read_text().replace("&lt;img", "")
        assert found.text.count(NASTY) >= 2
        assert found.loaded == ["data:,"]
        json.loads(found.blocks["charts"])


def test_a_stage_s_name_in_the_charts_cannot_end_their_script(saved, tmp_path):
    def change(summary):
        summary["model"]["rungs"][0]["model"] = NASTY

    found = page([copied(saved["steady"], tmp_path / "run", change)], tmp_path)
    (models,) = [chart for chart in json.loads(found.blocks["charts"]) if chart["id"] == "ladder"]
    assert NASTY in [row["label"] for row in models["rows"]]


def test_a_run_in_which_nothing_completed_has_a_report_with_its_reason(saved, tmp_path):
    def change(summary):
        summary |= {"status": "failed", "validity": "invalid", "error": "stages.server: killed by SIGKILL\nmore"}
        summary["requests"] |= {"completed": 0, "failed": 50}
        summary["e2e_ms"] = dict.fromkeys(summary["e2e_ms"]) | {"p99_ci": [None, None]}

    run = copied(saved["closed"], tmp_path / "run", change)
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(run.path / "records.parquet")
    column = table.column_names.index("outcome")
    failed = pa.array([2] * table.num_rows, pa.int64())
    pq.write_table(table.set_column(column, "outcome", failed), run.path / "records.parquet")
    text = page([run], tmp_path).text
    assert "No request completed" in text
    assert "stages.server: killed by SIGKILL" in text
    text = page([run, saved["closed"]], tmp_path).text
    assert "no p99" in text


def test_a_run_of_an_older_harness_without_model_and_environment_has_a_report(saved, tmp_path):
    def change(summary):
        summary["model"] = {}
        del summary["system"]["warnings"], summary["failures"], summary["error"]
        summary["failures"] = {}
        del summary["tail"]["clusters"], summary["tail"]["share_ranges"]

    run = copied(saved["steady"], tmp_path / "run", change)
    (run.path / "environment.json").unlink()
    (run.path / "resolved.yaml").unlink()
    assert "theory and the twin" not in page([run], tmp_path).text
    assert "side by side" in page([run, saved["steady"]], tmp_path).text


# Several runs


def test_runs_side_by_side_show_each_one_s_figures_and_the_differences(saved, tmp_path):
    runs = [saved["steady"], saved["calmer"], saved["closed"]]
    found = page(runs, tmp_path)
    summaries = [run.summary for run in runs]
    documents = [json.loads(to_json(summary)) for summary in summaries]
    for index, key, style, text in found.figures:
        assert text == STYLES[style](look_up(documents[index], key))
    assert {(i, "e2e_ms/p99") for i in range(3)} <= {(i, key) for i, key, _, _ in found.figures}
    most = [summary.e2e.max for summary in summaries]
    assert f"{most[1] / most[0] - 1:+.1%}" in found.text
    assert "load.rate" in found.text and "300.0/s" in found.text and "150.0/s" in found.text
    assert "load.seed" not in found.text


def test_the_latencies_of_all_runs_have_the_same_scales(saved, tmp_path):
    found = page([saved["steady"], saved["calmer"]], tmp_path)
    panels = [c for c in json.loads(found.blocks["charts"]) if c["id"].startswith("latency-")]
    assert len(panels) == 2
    assert len({(*panel["x"]["range"], *panel["y"]["range"]) for panel in panels}) == 1


# Studies


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    """A sweep of four variants, whose runs the twin made."""
    folder = tmp_path_factory.mktemp("sweep")
    return sweeps.pretend(sweeps.begin(folder, "load.rate=40/s,60/s", "stages.second.batch.max=1,4")).path


def test_a_sweep_s_report_has_its_table_and_its_plots(sweep):
    result = invoke(sweep)
    assert result.output == f"Report in {sweep / 'report.html'}\n"
    written = (sweep / "report.html").read_text(encoding="utf-8")
    found = Page(written)
    assert "4 variants, all completed" in found.text
    images = [text for text in found.loaded if text != "data:,"]
    assert len(images) == 3  # over each axis, and the Pareto front
    for image in images:
        svg = base64.b64decode(image.removeprefix("data:image/svg+xml;base64,")).decode()
        assert "<svg" in svg and "<script" not in svg
    assert found.styled == []


def test_a_comparison_s_report_has_its_screen_and_its_plot(tmp_path):
    given = tmp_path / "pair.yaml"
    load = "load: {arrivals: closed, requests: 60}"
    given.write_text(f"name: pair\nexecutor: asyncio\n{load}\nstages: [{{delay: {{name: work, mean: 1 ms}}}}]\n")
    sides = ["--b", "stages.work.mean=2ms", "--blocks", "6", "--requests", "60"]
    CliRunner().invoke(cli, ["compare", str(given), *sides, "--out", str(tmp_path)])
    (comparison,) = (tmp_path / "pair").glob("compare-*")
    assert invoke(comparison).output == f"Report in {comparison / 'report.html'}\n"
    found = Page((comparison / "report.html").read_text(encoding="utf-8"))
    assert "b  work.mean=2ms" in found.text and "throughput /s" in found.text
    assert [text[:26] for text in found.loaded if text != "data:,"] == ["data:image/svg+xml;base64,"]


@pytest.mark.parametrize("more", [["--text"], ["--png", "plots"], ["last"]])
def test_a_study_has_one_report_of_its_own(sweep, more):
    with pytest.raises(Exception, match="a sweep has a report of its own") as caught:
        invoke(sweep, *more)
    assert caught.value.exit_code == 2


def test_a_search_for_the_capacity_that_cannot_be_read_is_an_error(tmp_path):
    (tmp_path / "capacity.json").write_text("{}")
    with pytest.raises(Exception, match="not a saved search for the capacity") as caught:
        invoke(tmp_path)
    assert caught.value.exit_code == 2


# The command


def invoke(*arguments):
    return CliRunner().invoke(cli, ["report", *map(str, arguments)], catch_exceptions=False)


def test_the_report_of_one_run_lies_in_its_folder(saved):
    run = saved["closed"]
    result = invoke(run.path)
    assert result.output == f"Report in {run.path / 'report.html'}\n"
    assert (run.path / "report.html").is_file()


def test_plots_are_drawn_as_png_and_svg(saved, tmp_path):
    two = invoke(saved["steady"].path, saved["saturated"].path, "--png", tmp_path / "p")
    names = ["budget.png", "over-time-A.png", "over-time-B.png", "percentiles.png"]
    assert sorted(two.output.split()) == [str(tmp_path / "p" / name) for name in names]
    assert all(Path(path).stat().st_size > 5000 for path in two.output.split())
    one = invoke(saved["closed"].path, "--svg", tmp_path / "s")
    assert {Path(path).name for path in one.output.split()} == {"budget.svg", "percentiles.svg", "over-time.svg"}
    assert all("<svg" in Path(path).read_text() for path in one.output.split())


@pytest.mark.parametrize("name", GIVEN)
def test_the_text_has_the_curve_and_fits_80_columns(saved, name):
    text = invoke(saved[name].path, "--text").output
    curve = text[text.index("Latency by percentile") :].splitlines()
    assert max(map(len, curve)) <= 80
    maximum = saved[name].summary.e2e.max
    assert next(line for line in curve if line.startswith("max")).split()[2] == STYLES["ms"](maximum)
    assert any(line.startswith("waiting for server") for line in curve)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["-o", "."], "a folder, where a file"), (["-o", "no/x.html"], "there is no folder no"),
     (["-o", "x" * 300], "no file can have this name")],
)  # fmt: skip
def test_a_report_that_has_no_place_is_refused(saved, arguments, says, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exception, match=says) as caught:
        invoke(saved["closed"].path, *arguments)
    assert caught.value.exit_code == 2


def test_a_report_that_cannot_be_written_is_an_error(saved):
    with pytest.raises(Exception, match="cannot write the report: ") as caught:
        invoke(saved["closed"].path, "-o", "/proc/report.html")
    assert caught.value.exit_code == 1


def test_more_runs_than_can_be_told_apart_are_refused(saved):
    with pytest.raises(Exception, match="9 runs side by side"):
        invoke(*[saved["closed"].path] * 9)


def test_run_makes_the_report_at_once(tmp_path):
    given = tmp_path / "tiny.yaml"
    load = "load: {arrivals: closed, requests: 60}"
    given.write_text(f"name: tiny\nexecutor: asyncio\n{load}\nstages: [{{delay: {{mean: 1 ms}}}}]\n")
    result = CliRunner().invoke(cli, ["run", str(given), "--out", str(tmp_path), "--report", "--quiet"])
    assert result.exit_code == 0
    folder = Path(result.stdout.strip())
    assert (folder / "report.html").is_file()
    assert f"Report in {folder / 'report.html'}" in result.stderr
