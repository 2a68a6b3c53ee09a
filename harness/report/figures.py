"""Figures in words and colours, as every screen writes them. Plain numbers: harness.numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from harness.numbers import significant
from harness.summary import HEADERS, Effective

WIDEST = 100
FAR = 0.1
"""A relative error from which on it is shown as one."""


def relative(error: float) -> Text:
    """A relative error in percent; a large one stands out."""
    return Text(f"{error:+.1%}", style="yellow" if abs(error) > FAR else "green")


def header(key: str) -> str:
    """What people call a quantile: p99.9 for p999."""
    return HEADERS.get(key, key)


def first_line(text: str) -> str:
    """The first line of what may be an error of somebody else's, in as many lines as they liked."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def clusters(count: int, number: int) -> str:
    """How many requests in how many clusters."""
    requests, words = (f"{n:,} {word}{'' if n == 1 else 's'}" for n, word in ((count, "request"), (number, "cluster")))
    return f"{requests} in {words}"


def scheduling(told: Mapping[str, Any]) -> str:
    """How the kernel said that the producer is scheduled while it waits for due times; empty if it did not say."""
    if "policy" not in told:
        return ""
    parts = [told["policy"], f"priority {told['priority']}" if told["priority"] else f"nice {told['nice']}"]
    if told["slice_us"]:
        parts.append(f"slice {significant(told['slice_us'] / 1e3, 2)} ms")
    share = told.get("share")
    return ", ".join(parts) + (f", for {share:.0%} of the requests" if share is not None and share < 0.995 else "")


def placement(effective: Mapping[str, Effective]) -> str:
    """Where pinned workers run, as each read back; workers that share their CPUs by the name of their stage."""
    places: dict[str, str] = {}
    for worker, told in effective.items():
        if told.cpus:
            nodes = ",".join(map(str, told.numa_nodes))
            where = f"CPU {told.cpus}" + (f" (NUMA node {nodes})" if nodes else "")
            stage = worker.rpartition("-")[0] or worker
            name = stage if places.get(stage, where) == where else worker
            places[name] = where
    return ", ".join(f"{name} {where}" for name, where in places.items())
