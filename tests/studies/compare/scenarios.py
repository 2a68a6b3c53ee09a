"""Scenarios to compare, in a folder of their own, and the command on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.studies.compare.sides import plan_side
from harness.studies.variants import Variant
from tests.command import harness

DELAY = """\
name: pair
load: {arrivals: constant, rate: 100/s, requests: 80, warmup: 3, seed: 3}
stages:
  - delay: {name: work, distribution: constant, mean: 1 ms}
"""
IMAGES = """\
name: images
executor: asyncio
source: {images: synthetic, height: 60, width: 80, count: 3}
load: {arrivals: closed, requests: 12, warmup: 0}
stages:
  - preprocess: {backend: native, resize: 40, crop: 32}
"""


def compare(cwd: Path, *arguments: object, code: int = 0) -> dict[str, Any]:
    done = harness("compare", *arguments, "--json", "-", cwd=cwd)
    assert done.returncode == code, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def variants(file: Path, own: str, *common: str) -> list[Variant]:
    """The scenario as it stands, and with a setting of its own."""
    return [plan_side(file, common, each, "--b") for each in ((), (own,))]
