"""docs/reference.md is what the docstrings say."""

from __future__ import annotations

import re

import harness
from harness.api.reference import page
from tests.documents import ROOT


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "reference.md").read_text(encoding="utf-8") == page()


def test_every_public_name_is_on_it() -> None:
    headings = re.findall(r"^### harness\.(\w+)", page(), re.MULTILINE)
    assert set(headings) == set(harness.__all__)
    assert "## More" not in page()
