"""`--vary KEY=A,B,...`: one grammar for lists, YAML values and ranges."""

from decimal import Decimal

import pytest
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.scenario.varying import MOST_VALUES, Axis, combinations, parse_axes
from tests.properties import holds

CASES = [
    ("a.b=1,2,4", [1, 2, 4]),
    ("a.b = 1 , 2", [1, 2]),
    ("stages.preprocess.resize=[256,320],224", [[256, 320], 224]),
    ("stages.x.options={a: 1, b: [2,3]},{a: 2}", [{"a": 1, "b": [2, 3]}, {"a": 2}]),
    ("""a='x,y',"p\\",q",it's""", ["x,y", 'p",q', "it's"]),
    ("a=null,true,5 ms,10/s", [None, True, "5 ms", "10/s"]),
    ("a=images/*.jpg,img[0-9,x].png,../up", ["images/*.jpg", "img[0-9,x].png", "../up"]),
    ("stages.a.workers=1..4/1", [1, 2, 3, 4]),
    ("a=1,2..8/3,16", [1, 2, 5, 8, 16]),
    ("load.utilisation=0.1..0.3/0.1", [0.1, 0.2, 0.3]),
    ("load.rate=10..50/20", ["10/s", "30/s", "50/s"]),
    ("load.rate=10..50/20/s", ["10/s", "30/s", "50/s"]),
    ("load.rate=10/s..50/s/20/s", ["10/s", "30/s", "50/s"]),
    ("load.rate=60 / min .. 180 / min / 60 / min", ["60/min", "120/min", "180/min"]),
    ("a.timeout=0ms..12ms/5ms", ["0ms", "5ms", "10ms"]),
    ("a.timeout=0ms..5ms/2.5ms", ["0ms", "2.5ms", "5ms"]),
    ("a.timeout=0..12/5 ms", ["0ms", "5ms", "10ms"]),
    ("a='1..4/1',2", ["1..4/1", 2]),
    ("a=3..3/1", [3]),
]


@pytest.mark.parametrize(("text", "values"), CASES, ids=[text for text, _ in CASES])
def test_values_are_yaml_or_ranges(text, values):
    axis = Axis.parse(text)
    assert list(axis.values) == values
    assert Axis.parse(str(axis)) == axis
    assert axis.overrides == tuple(f"{axis.key}={shown}" for shown in axis.texts)


WRONG = [
    ("load.rate", "expected KEY=VALUE,VALUE,... or KEY=FROM..TO/STEP"),
    ("=1,2", "expected KEY=VALUE"),
    ("load..rate=1", "expected KEY=VALUE"),
    ("a=", r"expected a value, found the end \(character 3\)"),
    ("a=1,,2", r"expected a value, found ',' \(character 5\)"),
    ("a=1,", r"expected a value, found the end \(character 5\)"),
    ("a=[1,2", r"\[ is not closed \(character 3\)"),
    ("a=1,'x", r"' is not closed \(character 5\)"),
    ("a=1,2]", r"\] closes nothing \(character 6\)"),
    ("a={1]", r"\] closes nothing \(character 5\)"),
    ("a=1,%2", r"%2 is not YAML \(character 5\)"),
    ("a=1,2,1", "the value 1 stands there twice"),
    ("a=1..3/1,2", "the value 2 stands there twice"),
    ("a=5,1..4", r"expected a range FROM..TO/STEP .* found 1..4 \(character 5\)"),
    ("a=1..4/x", "expected a range"),
    ("a=9..1/1", r"expected FROM not above TO, and STEP above 0, in 9..1/1 \(character 3\)"),
    ("a=1..4/0", "STEP above 0"),
    ("a=1ms..2s/1s", "expected one unit, after the step or after every number"),
    ("a=1ms..2/1", "expected one unit"),
    ("a=0..1e9/1", "expected a range"),
    ("a=0..1000000000/1", f"more than {MOST_VALUES:,} values"),
    ("a=0..1/0.000000000001", "more than"),
    (f"a=0..{MOST_VALUES - 1}/1,x", "more than"),
]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=[text for text, _ in WRONG])
def test_an_error_names_the_option_and_the_character(text, message):
    with pytest.raises(UsageError, match=message) as caught:
        Axis.parse(text)
    assert caught.value.where == f"--vary {text}"
    assert caught.value.hint


TEXTS = st.text(st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(" .,:'\"[]{}#\n\t1"), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=5
)


@holds(60, 3000, st.lists(VALUES, min_size=1, max_size=4, unique_by=repr))
def test_every_yaml_value_comes_back(values):
    axis = Axis.of("a.b", values)
    assert list(axis.values) == values
    assert Axis.parse(str(axis)) == axis


@holds(60, 3000, st.text(alphabet="a1.,'\"[]{}:#=/\\ -&*%.", max_size=15))
def test_any_text_is_read_or_refused(text):
    try:
        axis = Axis.parse(f"a={text}")
    except UsageError:
        return
    assert Axis.parse(str(axis)) == axis
    assert all(shown.strip() == shown != "" for shown in axis.texts)


DECIMALS = st.decimals(0, 1000, places=3)


@holds(60, 3000, DECIMALS, st.integers(0, 50), st.decimals("0.001", 10, places=3), st.sampled_from(["", "ms", "/s"]))
def test_a_range_has_exact_steps_and_both_ends(low, steps, step, unit):
    axis = Axis.parse(f"a={low}..{low + steps * step}/{step}{unit}")
    numbers = [Decimal(text.removesuffix(unit)) for text in axis.texts]
    assert numbers == [low + i * step for i in range(steps + 1)]
    assert all(text.endswith(unit) for text in axis.texts)


def test_what_a_scenario_cannot_hold_is_refused():
    with pytest.raises(UsageError, match="cannot stand in a scenario"):
        Axis.of("a", [object()])


def test_scalars_are_of_one_kind():
    assert Axis.parse("a=1,2").scalars == (1, 2)
    assert Axis.parse("a=1,2.5").scalars == (1.0, 2.5)
    assert Axis.parse("a=1,[2,3]").scalars == ("1", "[2,3]")


def test_combinations():
    axes = parse_axes(["a=1,2", "b=x,y"])
    assert combinations(axes, 4) == [("a=1", "b=x"), ("a=1", "b=y"), ("a=2", "b=x"), ("a=2", "b=y")]
    assert combinations((), 1) == [()]
    with pytest.raises(UsageError, match="2 x 2 = 4 sides, and 3 are the most"):
        combinations(axes, 3, "sides")
    with pytest.raises(UsageError, match="--vary a: this key is varied twice"):
        parse_axes(["a=1", "b=1", " a =2"])
