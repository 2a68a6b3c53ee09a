"""A quantile is declared in one line: in a copy of the package with p99.99, every screen and document has it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import ROOT

LAST = '    p999: Number = quantile(0.999, "p99.9")\n'
LINE = '    p9999: Number = quantile(0.9999, "p99.99", None)\n'
SAVED = min((ROOT / "tests" / "saved" / "0.1.0" / "tiny").glob("2*"))


@pytest.mark.slow
def test_one_line_brings_a_quantile_everywhere(tmp_path: Path) -> None:
    package = shutil.copytree(ROOT / "harness", tmp_path / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    declared = package / "summary" / "distribution.py"
    source = declared.read_text(encoding="utf-8")
    assert source.count(LAST) == 1
    declared.write_text(source.replace(LAST, LAST + LINE), encoding="utf-8")

    def harness(*arguments: object) -> str:
        command = [sys.executable, "-m", "harness", *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "120"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    shown = harness("run", ROOT / "scenarios" / "null.yaml", "--requests", 300)
    assert "p99.99" in shown
    (run,) = (tmp_path / "results" / "null").iterdir()
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    assert summary["e2e_ms"]["p9999"] == summary["e2e_ms"]["max"]
    assert all("p9999" in stage["service_ms"] for stage in summary["stages"].values())
    harness("report", run, "-o", "report.html")
    assert "p99.99" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "p9999" in harness("schema", "summary")
    assert "p99.99" in harness("show", SAVED)  # a run without it: the column is there, and empty
