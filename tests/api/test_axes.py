"""What varies may be a mapping of values or the texts of `--vary`."""

from __future__ import annotations

from harness.api.axes import axes_of
from harness.scenario import Axis


def test_a_mapping_and_texts_are_the_same_axes() -> None:
    texts = ["stages.inference.batch.max=1,2", "load.rate=10..30/10/s"]
    mapping = {"stages.inference.batch.max": [1, 2], "load.rate": ["10/s", "20/s", "30/s"]}
    assert axes_of(mapping) == axes_of(texts)


def test_a_text_alone_is_one_axis_and_one_value() -> None:
    assert axes_of("executor=process,asyncio") == (Axis.parse("executor=process,asyncio"),)
    assert axes_of({"executor": "process"}) == (Axis.parse("executor=process"),)


def test_nothing_varies_nothing() -> None:
    assert axes_of(None) == axes_of({}) == axes_of([]) == ()
