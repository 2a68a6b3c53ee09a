"""Bad scenario files: an error says where and what is allowed, on one screen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import example
from hypothesis import strategies as st

from harness import scenario
from harness.errors import BAD_USAGE, ScenarioError, UsageError
from harness.studies.planning import plan_of
from tests.properties import holds
from tests.scenario.files import BAD, MINIMAL

# Bad files

PLACES = (
    "name", "load", "stages", "source", "slo", "deadlines", "load.arrivals", "load.rate", "load.requests",
    "stages.0", "stages.0.null", "stages.0.null.batch", "stages.0.null.name", "source.images", "slo.p99",
)  # fmt: skip


def claims(path: Path) -> tuple[str, list[str], int | None]:
    """What a bad file says about itself: the key path, what its error tells, and the line that is marked."""
    lines = path.read_text(encoding="utf-8").splitlines()
    key = next((line.removeprefix("# wrong:").strip() for line in lines if line.startswith("# wrong:")), "")
    says = [line.removeprefix("# says:").strip() for line in lines if line.startswith("# says:")]
    marked = [number for number, line in enumerate(lines, 1) if line.endswith("# <-- here")]
    return key, says, marked[0] if marked else None


def screen_lines(text: str) -> int:
    """How many lines of an 80-column terminal a text takes."""
    return sum(-(-max(len(line), 1) // 80) for line in text.splitlines())


def test_there_are_at_least_twenty_bad_files():
    assert len(BAD) >= 20


@pytest.mark.parametrize("path", BAD, ids=lambda p: p.stem)
def test_an_error_names_file_line_and_key_path_and_what_is_allowed_on_one_screen(path):
    key, says, line = claims(path)
    with pytest.raises(UsageError) as caught:
        plan_of(path, ())
    text = str(caught.value)
    assert caught.value.exit_code == BAD_USAGE
    assert text.startswith(f"{path}:{line}: {key}" if line else str(path))
    for fragment in [key, *says]:
        assert fragment in text
    assert screen_lines(text) <= 24
    assert not re.search(r"pydantic|Traceback|\[type=|https?://", text)


def test_several_problems_are_listed_with_their_lines(write):
    path = write(
        "name: x\nlod: 1\nload:\n  arrivals: poisson\n  rate: 5\n  requests: 0\nstages:\n  - null: {worker: 2}\n"
    )
    with pytest.raises(ScenarioError) as caught:
        scenario.load(path)
    head, *rows = str(caught.value).splitlines()
    assert head == f"{path}: 4 problems"
    assert [row.split(": ")[:2] for row in rows] == [
        ["  line 2", "lod"],
        ["  line 5", "load.rate"],
        ["  line 6", "load.requests"],
        ["  line 8", "stages.null.worker"],
    ]


def test_a_hundred_problems_still_fit_one_screen(write):
    keys = "".join(f"key_number_{i}: {i}\n" for i in range(100))
    with pytest.raises(ScenarioError) as caught:
        scenario.load(write(MINIMAL + keys))
    assert "100 problems" in str(caught.value)
    assert "and 94 more" in str(caught.value)
    assert screen_lines(str(caught.value)) <= 24


def test_a_long_value_is_shown_cut_short(write):
    with pytest.raises(ScenarioError) as caught:
        scenario.load(write(MINIMAL.replace("least", "x" * 5000)))
    assert len(str(caught.value)) < 400


@holds(
    60,
    300,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    ),
    st.sampled_from(PLACES),
)
@example({"null": None}, "stages.0.null")
def test_no_value_in_any_place_leads_to_anything_but_a_scenario_error(write, value, place):
    document = yaml.safe_load(MINIMAL)
    document["stages"] = [{"null": {}}]
    document |= {"source": {}, "slo": {}}
    target = document
    *parents, last = [int(part) if part.isdigit() else part for part in place.split(".")]
    for part in parents:
        target = target[part]
    target[last] = value
    path = write(yaml.safe_dump(document, allow_unicode=True))
    try:
        scenario.load(path)
    except ScenarioError as error:
        assert screen_lines(str(error)) <= 24


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("&a [*a]", "an alias of what it stands in"),
        ("[" * 5000, "nested too deeply"),
        ("name: \x07", "not YAML"),
        ("name: 2024-99-99", "not YAML"),
        ("? [a, b]\n: c", "not YAML"),
        ("!!python/object/apply:os.system ['true']", "not YAML"),
        ("\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9) if i else 1}]" for i in range(9)), "100,000 entries"),
    ],
    ids=["alias of itself", "deep", "control character", "date", "complex key", "tag", "billion laughs"],
)
def test_hostile_yaml_is_an_error_like_any_other(write, text, says):
    with pytest.raises(ScenarioError, match=re.escape(says)):
        scenario.load(write(text))


def test_a_file_that_is_not_text_is_an_error(tmp_path):
    (tmp_path / "x.yaml").write_bytes(b"name: \xff\xfe\x00")
    with pytest.raises(ScenarioError, match="not UTF-8"):
        scenario.load(tmp_path / "x.yaml")
