"""Nothing that a benchmark or an example takes from the package has moved: what runs for minutes is imported here."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.documents import ROOT

MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for folder in ("benchmarks", "examples")
    for path in sorted((ROOT / folder).rglob("*.py"))
]


@pytest.mark.parametrize("module", MODULES)
def test_it_can_be_imported(module: str) -> None:
    import_module(module)
