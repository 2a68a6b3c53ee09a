"""Operators and their times, from torch.profiler, ONNX Runtime's profile and OpenVINO's counters.

A profiler is made when the stage is open, started before the calls that are sampled and stopped behind them.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from harness.stages.inference import InferenceStage


@dataclass(frozen=True)
class Operator:
    """All executions of one operator in the calls that were sampled. self_us: without those that it calls in turn."""

    name: str
    device: str
    count: int
    self_us: float


class OperatorProfiler(Protocol):
    """A runtime's profiler."""

    source: str
    """Whose times these are."""
    always_on: bool
    """It watches from when the model is loaded: there are no calls without it."""

    def start(self) -> None:
        """The next call is the first one that counts."""

    def after_call(self) -> None:
        """A call has ended, sampled or not."""

    def stop(self, trace: Path) -> list[Operator]:
        """The operators since `start`. Writes a Chrome trace to `trace` where the runtime keeps a timeline."""


def profiler_for(stage: Any) -> OperatorProfiler:
    """The profiler of an inference stage's runtime; else torch's, which sees only its own, where torch is in use."""
    if isinstance(stage, InferenceStage):
        runtime: Any = stage.runtime
        if hasattr(runtime, "session"):
            return _OnnxRuntime(runtime.session)
        if hasattr(runtime, "request"):
            return _OpenVino(runtime)
    return _Torch() if "torch" in sys.modules else _Unknown()


class _Unknown:
    """For a stage that no profiler knows."""

    source, always_on = "", False

    def start(self) -> None:
        pass

    def after_call(self) -> None:
        pass

    def stop(self, trace: Path) -> list[Operator]:
        return []


class _Torch:
    source, always_on = "torch.profiler", False

    def __init__(self) -> None:
        """Warm up: the first start is slow."""
        import torch

        self._torch: Any = torch
        activities = [torch.profiler.ProfilerActivity.CPU]
        if self._torch.cuda.is_available() and self._torch.cuda.is_initialized():
            activities.append(torch.profiler.ProfilerActivity.CUDA)
        self._activities = activities
        with torch.profiler.profile(activities=activities):
            torch.zeros(1)

    def start(self) -> None:
        self._profile = self._torch.profiler.profile(activities=self._activities)
        self._profile.start()

    def after_call(self) -> None:
        pass

    def stop(self, trace: Path) -> list[Operator]:
        self._profile.stop()
        self._profile.export_chrome_trace(str(trace))
        found = []
        for event in self._profile.key_averages():
            on_device = event.device_type.name == "CUDA"
            self_us = event.self_device_time_total if on_device else event.self_cpu_time_total
            found.append(Operator(event.key, "cuda" if on_device else "cpu", event.count, float(self_us)))
        return found


class _OnnxRuntime:
    """Its profile begins with the session and ends once: calls before `start` are cut off by their time."""

    source, always_on = "ONNX Runtime's profiler", True

    def __init__(self, session: Any) -> None:
        self._session = session
        self._calls = 0

    def start(self) -> None:
        self._calls = 0

    def after_call(self) -> None:
        self._calls += 1

    def stop(self, trace: Path) -> list[Operator]:
        path = Path(self._session.end_profiling())
        events = json.loads(path.read_text(encoding="utf-8"))
        path.unlink()
        runs = sorted(e["ts"] for e in events if e.get("name") == "model_run")
        begun = runs[-self._calls]
        sampled = [event for event in events if event.get("ts", 0) >= begun]
        trace.write_text(json.dumps({"traceEvents": sampled}), encoding="utf-8")
        nodes = (e for e in sampled if e.get("cat") == "Node" and e["name"].endswith("_kernel_time"))
        named = ((e["args"].get("op_name", e["name"]), e["args"].get("provider", ""), float(e["dur"])) for e in nodes)
        return _summed((name, _device(provider), 1, us) for name, provider, us in named)


def _device(provider: str) -> str:
    return "cuda" if provider.startswith("CUDA") else "cpu"


class _OpenVino:
    """Its counters are means over all calls since the model was compiled, so what opening the stage cost is taken off.

    Calls before `start` stay in: the mean of a few sampled calls would be lost in the rounding to microseconds.
    """

    source, always_on = "OpenVINO's counters since the start", True

    def __init__(self, runtime: Any) -> None:
        """Right after `open`, which has called it once with each size of batch."""
        self._request, self._opening = runtime.request, len(runtime.inputs)
        self._first_us = self._means_us()
        self._calls = self._sampled = 0

    def _means_us(self) -> dict[str, float]:
        executed = (node for node in self._request.profiling_info if node.status.name == "EXECUTED")
        return {node.node_name: node.real_time.total_seconds() * 1e6 for node in executed}

    def start(self) -> None:
        self._sampled = 0

    def after_call(self) -> None:
        self._calls += 1
        self._sampled += 1

    def stop(self, trace: Path) -> list[Operator]:
        means_us, kinds = (
            self._means_us(),
            {n.node_name: (n.node_type, n.exec_type) for n in self._request.profiling_info},
        )
        found = []
        for name, mean_us in means_us.items():
            total_us = mean_us * (self._opening + self._calls) - self._first_us.get(name, 0.0) * self._opening
            node_type, exec_type = kinds[name]
            a_call_us = max(total_us, 0.0) / self._calls
            found.append((f"{node_type} ({exec_type})", "cpu", self._sampled, a_call_us * self._sampled))
        return _summed(found)


def _summed(executions: Iterable[tuple[str, str, int, float]]) -> list[Operator]:
    counts: dict[tuple[str, str], int] = defaultdict(int)
    times: dict[tuple[str, str], float] = defaultdict(float)
    for name, device, count, self_us in executions:
        counts[name, device] += count
        times[name, device] += self_us
    return [Operator(name, device, counts[name, device], times[name, device]) for name, device in counts]
