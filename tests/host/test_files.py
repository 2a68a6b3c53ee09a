"""The readers of the kernel's text files: what cannot be read is None."""

from __future__ import annotations

from harness.host import files


def test_an_unreadable_file_is_none(tmp_path):
    assert files.text(tmp_path, "absent") is None
    assert files.text(tmp_path.parent, tmp_path.name) is None  # a folder
    assert files.integer(tmp_path, "absent") is None


def test_a_counter_is_found_by_its_whole_name():
    assert files.count("pgfault 5\npswpin_other 6\nother_pswpin 6\npswpin 7", "pswpin") == 7
    assert files.count("pswpin_other 6", "pswpin") is None
