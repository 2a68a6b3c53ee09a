"""Bands of latencies, and where the time of their requests went."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness.errors import UsageError
from harness.report.screens import band as report
from harness.stats.attribution import Edge, attribute, cluster_of, parse_band
from harness.stats.budget import Budget
from harness.studies.run.band import BandResult

MS = 1_000_000


def split(waits, services, due=None):
    """Requests that wait and are served, ms, with 1 ms of overhead each. due: ms; by default all at once."""
    waits, services = (np.array(values, np.int64) * MS for values in (waits, services))
    rest = np.full(len(waits), MS)
    parts = {"s0.queue_wait": waits, "s0.service": services, "residual": rest}
    return Budget(waits + services + rest, parts, np.zeros_like(rest) if due is None else np.array(due, np.int64) * MS)


# e2e: 10, 20, ..., 100 ms; the fast ones are served, the slow ones wait.
TEN = split([0, 0, 0, 0, 0, 10, 30, 50, 70, 90], [9, 19, 29, 39, 49, 49, 39, 29, 19, 9])


@pytest.mark.parametrize(
    "text, edges",
    [
        ("p90..p99", (Edge(level=0.9), Edge(level=0.99))),
        ("p99.9..", (Edge(level=0.999), Edge())),
        ("..p50", (Edge(), Edge(level=0.5))),
        ("100ms..200ms", (Edge(latency_ns=100 * MS), Edge(latency_ns=200 * MS))),
        ("1.5 ms .. 2 s", (Edge(latency_ns=1_500_000), Edge(latency_ns=2_000_000_000))),
        ("p50..80 ms", (Edge(level=0.5), Edge(latency_ns=80 * MS))),
    ],
)
def test_a_band_is_read(text, edges):
    assert parse_band(text) == edges


@pytest.mark.parametrize("text", ["", "..", "p99", "p101..", "90..99", "p90-p99", "p90..p99..", "p99..p90", "2ms..1ms"])
def test_what_is_no_band_is_refused(text):
    with pytest.raises(UsageError) as error:
        parse_band(text)
    assert error.value.where == f"--band {text}"


def test_a_band_is_attributed_to_its_components():
    found = attribute(TEN, *parse_band("80ms..90ms"))
    assert (found.count, found.low_ms, found.high_ms) == (2, 80, 90)
    assert found.mean_ms == {"s0.queue_wait": 60, "s0.service": 24, "residual": 1}
    assert found.shares == {"s0.queue_wait": 120 / 170, "s0.service": 48 / 170, "residual": 2 / 170}
    # The requests from the 40 % to the 60 % quantile: 40, 50 and 60 ms.
    assert found.median_shares == {"s0.queue_wait": 10 / 150, "s0.service": 137 / 150, "residual": 3 / 150}


def test_quantiles_are_ends_that_belong_to_the_band():
    assert attribute(TEN, *parse_band("p90..")).count == 2
    assert attribute(TEN, *parse_band("p10..p20")).count == 2
    assert attribute(TEN).count == 10


def test_an_empty_band_has_no_attribution():
    assert attribute(TEN, *parse_band("1s..2s")) is None
    assert attribute(split([], []), *parse_band("p99..")) is None


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=50), st.floats(0, 1))
def test_shares_add_up_with_the_residual(requests, level):
    found = attribute(split(*zip(*requests, strict=True)), Edge(level=level))
    assert sum(found.shares.values()) == pytest.approx(1)
    assert sum(found.mean_ms.values()) <= found.high_ms + 1e-9
    assert sum(found.mean_ms.values()) >= found.low_ms - 1e-9


# Clusters

REQUESTS = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=40)


@given(REQUESTS)
def test_requests_that_met_in_the_pipeline_are_one_cluster(requests):
    requests.sort()
    due = np.array([d for d, _, _ in requests])
    completed = due + [1 + wait + service for _, wait, service in requests]
    found = cluster_of(due, completed)
    # By definition: two that overlap are in one cluster, and so is whoever is linked to either of them.
    group = list(range(len(due)))
    for i in range(len(due)):
        for j in range(i):
            if due[i] < completed[j]:
                group = [group[j] if g == group[i] else g for g in group]
    assert len(set(group)) == found[-1] + 1
    assert all((group[i] == group[j]) == (found[i] == found[j]) for i in range(len(due)) for j in range(i))


@given(REQUESTS)
def test_a_range_is_that_of_the_shares_without_any_one_cluster(requests):
    due, waits, services = zip(*requests, strict=True)
    found, whole = attribute(split(waits, services, due)), split(waits, services, due)
    order = np.argsort(whole.due, kind="stable")
    clusters = np.empty(len(due), np.int64)
    clusters[order] = cluster_of(whole.due[order], (whole.due + whole.e2e)[order])
    assert found.clusters == clusters.max() + 1
    if found.clusters == 1:
        assert found.share_ranges is None
        return
    without = [whole.shares(clusters != cluster) for cluster in range(found.clusters)]
    for name, (low, high) in found.share_ranges.items():
        assert low == pytest.approx(min(shares[name] for shares in without))
        assert high == pytest.approx(max(shares[name] for shares in without))


def test_only_the_requests_of_the_band_make_clusters():
    fast = [(10 * i, 0, 8) for i in range(40)]  # one after another, always one in the pipeline
    slow = [(100, 90, 9), (110, 85, 9), (300, 20, 79)]
    due, waits, services = zip(*fast, *slow, strict=True)
    found = attribute(split(waits, services, due), *parse_band("90ms.."))
    assert (found.count, found.clusters) == (3, 2)
    assert found.shares["s0.queue_wait"] == pytest.approx(195 / 295)
    assert found.share_ranges["s0.queue_wait"] == pytest.approx((20 / 100, 175 / 195))


@pytest.mark.parametrize("width", [80, 120])
def test_the_screen_names_what_sets_a_band_apart(width):
    answer = BandResult(kind="band", run="", band="p80..", completed=10, attribution=attribute(TEN, Edge(level=0.8)))
    console = Console(file=io.StringIO(), width=width)
    report.show(console, answer)
    text = console.file.getvalue()
    assert "3 of 10 requests" in text
    assert "apart from a median request is s0 queue wait: 78% of the latency, against 7%." in " ".join(text.split())
    assert "between stamps" in text
    assert all(len(line) <= width for line in text.splitlines())
