"""Files whose names would control a terminal, from the first error to the report, and saved as they are."""

from __future__ import annotations

import json
import os
import re
import sys

import pytest
from PIL import Image

from harness import store
from harness.__main__ import invoke

NAMES = [
    b"\x1b]8;;link\x07x.png",
    b"a\nrunning: all is well.png",
    "\u202egnp.x.png".encode(),
    b"\xff\xfe.png",
    b"[red]b.png",
]
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
SCENARIO = """
name: hostile
description: "\\e]0;title\\a[bold]"
executor: asyncio
source: {images: images}
load: {arrivals: closed, requests: 12, warmup: 0, concurrency: 1}
stages: [{preprocess: {resize: 24, crop: 16}}]
"""


@pytest.fixture
def folder(tmp_path):
    """A scenario with one good image and the hostile ones, in a folder whose own name is not text."""
    home = tmp_path / os.fsdecode(b"home-\xff\x1b[2J")
    (home / "images").mkdir(parents=True)
    Image.new("RGB", (32, 32)).save(home / "images" / "good.png")
    for name in NAMES:
        (home / "images" / os.fsdecode(name)).write_bytes(b"no image")
    (home / "hostile.yaml").write_text(SCENARIO)
    return home


def run(monkeypatch, capsys, *arguments) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    monkeypatch.setattr(sys, "argv", ["harness", *map(str, arguments)])
    code = 0
    try:
        invoke()
    except SystemExit as ended:
        code = ended.code or 0
    return code, *capsys.readouterr()


def test_a_run_with_such_files_is_saved_and_shown_without_obeying_them(folder, monkeypatch, capsys):
    results = folder / "results"
    code, out, err = run(monkeypatch, capsys, "run", folder / "hostile.yaml", "--out", results)
    assert code == 0
    assert not OBEYED.search(out) and not OBEYED.search(err)
    assert "Failed requests" in out and "[red]b.png: cannot be decoded" in out
    assert "running: all is well" not in [line.strip() for line in out.splitlines()]
    saved = store.find("last", results)
    reasons = {reason.partition(": ")[0] for reason in saved.records.failures.values()}
    assert reasons == {
        "\\u001b]8;;link\\u0007x.png",
        "a\\u000arunning",
        "\\u202egnp.x.png",
        "\\xff\\xfe.png",
        "[red]b.png",
    }
    for command in (("show", "last"), ("runs",), ("report", "last"), ("trace", "last", "-o", folder / "t.json")):
        code, out, err = run(monkeypatch, capsys, *command, "--out", results)
        assert code == 0, err
        assert not OBEYED.search(out) and not OBEYED.search(err)
    assert not OBEYED.search((saved.path / "report.html").read_text().replace("\n", ""))
    code, out, err = run(monkeypatch, capsys, "show", "last", "--json", "--out", results)
    assert json.loads(out)["requests"]["failed"] == 10


@pytest.mark.parametrize(
    "arguments",
    [
        ("validate", "absent\x1b[2J\udcff\u202e.yaml"),
        ("run", "absent\nerror: none\x1b[2J"),
        ("show", "absent\x1b[2J\udcff"),
        ("report", "absent\x9b1m"),
        ("run", "resnet18_cpu", "--set", "na\x1b[2Jme=x"),
        ("run", "resnet18_cpu", "--no\x1b[2J"),
    ],
)
def test_errors_that_name_what_was_given_are_printed_without_obeying_it(arguments, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(monkeypatch, capsys, *arguments)
    assert code == 2
    assert err and not OBEYED.search(out) and not OBEYED.search(err)


def test_a_reason_with_half_a_surrogate_pair_is_saved(tmp_path):
    import numpy as np

    from harness import records

    layout = records.Layout.tandem(["s"])
    rows = np.zeros((1, layout.width), np.int64)
    records.save(records.RunRecords(layout, rows, {0: "cannot read \udcff"}), tmp_path / "r.parquet", {})
    assert records.load(tmp_path / "r.parquet")[0].failures == {0: "cannot read \\udcff"}
