"""Blocks of one stage for comparisons: the stamps of a first-come-first-served queue, written by hand."""

import numpy as np

from harness.records import Layout, Outcome, RunRecords
from tests.stats.queues import mg1_times

LAYOUT = Layout.tandem(["s0"])
SERVICE_NS = 1e6


def records(due_ns, service_ns, done_ns, outcome=Outcome.COMPLETED):
    """One block; int64 arrays of shape (n,)."""
    columns = LAYOUT.columns
    rows = np.zeros((len(due_ns), LAYOUT.width), np.int64)
    rows[:, columns["due"]] = due_ns
    rows[:, columns["outcome"]] = outcome
    for field in ("offered", "accepted"):
        rows[:, columns[f"s0.{field}"]] = due_ns
    for field in ("taken", "started"):
        rows[:, columns[f"s0.{field}"]] = done_ns - service_ns
    rows[:, columns["s0.done"]] = done_ns
    rows[:, columns["s0.batch"]] = np.arange(len(due_ns))
    return RunRecords(LAYOUT, rows, {})


def queue(rng, n, utilisation, slower=1.0, gaps=None, services=None):
    """An M/M/1 block of n requests with a mean service of 1 ms times `slower`; gaps and services: their own draws."""
    gaps = rng.exponential(1.0, n) if gaps is None else gaps
    services = rng.exponential(1.0, n) if services is None else services
    due, done = mg1_times(rng, n, utilisation, services * slower, gaps / utilisation)
    due_ns, done_ns = (np.rint(1e9 + times * SERVICE_NS).astype(np.int64) for times in (due, done))
    return records(due_ns, np.maximum(np.rint(services * slower * SERVICE_NS), 1).astype(np.int64), done_ns)


def sides(seed, blocks=10, n=200, utilisation=0.5, slower=1.0, same=False):
    """Two sides of blocks with the same arrivals; b is slower. same: both draw the same services."""
    rng = np.random.default_rng(seed)
    a, b = [], []
    for _ in range(blocks):
        gaps, services = rng.exponential(1.0, n), rng.exponential(1.0, n)
        a.append(queue(rng, n, utilisation, gaps=gaps, services=services))
        b.append(queue(rng, n, utilisation, slower, gaps, services if same else None))
    return a, b


def stretched(block, factor):
    """The same block on a clock that runs slower: every time, and so every latency, is `factor` times as long."""
    rows = block.rows.copy()
    for name, column in LAYOUT.columns.items():
        if name.rpartition(".")[2] in ("due", "offered", "accepted", "taken", "started", "done"):
            rows[:, column] = rows[:, column] * factor
    return RunRecords(LAYOUT, rows, {})
