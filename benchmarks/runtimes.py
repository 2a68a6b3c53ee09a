"""The runtimes against torch eager: batch 1, one thread, taking turns, each in a process of its own.

python -m benchmarks.runtimes             resnet18 and mobilenet_v3_small on every CPU runtime; --check: exit code 3
                                          when ONNX Runtime or OpenVINO miss their targets on resnet18
python -m benchmarks.runtimes --scaling   workers x threads: 1x1, 1x2, 2x1, and the threads that each worker reads back

All processes are loaded before the first call is timed. In each round every runtime gets its turn while the others
wait in the kernel, and the order rotates. The weights are random with the batch-norm statistics of real photographs, so
that different images get different answers and int8 meets ranges like those of a trained network.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.images import network_with_statistics, parts_of_photographs
from harness.clock import now_ns
from harness.errors import NOT_MET, HarnessError
from harness.host.cpu import model, simd
from harness.plan import resolve
from harness.scenario import Scenario
from harness.stages import build

MODELS = ("resnet18", "mobilenet_v3_small")
REFERENCE = "torch"
CONTENDERS: dict[str, dict[str, Any]] = {
    "torch": {},
    "torch channels_last": {"channels_last": True},
    "torch bf16": {"precision": "bf16"},
    "torch.compile": {"runtime": "torch.compile"},
    "torchscript": {"runtime": "torchscript"},
    "torch.export": {"runtime": "torch.export"},
    "onnxruntime": {"runtime": "onnxruntime"},
    "openvino": {"runtime": "openvino"},
    "openvino bf16": {"runtime": "openvino", "precision": "bf16"},
    "onnxruntime int8": {"runtime": "onnxruntime", "precision": "int8"},
    "openvino int8": {"runtime": "openvino", "precision": "int8"},
}
TARGETS = {"onnxruntime": 1.2, "openvino": 1.2, "onnxruntime int8": 1.6, "openvino int8": 1.6}
SCALED = ("torch", "onnxruntime", "openvino")
SHAPES = ((1, 1), (1, 2), (2, 1))  # workers, threads
HELD_OUT = 100  # inputs that the answers are compared on
SECONDS = 4.0  # of each shape


@dataclass
class Contender:
    """A process that holds one runtime, and what it said when it was ready."""

    process: Any
    line: Connection
    effective: dict[str, Any]
    startup_s: float

    def ask(self, *request: Any) -> Any:
        """Send a request and wait for what comes back."""
        self.line.send(request)
        return self.line.recv()


def serve(line: Connection, options: dict[str, Any]) -> None:
    """The process: open the stage as a worker does, then do as told."""
    stages = [
        {"kind": "preprocess", "name": "preprocess"},
        {"kind": "inference", "name": "inference", **options},
    ]
    load = {"arrivals": "closed", "requests": 1, "seed": 1}
    plan = resolve(Scenario.model_validate({"name": "runtimes", "load": load, "stages": stages}))
    stage = build(plan.context(plan.stages[1]))
    begun = time.perf_counter()
    try:
        opened = stage.open()
    except HarnessError as error:
        line.send((str(error), None))
        return
    line.send((dict(opened.effective), time.perf_counter() - begun))
    item = parts_of_photographs(1, seed=2)[0]
    out = np.empty(options.get("classes", 1000), np.float32)
    while (request := line.recv()) is not None:
        match request:
            case ("calls", count):
                line.send([_timed(stage, item, out) for _ in range(count)])
            case ("answers", inputs):
                line.send(np.stack([_answer(stage, one, out) for one in inputs]))
            case ("for", seconds):
                cpu, begun = time.process_time(), time.perf_counter()
                times = []
                while time.perf_counter() - begun < seconds:
                    times.append(_timed(stage, item, out))
                wall = time.perf_counter() - begun
                line.send((times, (time.process_time() - cpu) / wall, wall))


def _timed(stage: Any, item: Any, out: Any) -> int:
    begun = now_ns()
    stage.process(item, out, 0)
    return now_ns() - begun


def _answer(stage: Any, item: Any, out: Any) -> Any:
    stage.process(item, out, 0)
    return out.copy()


@contextmanager
def contenders(options: Sequence[dict[str, Any]]) -> Iterator[list[Contender | str]]:
    """Processes with these options, all ready; the reason for one that is refused. They start one after the other."""
    context = multiprocessing.get_context("spawn")
    started: list[Contender | str] = []
    try:
        for one in options:
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs, one), daemon=True)
            process.start()
            theirs.close()
            said, seconds = ours.recv()
            started.append(said if seconds is None else Contender(process, ours, said, seconds))
        yield started
    finally:
        for contender in started:
            if isinstance(contender, Contender):
                contender.line.send(None)
                contender.process.join()


def compare(name: str, folder: Path, rounds: int, calls: int) -> list[str]:
    """Measure one model, print its table, and return the targets that were missed."""
    weights = folder / f"{name}.pt"
    network_with_statistics(name, weights)
    inputs = parts_of_photographs(HELD_OUT, seed=3)
    options = [{"model": name, "weights": str(weights), **one} for one in CONTENDERS.values()]
    print(f"{name}: {len(options)} runtimes load one after the other", file=sys.stderr)
    with contenders(options) as started:
        ready = {label: one for label, one in zip(CONTENDERS, started, strict=True) if isinstance(one, Contender)}
        times: dict[str, list[list[int]]] = {label: [] for label in ready}
        for turn in range(rounds):
            labels = list(ready)
            shift = turn % len(labels)
            for label in labels[shift:] + labels[:shift]:
                times[label].append(ready[label].ask("calls", calls)[1:])  # the first call of a turn meets cold caches
        answers = {label: one.ask("answers", inputs) for label, one in ready.items()}
    return report(name, started, times, answers)


def report(name: str, started: Sequence[Contender | str], times: Any, answers: Any) -> list[str]:
    reference, medians = answers[REFERENCE], {label: np.median(np.array(t), axis=1) for label, t in times.items()}
    kinds = len(np.unique(reference.argmax(1)))
    print(f"\n{name}, batch 1, one thread; {kinds} different answers to {len(reference)} images,", end=" ")
    print(f"logits with a standard deviation of {reference.std():.2f}")
    print(f"{'':20} {'p50 ms':>8} {'p99 ms':>8} {'x torch':>8} {'95 %':>12} {'top-1':>7} {'largest':>8} {'start s':>8}")
    print(f"{'':20} {'':>8} {'':>8} {'':>8} {'':>12} {'agrees':>7} {'differs':>8} {'':>8}")
    missed = []
    for label, one in zip(CONTENDERS, started, strict=True):
        if isinstance(one, str):
            print(f"{label:20} {' '.join(one.split())}")
            continue
        all_ms = np.array(times[label]).ravel() / 1e6
        ratio, low, high = _ratio(medians[REFERENCE], medians[label])
        agrees = float((answers[label].argmax(1) == reference.argmax(1)).mean())
        differs = float(np.abs(answers[label] - reference).max())
        print(
            f"{label:20} {np.median(all_ms):8.2f} {np.quantile(all_ms, 0.99):8.2f} {ratio:8.2f}"
            f" {f'{low:.2f}..{high:.2f}':>12} {agrees:7.1%} {differs:8.2g} {one.startup_s:8.1f}"
        )
        if one.effective["threads"] != 1:
            missed.append(f"{name}: {label} computes with {one.effective['threads']} threads instead of 1")
        if name == MODELS[0] and ratio < TARGETS.get(label, 0.0):
            missed.append(f"{name}: {label} is {ratio:.2f} times torch, the target is {TARGETS[label]}")
    return missed


def _ratio(reference: Any, other: Any) -> tuple[float, float, float]:
    """How many times as fast, and a percentile bootstrap over rounds, both sides of a round drawn together."""
    rng = np.random.default_rng(1)
    drawn = rng.integers(len(other), size=(2000, len(other)))
    ratios = np.median(reference[drawn], axis=1) / np.median(other[drawn], axis=1)
    low, high = np.quantile(ratios, (0.025, 0.975))
    return float(np.median(reference) / np.median(other)), float(low), float(high)


def scaling(folder: Path) -> list[str]:
    """Print throughput and latency of workers x threads; return what was not as requested."""
    weights = folder / f"{MODELS[0]}.pt"
    network_with_statistics(MODELS[0], weights)
    print(f"\n{MODELS[0]}, batch 1, {SECONDS:g} s each; cores: CPU time over wall time of all workers together")
    print(f"{'':14} {'workers x threads':>18} {'read back':>10} {'per second':>11}", end=" ")
    print(f"{'p50 ms':>8} {'p99 ms':>8} {'cores':>6}")
    wrong = []
    for label in SCALED:
        for workers, threads in SHAPES:
            one = {"model": MODELS[0], "weights": str(weights), "threads": threads, **CONTENDERS[label]}
            with contenders([one] * workers) as started:
                ready = [worker for worker in started if isinstance(worker, Contender)]
                if len(ready) < workers:
                    print(f"{label:14} {started[0]}")
                    break
                for worker in ready:
                    worker.line.send(("for", SECONDS))
                results = [worker.line.recv() for worker in ready]
            read_back = [worker.effective["threads"] for worker in ready]
            ms = np.concatenate([times for times, _, _ in results]) / 1e6
            rate = sum(len(times) / wall for times, _, wall in results)
            cores = sum(used for _, used, _ in results)
            print(
                f"{label:14} {f'{workers} x {threads}':>18} {', '.join(map(str, read_back)):>10} {rate:11.1f}"
                f" {np.median(ms):8.2f} {np.quantile(ms, 0.99):8.2f} {cores:6.2f}"
            )
            if read_back != [threads] * workers:
                wrong.append(f"{label} {workers}x{threads}: {read_back} threads instead of {threads}")
            if cores > workers * threads * 1.05:
                wrong.append(f"{label} {workers}x{threads}: keeps {cores:.2f} cores busy")
    return wrong


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scaling", action="store_true", help="workers x threads instead")
    parser.add_argument("--model", choices=MODELS, action="append", help="only this one")
    parser.add_argument("--check", action="store_true", help="exit code 3 when a target is missed")
    parser.add_argument("--rounds", type=int, default=50, help="turns of every runtime")
    parser.add_argument("--calls", type=int, default=6, help="calls of a turn; the first one is not counted")
    arguments = parser.parse_args()
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    levels = [level for level, there in simd(info, "x86_64").items() if there]
    print(f"{model(info)}: {', '.join(levels)}")
    with tempfile.TemporaryDirectory() as folder:
        if arguments.scaling:
            missed = scaling(Path(folder))
        else:
            models = arguments.model or MODELS
            missed = [m for name in models for m in compare(name, Path(folder), arguments.rounds, arguments.calls)]
    print("\n" + ("\n".join(missed) or "every target is met"))
    return NOT_MET if missed and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
