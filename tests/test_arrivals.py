"""Due times are a function of the kind of load, its rate and a seed, and have the distribution that they claim."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.arrivals import OpenLoad, due_chunks, due_times, trace_rate, trace_times
from harness.errors import PluginError, ScenarioError
from harness.scenario.model import Bursts, Constant, Gamma, Poisson, Trace
from tests.pipelines import plan

RATE, COUNT = 200.0, 100_000
LENGTH = {"requests": 1}
LOADS = {
    "constant": Constant(rate="1/s", **LENGTH),
    "poisson": Poisson(rate="1/s", **LENGTH),
    "regular gamma": Gamma(rate="1/s", cv=0.5, **LENGTH),
    "bursty gamma": Gamma(rate="1/s", cv=3.0, **LENGTH),
    "bursts": Bursts(rate="1/s", on_time="20 ms", off_time="80 ms", **LENGTH),
}


def seed(number: int = 1) -> np.random.SeedSequence:
    return np.random.SeedSequence(number)


def gaps(name: str, rate: float = RATE, count: int = COUNT) -> np.ndarray:
    return np.diff(due_times(LOADS[name], rate, count, seed()), prepend=0)


@pytest.mark.parametrize(
    ("name", "cv"), [("constant", 0.0), ("poisson", 1.0), ("regular gamma", 0.5), ("bursty gamma", 3.0)]
)
def test_gaps_have_the_mean_and_the_coefficient_of_variation_asked_for(name, cv):
    found = gaps(name)
    assert found.mean() == pytest.approx(1e9 / RATE, rel=0.03)
    assert found.std() / found.mean() == pytest.approx(cv, rel=0.03, abs=1e-6)


def test_poisson_gaps_are_exponential_and_independent():
    found = gaps("poisson", count=5000) / 1e9
    assert stats.kstest(found, stats.expon(scale=1 / RATE).cdf).pvalue > 0.01
    assert abs(np.corrcoef(found[1:], found[:-1])[0, 1]) < 0.05


def test_constant_arrivals_do_not_drift():
    due = due_times(LOADS["constant"], 300.0, COUNT, seed())
    assert np.abs(due - np.arange(1, COUNT + 1) * 1e9 / 300.0).max() < 1000


def test_bursts_keep_the_mean_rate_over_on_and_off_periods():
    due = due_times(LOADS["bursts"], RATE, COUNT, seed())
    assert COUNT / (due[-1] / 1e9) == pytest.approx(RATE, rel=0.05)


def test_bursts_have_the_gaps_of_an_interrupted_poisson_process():
    """Kuczura (1973): scv = 1 + 2 lambda w / (w + z)**2 with rates lambda while on, w from on to off, z back."""
    on_s, off_s = 0.020, 0.080
    rate_on, to_off, to_on = RATE * (on_s + off_s) / on_s, 1 / on_s, 1 / off_s
    scv = 1 + 2 * rate_on * to_off / (to_off + to_on) ** 2
    found = gaps("bursts", count=400_000)
    assert found.var() / found.mean() ** 2 == pytest.approx(scv, rel=0.05)


def test_bursts_arrive_at_the_on_rate_within_a_burst():
    found = gaps("bursts") / 1e9
    assert np.median(found) == pytest.approx(np.log(2) / 1000, rel=0.15)  # 200/s over both is 1000/s while on


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(sorted(LOADS)), st.floats(0.01, 1e5), st.integers(0, 2000), st.integers(0, 2**32))
def test_due_times_ascend_and_depend_on_nothing_but_the_seed(name, rate, count, number):
    first = due_times(LOADS[name], rate, count, seed(number))
    assert first.shape == (count,)
    assert first.dtype == np.int64
    assert (np.diff(first, prepend=0) >= 0).all()
    assert (first == due_times(LOADS[name], rate, count, seed(number))).all()


@pytest.mark.parametrize("name", ["poisson", "regular gamma", "bursty gamma", "bursts"])
def test_another_seed_draws_other_times(name):
    assert (due_times(LOADS[name], RATE, 100, seed(1)) != due_times(LOADS[name], RATE, 100, seed(2))).any()


def test_a_longer_schedule_begins_like_the_shorter_one():
    short, long = (due_times(LOADS["poisson"], RATE, n, seed()) for n in (100, 200))
    assert (long[:100] == short).all()


def test_each_purpose_has_a_seed_of_its_own():
    resolved = plan({"null": {}}, {"null": {}}, load={"arrivals": "poisson", "rate": "9/s", "requests": 5})
    drawn = {p: np.random.default_rng(resolved.seed(p)).random() for p in ("arrivals", "images", "content", "s0", "s1")}
    assert len(set(drawn.values())) == 5


def test_the_service_of_a_stage_does_not_depend_on_the_arrivals():
    def drawn(kind: str) -> float:
        load = {"arrivals": kind, "rate": "9/s", "requests": 5}
        return float(np.random.default_rng(plan({"null": {}}, load=load).seed("s0")).random())

    assert drawn("poisson") == drawn("constant")


def test_times_beyond_a_year_are_an_error():
    with pytest.raises(ScenarioError, match=r"due after .* days"):
        due_times(LOADS["constant"], 1e-6, COUNT, seed())


def test_more_on_periods_than_fit_into_memory_are_an_error():
    load = Bursts(rate="1/s", on_time="1 us", off_time="4 us", **LENGTH)
    with pytest.raises(ScenarioError, match=r"load\.on_time: the schedule would hold"):
        due_times(load, 1.0, 1000, seed())


# Traces


@pytest.fixture
def trace(tmp_path):
    def trace(text: str) -> Trace:
        path = tmp_path / "due.txt"
        path.write_text(text)
        return Trace(file=str(path))

    return trace


def test_a_trace_keeps_its_times(trace):
    load = trace("# seconds\n0\n0.5  # the first burst\n\n0.5\n2.25\n")
    assert trace_times(load).tolist() == [0, 500_000_000, 500_000_000, 2_250_000_000]


def test_a_trace_is_stretched_to_a_rate(trace):
    load = trace("\n".join(f"{i}" for i in range(1, 11)))
    due = due_times(load, 20.0, 10, seed())
    assert trace_rate(trace_times(load) / 1e9) == pytest.approx(1.0)
    assert due.tolist() == [i * 50_000_000 for i in range(1, 11)]


def test_a_trace_gives_as_many_times_as_are_asked_for(trace):
    assert len(due_times(trace("1\n2\n3\n"), 1.0, 2, seed())) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no times"),
        ("# nothing\n\n", "holds no times"),
        ("1\n2\nthree\n", "due.txt:3: expected a time in seconds, got 'three'"),
        ("1 2\n", "due.txt:1: expected a time in seconds, got '1 2'"),
        ("1\n0.5\n", "due.txt:2: times must be finite, at least 0 and ascending; got 0.5"),
        ("-1\n", "due.txt:1: times must be"),
        ("nan\n", "due.txt:1: times must be"),
        ("1\ninf\n", "due.txt:2: times must be"),
    ],
)
def test_a_bad_trace_is_an_error_with_its_line(trace, text, says):
    with pytest.raises(ScenarioError) as caught:
        trace_times(trace(text))
    assert str(caught.value).startswith("load.file: ")
    assert says in str(caught.value)


def test_a_trace_all_at_once_cannot_be_stretched(trace):
    assert trace_times(trace("0\n0\n")).tolist() == [0, 0]
    with pytest.raises(ScenarioError, match="no rate to stretch"):
        trace_times(trace("0\n0\n"), 5.0)


def test_a_missing_trace_is_an_error():
    with pytest.raises(ScenarioError, match=r"load\.file: .*absent\.txt: cannot read the trace: No such file"):
        trace_times(Trace(file="absent.txt"))


class Given(OpenLoad):
    """What a plug-in might draw."""

    arrivals: Literal["given"] = "given"
    times: list[float]

    def times_ns(self, rate_rps: float, count: int, rng: np.random.Generator) -> np.ndarray:
        return np.array(self.times)


@pytest.mark.parametrize("times", [[0.0, 0.0, 5.0, 5.0], [1.0, 2.0, 3.0, 1e9]])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_a_kind_of_load_may_draw_any_schedule_that_ascends(times, size):
    load = Given(rate="1/s", requests=4, times=times)
    assert np.concatenate(list(due_chunks(load, 1.0, 4, seed(), size))).tolist() == times


@pytest.mark.parametrize(
    ("times", "says"),
    [
        ([1.0, 3.0, 2.0, 4.0], "do not ascend"),
        ([-1.0, 0.0, 1.0, 2.0], "do not ascend"),
        ([1.0, float("nan"), 2.0, 3.0], "do not ascend"),
        ([1.0, 2.0, 3.0], "it made 3 due times of 4"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_a_kind_of_load_that_draws_no_schedule_is_refused(times, says, size):
    load = Given.model_construct(rate=1.0, requests=4, times=times)
    with pytest.raises(PluginError, match=f"load.arrivals: given: .*{says}"):
        list(due_chunks(load, 1.0, 4, seed(), size))


@pytest.mark.parametrize("name", LOADS)
@settings(max_examples=15, deadline=None)
@given(st.integers(1, 700), st.integers(1, 90), st.integers(0, 100))
def test_due_times_are_the_same_however_they_are_cut(name, count, size, number):
    whole = due_times(LOADS[name], RATE, count, seed(number))
    pieces = list(due_chunks(LOADS[name], RATE, count, seed(number), size))
    assert np.concatenate(pieces).tolist() == whole.tolist()
    assert max(map(len, pieces)) <= size


def test_bursts_draw_what_they_drew_before_they_were_cut():
    """The formula in one piece, with its generator asked for one kind of draw after the other."""
    load, count = LOADS["bursts"], 3000
    rng = np.random.default_rng(seed())
    busy = np.cumsum(rng.exponential(1e9 / (RATE * 5), count))
    periods = max(16, int(busy[-1] / load.on_time))
    ends = np.cumsum(rng.exponential(load.on_time, periods))
    while ends[-1] < busy[-1]:
        ends = np.concatenate([ends, ends[-1] + np.cumsum(rng.exponential(load.on_time, periods))])
    off = np.concatenate([[0.0], np.cumsum(rng.exponential(load.off_time, len(ends)))])
    expected = (busy + off[np.searchsorted(ends, busy)]).astype(np.int64)
    assert due_times(load, RATE, count, seed()).tolist() == expected.tolist()
