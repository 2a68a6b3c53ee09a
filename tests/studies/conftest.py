from __future__ import annotations

from pathlib import Path

import pytest

from tests.studies.compare.scenarios import DELAY, IMAGES


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with two scenarios to compare."""
    (tmp_path / "pair.yaml").write_text(DELAY)
    (tmp_path / "images.yaml").write_text(IMAGES)
    return tmp_path
