"""The examples in docs/kernels.md work as they stand."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "kernels.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.parametrize("code", EXAMPLES, ids=[f"example {i}" for i in range(1, len(EXAMPLES) + 1)])
def test_the_example_runs(code):
    names = {}
    exec(compile(code, str(PAGE), "exec"), names)
    if "small" in names:
        assert names["small"].shape == (300, 400, 3)
    else:
        assert (names["batch"][0] == names["out"]).all()
