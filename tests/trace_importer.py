"""What Perfetto's importer of JSON traces does with events, as far as it can complain. An oracle for the trace export.

Written from the Trace Event Format (Duca and Sinclair, 2016) and from how the importer behaves: slices of a thread form
a stack, an overlap that is no nesting is dropped, and a flow event binds to the slice that began last on its thread.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

Event = dict[str, Any]


@dataclass
class Imported:
    """problems: what the importer would count as an error. flows: id -> the slices that it binds, in order."""

    problems: list[str] = field(default_factory=list)
    slices: dict[int, list[Event]] = field(default_factory=lambda: defaultdict(list))
    flows: dict[int, list[Event]] = field(default_factory=lambda: defaultdict(list))
    counters: dict[tuple[int, str], list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    waits: dict[tuple[int, str], list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    threads: dict[int, str] = field(default_factory=dict)
    processes: dict[int, str] = field(default_factory=dict)


def ns(microseconds: float) -> int:
    return round(microseconds * 1000)


def load(events: list[Event]) -> Imported:
    """Import events in the order of the file, as one sorted stably by time would be."""
    found = Imported()
    stacks: dict[int, list[Event]] = defaultdict(list)
    owners: dict[int, int] = {}
    open_waits: dict[tuple[int, str, str], Event] = {}
    flow_names: dict[int, tuple[str, str]] = {}
    closed: set[int] = set()
    last = 0
    for event in events:
        complain = lambda what, event=event: found.problems.append(f"{what}: {event}")  # noqa: E731
        phase, when = event["ph"], ns(event["ts"])
        if abs(event["ts"] * 1000 - when) > 1e-3 or when < 0:
            complain("no whole number of ns, or before the origin")
        if not isinstance(event["name"], str) or not isinstance(event["pid"], int) or event["pid"] < 1:
            complain("no name or process")
        if phase == "M":
            if event["name"] == "thread_name":
                found.threads[event["tid"]] = event["args"]["name"]
            elif event["name"] == "process_name":
                found.processes[event["pid"]] = event["args"]["name"]
            continue
        if when < last:
            complain("out of order")
        last = when
        if owners.setdefault(event["tid"], event["pid"]) != event["pid"]:
            complain("a thread of two processes")
        stack = stacks[event["tid"]]
        match phase:
            case "X":
                length = ns(event["dur"])
                if length < 0:
                    complain("a negative duration")
                while stack and (top := stack[-1]):
                    end = ns(top["ts"]) + ns(top["dur"])
                    if end > when or (end == when and ns(top["dur"]) == 0 and length == 0):
                        break
                    stack.pop()
                if any(when < (end := ns(s["ts"]) + ns(s["dur"])) < when + length for s in stack):
                    complain("overlaps without nesting")
                stack.append(event)
                found.slices[event["tid"]].append(event)
            case "b":
                key = (event["pid"], event["cat"], event["id2"]["local"])
                if open_waits.setdefault(key, event) is not event:
                    complain("begun twice")
            case "e":
                begun = open_waits.pop((event["pid"], event["cat"], event["id2"]["local"]), None)
                if begun is None or begun["name"] != event["name"]:
                    complain("ended without a beginning")
                else:
                    found.waits[event["pid"], event["name"]].append((ns(begun["ts"]), when))
            case "s" | "t" | "f":
                enclosing = stack[-1] if stack else None
                if enclosing is None or not ns(enclosing["ts"]) <= when <= ns(enclosing["ts"]) + ns(enclosing["dur"]):
                    complain("a flow without a slice")
                    continue
                known, name = flow_names.get(event["id"]), (event["cat"], event["name"])
                if (phase == "s") != (known is None) or known not in (None, name) or event["id"] in closed:
                    complain("a flow that is not begun, stepped and ended in turn")
                flow_names[event["id"]] = name
                if phase == "f":
                    closed.add(event["id"])
                    if event.get("bp") != "e":
                        complain("would bind to the next slice")
                found.flows[event["id"]].append(enclosing)
            case "C":
                ((key, value),) = event["args"].items()
                found.counters[event["pid"], f"{event['name']} {key}"].append((when, value))
            case "i":
                if event["s"] not in ("t", "p", "g"):
                    complain("an instant of no scope")
            case _:
                complain("an unknown phase")
    found.problems += [f"never ended: {event}" for event in open_waits.values()]
    found.problems += [f"flow {flow} never ended" for flow in flow_names if flow not in closed]
    found.problems += [f"thread {tid} has no name" for tid in found.slices if tid not in found.threads]
    found.problems += [f"process {pid} has no name" for pid in set(owners.values()) - set(found.processes)]
    return found
