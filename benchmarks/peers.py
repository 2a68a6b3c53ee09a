"""What the pipeline is held against, in as many processes: bare pipes, bounded ones, and multiprocessing.Queue.

Run as a module, it executes one of them in a fresh interpreter and prints one line of JSON:

    python -m benchmarks.peers chain|bounded|queue --requests N --rate RPS|0 [--slots K] [--payload BYTES]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
from collections.abc import Callable
from typing import Any

import numpy as np

from harness.clock import now_ns, wait_until

HOPS = 3  # source -> relay -> relay -> sink, as producer -> three stages
LEAD_NS = 50_000_000
TOKEN = b"\0\0\0\0"


def _fork(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    return pid


def _paced(requests: int, rate: float, start_ns: int, offer: Callable[[], Any]) -> None:
    for i in range(requests):
        if rate:
            wait_until(start_ns + int(i / rate * 1e9))
        offer()


def chain(requests: int, rate: float, slots: int = 0) -> dict[str, Any]:
    """4-byte tokens through pipes. With `slots`, a second pipe at each hop returns so many slots, as a channel has."""
    ready = [os.pipe() for _ in range(HOPS)]
    free = [os.pipe() for _ in range(HOPS)] if slots else []
    for _, write in free:
        os.write(write, TOKEN * slots)
    start_ns = now_ns() + LEAD_NS

    def source() -> None:
        def offer() -> None:
            if slots:
                os.read(free[0][0], 4)
            os.write(ready[0][1], TOKEN)

        _paced(requests, rate, start_ns, offer)

    def relay(hop: int) -> Callable[[], None]:
        def work() -> None:
            for _ in range(requests):
                token = os.read(ready[hop][0], 4)
                if slots:
                    os.read(free[hop + 1][0], 4)
                os.write(ready[hop + 1][1], token)
                if slots:
                    os.write(free[hop][1], token)

        return work

    children = [_fork(source), *(_fork(relay(hop)) for hop in range(HOPS - 1))]
    arrived = np.empty(requests, np.int64)
    for i in range(requests):
        os.read(ready[-1][0], 4)
        arrived[i] = now_ns()
        if slots:
            os.write(free[-1][1], TOKEN)
    for child in children:
        os.waitpid(child, 0)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        **_figures(arrived, rate, start_ns),
        "relay_cpu_us": (used.ru_utime + used.ru_stime) / HOPS / requests * 1e6,
    }


def queue(requests: int, rate: float, payload: int) -> dict[str, Any]:
    """Arrays through multiprocessing.Queue, pickled at every hop."""
    context = multiprocessing.get_context("fork")
    queues = [context.Queue(maxsize=16) for _ in range(HOPS)]
    start_ns = now_ns() + 10 * LEAD_NS
    array = np.zeros(payload, np.uint8)

    def source() -> None:
        _paced(requests, rate, start_ns, lambda: queues[0].put(array))

    def relay(hop: int) -> None:
        for _ in range(requests):
            queues[hop + 1].put(queues[hop].get())

    children = [context.Process(target=source), *(context.Process(target=relay, args=(h,)) for h in range(HOPS - 1))]
    for child in children:
        child.start()
    arrived = np.empty(requests, np.int64)
    for i in range(requests):
        queues[-1].get()
        arrived[i] = now_ns()
    for child in children:
        child.join()
    return _figures(arrived, rate, start_ns)


def _figures(arrived: Any, rate: float, start_ns: int) -> dict[str, Any]:
    rest = arrived[len(arrived) // 10 :]
    figures = {"rate_rps": (len(rest) - 1) / (float(rest[-1] - rest[0]) / 1e9)}
    if rate:
        due = start_ns + (np.arange(len(arrived)) / rate * 1e9).astype(np.int64)
        figures["p50_us"] = float(np.median((arrived - due)[len(arrived) // 10 :])) / 1e3
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=["chain", "bounded", "queue"])
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--payload", type=int, default=602_112)
    told = parser.parse_args()
    if told.peer == "queue":
        figures = queue(told.requests, told.rate, told.payload)
    else:
        figures = chain(told.requests, told.rate, told.slots if told.peer == "bounded" else 0)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
