"""Outputs of a few images, and a judge of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.outputs.serve import Outputs
from harness.scenario.model import Source
from harness.studies.accuracy.dataset import Dataset, Files
from harness.studies.accuracy.judge import Judge


def outputs(values: Any, served: Any = None) -> Outputs:
    logits = np.array(values, np.float32)
    there = np.ones(len(logits), bool) if served is None else np.array(served)
    failures = {int(i): "broken" for i in np.flatnonzero(~there)}
    return Outputs(logits, logits.argmax(axis=1), there, failures, {}, {}, 0.0)


def judged(expected: Outputs, labels: list[int] | None) -> Judge:
    count = len(expected.values)
    given = None if labels is None else np.array(labels)
    return Judge(Dataset(Files((), Source()), tuple(f"{i}.png" for i in range(count)), given, {0: "ant"}), expected)
