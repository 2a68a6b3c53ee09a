"""A run's figures while it lasts, for Prometheus: counters, histograms a stage, queue depths, on the loopback address.

The measured path knows nothing of it. A scrape reads the shared records, in a thread of the supervisor, and counts what
has ended since the last one. Where the stages are processes of their own, that thread runs only on a core that nobody
else wants: a scrape of some milliseconds in the way of requests of some 50 us would make the tail that it shows.
"""

from __future__ import annotations

import bisect
import contextlib
import functools
import os
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from harness.clock import now_ns
from harness.errors import UsageError
from harness.executors.kind import kind_of
from harness.executors.progress import Observer, Progress
from harness.plan import Plan
from harness.records import OFFERED, STAMPS, Ints, Outcome, Phase, RunRecords
from harness.stats.budget import STAGE_COMPONENTS, held_up, split_of

HOST = "127.0.0.1"
PHASES = ("starting", "calibrating", "running", "ended")
EDGES_NS = tuple(digit * 10**power for power in range(4, 11) for digit in (1, 2, 5))
"""Upper ends of the buckets, 10 us to 50 s; le=+Inf follows."""
CLIENT_TIMEOUT_S = 5
SHUTDOWN_S = 1.0  # for a client to be done, and for the server to end then
SHORTEST_WAIT_S, LONGEST_WAIT_S = 2, 15
COUNTED = {
    Outcome.COMPLETED: "completed",
    Outcome.FAILED: "failed",
    Outcome.ABORTED: "failed",
    Outcome.DROPPED: "dropped",
}
"""An aborted request counts as failed, as in the summary."""


@contextlib.contextmanager
def endpoint(plan: Plan, port: int) -> Iterator[Metrics]:
    """Serve metrics on a port, 0 for any that is free, while the context lasts. Raises UsageError.

    It ends when the final figures were scraped, too, if there is a client that comes often enough.
    """
    registry = CollectorRegistry()
    try:
        server = make_server(HOST, port, make_wsgi_app(registry), server_class=_Server, handler_class=_Handler)
    except OSError as error:
        raise UsageError(
            f"cannot serve metrics there: {error.strerror}",
            where=f"--metrics-port {port}",
            hint="Take another port; 0 takes one that is free.",
        ) from None
    metrics = Metrics(plan, f"http://{HOST}:{server.server_port}/metrics")
    registry.register(metrics)
    # in one process with the stages it may hold the interpreter, and must not be kept waiting while it does
    serve = server.serve_forever if kind_of(plan).shares_interpreter else functools.partial(_serve_idle, server)
    thread = threading.Thread(target=serve, name="metrics", daemon=True)
    thread.start()
    try:
        yield metrics
    finally:
        try:
            metrics.await_last_scrape()
        finally:
            server.end()
            thread.join(SHUTDOWN_S)


def _serve_idle(server: WSGIServer) -> None:
    """Serve in the scheduling class that every other thread of the machine preempts at once, where there is one."""
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # of this thread
    server.serve_forever()


class _Server(WSGIServer):
    """Serves one client after the other, and can be ended in the middle of one."""

    _client: socket.socket | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve a client."""
        self._client = request
        try:
            super().finish_request(request, client_address)
        finally:
            self._client = None

    def end(self) -> None:
        """Stop to serve; a client that is still at it has a moment, then its connection is cut."""
        asking = threading.Thread(target=self.shutdown, name="metrics-end", daemon=True)
        asking.start()
        asking.join(SHUTDOWN_S)
        if (client := self._client) is not None:
            with contextlib.suppress(OSError):  # it has left meanwhile
                client.shutdown(socket.SHUT_RDWR)
        asking.join(SHUTDOWN_S)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that has left or was cut off: standard error belongs to the live view."""


class _Handler(WSGIRequestHandler):
    timeout = CLIENT_TIMEOUT_S  # for a client that connects and then says nothing

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: standard error belongs to the live view."""


@dataclass(frozen=True)
class _State:
    """What a scrape works on, replaced as a whole. issued: measured requests so far."""

    phase: str
    depths: list[int]
    issued: int
    tally: _Tally


class Metrics(Collector):
    """What is known of a run, as metric families. `collect` is called by each scrape, one at a time."""

    def __init__(self, plan: Plan, url: str = "") -> None:
        self.url = url
        self._plan = plan
        self._state = self._new("starting")
        self._scraped_ns = self._interval_ns = 0
        self._final = threading.Event()

    def _new(self, phase: str) -> _State:
        return _State(phase, [0] * len(self._plan.stages), 0, _Tally(self._plan))

    def tee(self, observe: Observer) -> Observer:
        """An observer that takes note of where the run stands, counts what has ended since, and tells another one."""

        def both(progress: Progress) -> None:
            now, issued, warmup = self._state, self._state.issued, self._plan.load.warmup
            if progress.phase == "running":
                issued = max(0, progress.issued - warmup)
                now.tally.add(progress.rows, progress.first, warmup)
            self._state = replace(now, phase=progress.phase, depths=progress.depths, issued=issued)
            observe(progress)

        return both

    def finish(self, records: RunRecords) -> None:
        """From now on serve the run's final figures. records: all of it."""
        state, total, before = self._new("ended"), 0, np.empty((0, self._plan.layout.width), np.int64)
        for block in records.blocks():
            rows = block.rows[block.column("phase") != Phase.SATURATION]
            # With the block before it, in which those may lie that held up the first ones of this one.
            state.tally.add(np.concatenate([before, rows]), total - len(before), self._plan.load.warmup)
            total, before = total + len(rows), rows
        self._state = replace(state, issued=max(0, total - self._plan.load.warmup))

    def await_last_scrape(self) -> None:
        """Let a client that has come twice or more come for the final figures, for about as long as it took before."""
        if self._state.phase == "ended" and self._interval_ns:
            self._final.wait(min(max(1.5 * self._interval_ns / 1e9, SHORTEST_WAIT_S), LONGEST_WAIT_S))

    def collect(self) -> Iterator[Metric]:
        """The families, for prometheus_client."""
        plan, state = self._plan, self._state
        facts = {"scenario": plan.scenario.name, "executor": plan.scenario.executor}
        yield InfoMetricFamily("harness_run", "The run.", facts)
        phases = GaugeMetricFamily("harness_phase", "1 for the phase that the run is in.", labels=["phase"])
        for phase in PHASES:
            phases.add_metric([phase], float(phase == state.phase))
        yield phases
        yield CounterMetricFamily("harness_requests_issued", "Measured requests that were issued.", state.issued)
        ended = CounterMetricFamily("harness_requests", "Measured requests that ended.", labels=["outcome"])
        for outcome, count in state.tally.outcomes.items():
            ended.add_metric([outcome], count)
        yield ended
        yield from state.tally.histograms()
        depths = GaugeMetricFamily("harness_queue_depth", "Requests that wait for a worker.", labels=["stage"])
        slots = GaugeMetricFamily("harness_queue_capacity", "Slots of the channel before a stage.", labels=["stage"])
        for stage, depth in zip(plan.stages, state.depths, strict=True):
            depths.add_metric([stage.name], depth)
            slots.add_metric([stage.name], stage.capacity)
        yield depths
        yield slots
        now = now_ns()
        self._scraped_ns, self._interval_ns = now, now - self._scraped_ns if self._scraped_ns else 0
        if state.phase == "ended":
            self._final.set()


class _Tally:
    """Counts and histograms of measured requests. Each is counted once, when it has ended and its stamps are there."""

    def __init__(self, plan: Plan) -> None:
        self._layout = plan.layout
        self._outcome = plan.layout.columns["outcome"]
        self._offered = plan.layout.base(0) + OFFERED
        self._stamps = [plan.layout.columns[f"{s.name}.{stamp}"] for s in plan.stages for stamp in STAMPS]
        self._begin = 0  # rows before it are counted, all of them
        self._counted: NDArray[np.bool_] = np.zeros(0, np.bool_)  # which of those from there on are
        self.outcomes = dict.fromkeys(COUNTED.values(), 0)
        self._e2e, self._lateness = _Histogram(), _Histogram()
        self._components = {(s.name, c): _Histogram() for s in plan.stages for c in STAGE_COMPONENTS}

    def add(self, issued: Ints, first: int, warmup: int) -> None:
        """Count what is new. issued: shape (n, width), in which those come first that were not counted yet, or before.

        first: how many rows came before them. warmup: so many rows, the first ones of all, are not counted.
        """
        begin = max(0, warmup + self._begin - first)
        rows = issued[begin:].copy()
        counted = np.zeros(len(rows), np.bool_)
        counted[: len(self._counted)] = self._counted
        outcome = rows[:, self._outcome]
        # A worker hands a request on before it writes its last stamps: one that has just completed may lack some.
        whole = (outcome != Outcome.COMPLETED) | (rows[:, self._stamps] > 0).all(axis=1)
        fresh = (outcome != Outcome.PENDING) & whole & ~counted
        for code, label in COUNTED.items():
            self.outcomes[label] += int(np.count_nonzero(outcome[fresh] == code))
        done = np.flatnonzero(fresh & (outcome == Outcome.COMPLETED))
        if len(done):
            self._count(RunRecords(self._layout, rows[done], {}), begin + done, issued)
        counted |= fresh
        settled = len(counted) if counted.all() else int(np.argmin(counted))
        self._begin, self._counted = self._begin + settled, counted[settled:]

    def _count(self, done: RunRecords, at: NDArray[np.intp], issued: Ints) -> None:
        """Add requests to the histograms. at: where they lie in `issued`, ascending."""
        # What the producer was blocked with before the earliest of them was due held up none of them.
        offered = issued[:, self._offered]  # a view, ascending: the search looks at a few of a million
        first = max(0, bisect.bisect_right(offered, int(done.due.min()), hi=int(at[0])) - 1)
        held_up_ns = held_up(RunRecords(self._layout, issued[first : at[-1] + 1], {}))[at - first]
        split = split_of(done, held_up_ns)
        self._e2e.add(split.e2e)
        self._lateness.add(done.issued - done.due)
        for (stage, component), histogram in self._components.items():
            histogram.add(split.components[f"{stage}.{component}"])

    def histograms(self) -> Iterator[Metric]:
        """Of completed requests, in seconds."""
        for histogram, name, text in (
            (self._e2e, "harness_e2e_latency_seconds", "From due to completed."),
            (self._lateness, "harness_producer_lateness_seconds", "From due to issued."),
        ):
            family = HistogramMetricFamily(name, text)
            histogram.put(family, [])
            yield family
        parts = HistogramMetricFamily(
            "harness_stage_seconds", "A component of the latency at a stage.", labels=["stage", "component"]
        )
        for labels, histogram in self._components.items():
            histogram.put(parts, list(labels))
        yield parts


class _Histogram:
    def __init__(self) -> None:
        self._counts = np.zeros(len(EDGES_NS) + 1, np.int64)
        self._sum_s = 0.0

    def add(self, values_ns: Ints) -> None:
        """A value on an edge belongs below it: le means less or equal."""
        at = np.searchsorted(EDGES_NS, values_ns, side="left")
        self._counts += np.bincount(at, minlength=len(self._counts))
        self._sum_s += float(values_ns.sum()) / 1e9

    def put(self, family: HistogramMetricFamily, labels: list[str]) -> None:
        """Add it to a family, cumulated as Prometheus wants it."""
        names = [*(str(edge / 1e9) for edge in EDGES_NS), "+Inf"]
        family.add_metric(labels, list(zip(names, np.cumsum(self._counts).tolist(), strict=True)), self._sum_s)
