"""What takes all requests of a saved run at once is refused where they do not fit, with both figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.store import SavedRun
from harness.studies.run import room
from tests.command import harness

SAVED = SavedRun(min((Path(__file__).parents[2] / "saved" / "0.1.0" / "tiny").glob("2*")))


def test_one_byte_more_than_may_be_used_is_refused_with_both_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    records = SAVED.records
    rows = len(records) * records.layout.width * 8
    monkeypatch.setattr(room, "usable_bytes", lambda: 3 * rows)
    room.check([records], 3.0, "a report", "here")
    room.check([records, records], 1.5, "a comparison", "here")
    monkeypatch.setattr(room, "usable_bytes", lambda: 3 * rows - 1)
    with pytest.raises(UsageError, match=r"takes 0\.0 GB of memory, and 0\.0 GB may be used"):
        room.check([records], 3.0, "a report", "here")


@pytest.mark.parametrize("arguments", [["report", SAVED.path, "--text"], ["compare", SAVED.path, SAVED.path]])
def test_the_commands_refuse_it(arguments: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "usable_bytes", lambda: 1000)
    refused = harness(*arguments)
    assert refused.returncode == 2
    assert "may be used" in refused.stderr and str(SAVED.path) in refused.stderr
