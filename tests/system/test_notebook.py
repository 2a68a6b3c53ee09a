"""A kernel of Jupyter: a run works inside its event loop, shows itself, and can be interrupted."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from tests.documents import ROOT
from tests.notebooks import INTERRUPT, cell, execute, output, read

SCENARIO = """{
    "name": "tiny",
    "load": {"arrivals": "closed", "requests": 200},
    "stages": [{"delay": {"mean": "1 ms"}}],
}"""
ENDLESS = '{"load.arrivals": "constant", "load.rate": "200/s", "load.requests": 1_000_000}'


@pytest.mark.slow
def test_a_run_inside_the_loop_of_a_notebook_and_one_that_is_interrupted(tmp_path: Path) -> None:
    cells = [
        cell("import asyncio\nimport harness\nprint(asyncio.get_running_loop().is_running())"),
        cell(f"run = harness.run({SCENARIO})\nrun"),
        cell(f"harness.run({SCENARIO}, {ENDLESS})", INTERRUPT, "raises-exception"),
        cell("again = harness.open_run('last')\nprint(again.summary.status, again != run, len(again.records) > 0)"),
        cell(f"print(harness.run({SCENARIO}).summary.requests.completed)"),
    ]
    execute(nbformat.v4.new_notebook(cells=cells), tmp_path)
    loop, shown, interrupted, found, after = cells
    assert output(loop).strip() == "True"
    assert 'class="harness-card"' in output(shown, "text/html") and "<script" not in output(shown, "text/html")
    assert output(interrupted).splitlines()[-1] == "Interrupted"
    assert output(found).split() == ["interrupted", "True", "True"]
    assert output(after).split() == ["200"]
    assert len(list(tmp_path.glob("results/tiny/*"))) == 3


@pytest.mark.slow
def test_the_notebook_of_the_pages_can_be_executed(tmp_path: Path) -> None:
    notebook = execute(read(ROOT / "docs" / "notebook.ipynb"), tmp_path)
    run, figures, table, simulated, compared = (one for one in notebook.cells if one.cell_type == "code")
    assert 'class="harness-card"' in output(run, "text/html")
    assert "model: " in output(figures)
    assert "adds up to the nanosecond: True" in output(table)
    for study in (simulated, compared):
        assert [one["output_type"] for one in study.outputs if one["output_type"] != "stream"] == ["execute_result"]
        assert "e2e" in output(study, "text/html")
