"""Postprocess ranks the softmax."""

from __future__ import annotations

import numpy as np

from harness.stages.postprocess import RANKED
from tests.stages.opening import opened


def test_postprocess_ranks_the_softmax() -> None:
    import torch

    stage = opened(
        {"preprocess": {"resize": 40, "crop": 32}}, {"inference": {"classes": 50}}, {"postprocess": {"top_k": 5}}
    )
    logits = np.random.default_rng(3).standard_normal(50).astype(np.float32) * 40
    out = np.empty(5, RANKED)
    answer = stage.process(logits, out, 0)
    odds, classes = torch.softmax(torch.from_numpy(logits).double(), 0).topk(5)
    assert answer == int(classes[0])
    np.testing.assert_array_equal(out["class"], classes.numpy())
    np.testing.assert_allclose(out["probability"], odds.numpy(), rtol=1e-4)
