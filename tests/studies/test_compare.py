"""`harness compare` on scenarios: what it finds, what it refuses, how it ends, what it saves, what people see.

Planted differences are as large as a service itself, and A/A asks for 99.9 % confidence, so that nothing here depends
on how busy the machine is.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness import records, store
from harness.errors import UsageError
from harness.records import Phase
from harness.report.plots import compare as compare_plot
from harness.report.screens import compare as report
from harness.studies.compare import folder
from harness.studies.compare.document import ComparisonDocument
from tests.command import harness
from tests.studies.compare.scenarios import DELAY, compare


def verdicts(pair: dict[str, Any]) -> dict[str, str]:
    return {effect["metric"]: effect["verdict"] for effect in pair["effects"]}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A service of 1 ms against one of 6 ms, in processes; saved in the folder that is returned."""
    place = tmp_path_factory.mktemp("planted")
    (place / "pair.yaml").write_text(DELAY)
    limits = ("--fail-if", "e2e.p50 > +50%", "--fail-if", "stages.work.service.mean > 1 s")
    return place, compare(place, "pair.yaml", "--b", "stages.work.mean=6ms", "--blocks", 8, *limits, code=3)


def test_a_planted_slowdown_is_found_where_it_is(planted: tuple[Path, dict[str, Any]]) -> None:
    (pair,) = planted[1]["comparisons"]
    found = verdicts(pair)
    assert found["stages.work.service.mean"] == found["e2e.p50"] == "slower"
    service = next(e for e in pair["effects"] if e["metric"] == "stages.work.service.mean")
    assert 3 < service["ratio"] < 6.5
    assert service["difference"] == pytest.approx(5, rel=0.2)
    low, high = service["ratio_interval"]
    assert low <= service["ratio"] <= high
    assert planted[1]["reading"][0].startswith("b (work.mean=6ms) is slower: p")
    assert "is in work: its mean service went from 1" in planted[1]["reading"][1]


def test_a_limit_that_is_broken_ends_it_with_3_and_one_that_is_kept_does_not(
    planted: tuple[Path, dict[str, Any]],
) -> None:
    assert [judgement["outcome"] for judgement in planted[1]["gate"]] == ["failed", "kept"]


def test_the_same_against_itself_is_not_called_different(place: Path) -> None:
    settings = ("--set", "load.rate=400/s", "--requests", 160, "--blocks", 12, "--confidence", "99.9%")
    document = compare(place, "pair.yaml", "pair.yaml", *settings)
    (pair,) = document["comparisons"]
    assert not {"faster", "slower"} & set(verdicts(pair).values())
    assert [side["label"] for side in document["sides"]] == ["pair", "pair"]


@pytest.mark.slow
def test_three_sides_are_each_held_against_the_first(place: Path) -> None:
    settings = ("--set", "executor=asyncio", "--set", "load.rate=190/s", "--requests", 100)
    document = compare(place, "pair.yaml", *settings, "--vary", "stages.work.mean=1ms,3ms,4ms")
    assert [(pair["a"], pair["b"]) for pair in document["comparisons"]] == [("a", "b"), ("a", "c")]
    assert all(verdicts(pair)["stages.work.service.mean"] == "slower" for pair in document["comparisons"])
    assert document["order"][:6] == ["abc", "cba", "bca", "acb", "cab", "bac"]
    assert Counter(turns[0] for turns in document["order"]) == {"a": 4, "b": 4, "c": 4}
    assert document["blocks"] == {"asked": 12, "complete": 12, "requests": 9, "warmup": 3}
    assert {path.name for path in Path(place, document["saved"]).iterdir()} == {"comparison.json", "a", "b", "c"}


def test_all_raw_records_are_saved_and_tell_the_same_again(planted: tuple[Path, dict[str, Any]]) -> None:
    place, document = planted
    saved = place / document["saved"]
    assert saved.parent == place / "results" / "pair"
    means = []
    for side in ("a", "b"):
        rows, _ = records.load(saved / side / store.RECORDS)
        assert len(rows) == 8 * (3 + 10)
        measured = rows.of_phase(Phase.MEASURED)
        stage = measured.stages[0]
        means.append(float((stage.done - stage.started).mean()) / 1e6)
    service = next(e for e in document["comparisons"][0]["effects"] if e["metric"] == "stages.work.service.mean")
    assert means == pytest.approx([service["a"], service["b"]])
    turns = document["turns"]
    assert [turn["side"] for turn in turns] == [side for round_ in document["order"] for side in round_]


def test_the_resolved_scenario_of_a_side_runs_alone(planted: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    place, document = planted
    resolved = place / document["saved"] / "b" / "resolved.yaml"
    done = harness("run", resolved, "--json", "-", "--out", tmp_path, "--set", "load.rate=2000/s", cwd=place)
    summary = json.loads(done.stdout)
    assert summary["requests"]["completed"] == 80
    assert summary["stages"]["work"]["service_ms"]["min"] >= 6


def test_a_saved_comparison_is_shown_again(planted: tuple[Path, dict[str, Any]]) -> None:
    place, document = planted
    assert compare(place, document["saved"]) == document
    done = harness("compare", document["saved"], cwd=place)
    assert done.returncode == 0
    assert "b against a" in done.stdout
    assert "There are no runs" in harness("runs", cwd=place).stdout, "a comparison is no run"


def test_what_is_no_saved_comparison_is_refused(tmp_path: Path) -> None:
    for text in ("{", "[]", "{}", '{"schema_version": 1}'):
        (tmp_path / folder.FILE).write_text(text)
        with pytest.raises(UsageError, match="not a saved comparison"):
            folder.load(tmp_path)


def test_stages_without_images_have_nothing_to_be_the_same(planted: tuple[Path, dict[str, Any]]) -> None:
    assert "skipped" in planted[1]["sameness"]


def screen(document: dict[str, Any], width: int, encoding: str = "utf-8") -> str:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    report.show(Console(file=out, width=width, highlight=False), ComparisonDocument.model_validate(document))
    out.flush()
    return out.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_screen_fits_and_says_what_the_comparison_found(planted: tuple[Path, dict[str, Any]], width: int) -> None:
    text = screen({**planted[1], "saved": "x"}, width)
    assert max(map(len, text.splitlines())) <= min(width, 100)
    (row,) = (line for line in text.splitlines() if line.startswith("work service mean"))
    assert row.rstrip().endswith("slower")
    assert "b (work.mean=6ms) is slower" in " ".join(text.split())
    assert text.count("95 % interval") == (1 if width < 100 else 2), "that of the difference is the least needed"


def test_the_plot_has_the_interval_and_the_verdict_of_every_metric_that_has_one(
    planted: tuple[Path, dict[str, Any]],
) -> None:
    (figure,) = compare_plot.draw(ComparisonDocument.model_validate(planted[1])).values()
    (axes,) = figure.axes
    (pair,) = planted[1]["comparisons"]
    decided = [effect for effect in pair["effects"] if effect["ratio_interval"]]
    bars = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2 and tuple(line.get_xdata()) != (1, 1)]
    assert [tuple(bar) for bar in bars] == [tuple(effect["ratio_interval"]) for effect in decided]
    assert [text.get_text().split("  ")[1] for text in axes.texts] == [effect["verdict"] for effect in decided]
    low, high = axes.get_xlim()
    assert all(low < end < high for bar in bars for end in bar)


def test_without_any_interval_there_is_no_plot(planted: tuple[Path, dict[str, Any]]) -> None:
    (pair,) = planted[1]["comparisons"]
    silent = {**pair, "effects": [{**effect, "ratio_interval": None} for effect in pair["effects"]]}
    assert compare_plot.draw(ComparisonDocument.model_validate({**planted[1], "comparisons": [silent]})) == {}


def test_the_screen_needs_neither_colour_nor_more_than_ascii(planted: tuple[Path, dict[str, Any]]) -> None:
    text = screen({**planted[1], "saved": "x"}, 80, "ascii")
    assert text.isascii()
    assert "\x1b" not in text


@pytest.mark.slow
def test_progress_goes_to_standard_error_a_line_a_block(place: Path) -> None:
    settings = ("--set", "executor=asyncio", "--b", "stages.work.mean=2ms", "--blocks", 2, "--requests", 160)
    done = harness("compare", "pair.yaml", *settings, cwd=place)
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert lines[0] == "pair: starting the workers of side a"
    assert any(line.startswith("pair: block 1 of 2, side a: ") for line in lines)
    assert "\x1b" not in done.stderr


def test_two_saved_runs_are_compared_unless_they_differ_in_what_matters(place: Path) -> None:
    for settings in ((), (), ("--set", "stages.work.mean=2ms")):
        quick = ("--set", "executor=asyncio", "--set", "load.rate=400/s", "--quiet")
        assert harness("run", "pair.yaml", *quick, *settings, cwd=place).returncode == 0
    document = compare(place, "last~2", "last~1")
    assert document["kind"] == "runs"
    assert {effect["metric"] for effect in document["comparisons"][0]["effects"]} >= {"e2e.p99", "throughput"}
    refused = harness("compare", "last~1", "last", cwd=place)
    assert refused.returncode == 2
    assert "stages.work.mean: 1 ms and 2 ms" in refused.stderr
    shown = harness("compare", "last~1", "last", "--force", cwd=place)
    assert shown.returncode == 0
    assert "Differs" in shown.stdout
