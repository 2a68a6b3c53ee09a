"""Measure every backend and every installed peer: python -m harness.kernels.benchmark --help."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .bench.encoded import BASELINE as BASELINE_ENCODED
from .bench.encoded import encoded_pipelines
from .bench.peers import Peer, Run, usable_peers
from .bench.scaling import two_thread_scaling
from .bench.sources import photograph, read_once
from .bench.timing import Timing, interleave
from .contract import Backend, BackendUnavailable, Recipe
from .registry import backends as backend_names
from .registry import load

SCHEMA_VERSION = 1
BASELINE = "torchvision"
READING = "reading the source once"
SIZES = ("500x375", "1280x720", "1920x1080", "4000x3000")
TARGETS = {"numba": (2.5, 2.5, 2.5, 1.5), "native": (7.0, 5.0, 4.0, 3.0)}
TARGET_SCALING, TARGET_ENCODED, TARGET_CACHED_S = 1.8, 4.0, 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns 0, or 3 when --check is given and a target was missed."""
    options = _parser().parse_args(arguments)
    recipe = Recipe()
    backends, missing = _load_backends(recipe)
    peers, missing_peers = ({}, {}) if options.no_peers else usable_peers(recipe)
    _one_thread_each(backends)
    machine = _machine()
    if machine["load_before"] and machine["load_before"] > 0.5:
        print(
            f"the machine is not idle (load {machine['load_before']:.1f}): ratios suffer, two threads most",
            file=sys.stderr,
        )
    result: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "command": "python -m harness.kernels.benchmark "
        + " ".join(arguments if arguments is not None else sys.argv[1:]),
        "machine": machine,
        "effective": {name: backend.effective for name, backend in backends.items()},
        "peers": {name: {"version": peer.version, "note": peer.note} for name, (peer, _) in peers.items()},
        "unavailable": {**missing, **missing_peers},
        "sizes": {},
    }
    for size in options.sizes:
        result["sizes"][size] = _measure_size(size, recipe, backends, peers, options.seconds)
        _print_size(size, result["sizes"][size], result["peers"])
    if not options.quick:
        result["encoded"] = encoded_pipelines(photograph(1080, 1920), recipe, backends, options.seconds)
        result["two_threads"] = _scaling(backends, options.seconds)
        result["first_call_s"] = {name: _first_call(name) for name in ("numba", "native") if name in backends}
        _print_rest(result)
    checks = _checks(result)
    for check in checks:
        print(
            f"{'ok    ' if check['ok'] else 'MISSED'} {check['name']}: "
            + (check["reason"] if check["value"] is None else f"{check['value']:.2f}, wanted {check['wanted']}")
        )
    result["checks"] = checks
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    if options.plot is not None:
        from .bench.plot import plot

        plot(result, options.plot)
    return 3 if options.check and not all(check["ok"] for check in checks) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m harness.kernels.benchmark", description=__doc__)
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="WIDTHxHEIGHT")
    parser.add_argument("--seconds", type=float, default=10.0, help="per measurement (default 10)")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--plot", type=Path, help="draw them into this file (.png, .svg); needs matplotlib")
    parser.add_argument("--no-peers", action="store_true", help="only the project's own backends")
    parser.add_argument("--quick", action="store_true", help="leave out encoded input, threads and first calls")
    parser.add_argument("--check", action="store_true", help="exit with 3 when a target is missed")
    return parser


def _load_backends(recipe: Recipe) -> tuple[dict[str, Backend], dict[str, str]]:
    backends: dict[str, Backend] = {}
    missing: dict[str, str] = {}
    for name in backend_names():
        try:
            backends[name] = load(name, recipe)
            backends[name].warm_up()
        except BackendUnavailable as error:
            missing[name] = error.reason
    return backends, missing


def _one_thread_each(backends: dict[str, Backend]) -> None:
    if BASELINE in backends:
        import torch

        torch.set_num_threads(1)


def _machine() -> dict[str, Any]:
    cpu = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def _measure_size(
    size: str, recipe: Recipe, backends: dict[str, Backend], peers: dict[str, tuple[Peer, Run]], seconds: float
) -> dict[str, Any]:
    width, height = (int(length) for length in size.split("x"))
    image = photograph(height, width)
    out = np.empty(recipe.output_shape, dtype=np.float32)
    calls: dict[str, Callable[[], object]] = {}
    for name, backend in backends.items():
        calls[name] = partial(backend.plan(height, width, 3).run, image, out)
    for name, (_, run) in peers.items():
        calls[name] = partial(run, image, out)
    calls[READING] = partial(read_once, image)
    timings = interleave(calls, seconds)
    return {name: _with_ratios(timing, timings) for name, timing in timings.items()}


def _with_ratios(timing: Timing, timings: dict[str, Timing]) -> dict[str, Any]:
    baseline = timings.get(BASELINE)
    return {
        **asdict(timing),
        "ratio_to_torchvision": baseline.median_ms / timing.median_ms if baseline else None,
        "ratio_to_reading": timing.median_ms / timings[READING].median_ms,
    }


def _scaling(backends: dict[str, Backend], seconds: float) -> dict[str, float]:
    image = photograph(1080, 1920)
    names = [name for name in ("numba", "native") if name in backends]
    return {name: two_thread_scaling(backends[name], image, seconds) for name in names}


def _first_call(name: str) -> dict[str, float]:
    """Seconds by part of `warm_up` in a new process, with whatever caches there are, and of the import before it."""
    code = (
        "import json, time; began = time.perf_counter();"
        "from harness.kernels import Recipe, load; imported = time.perf_counter() - began;"
        f"print(json.dumps({{'import': imported, **load({name!r}, Recipe()).warm_up()}}))"
    )
    for _ in range(2):
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        whole = time.perf_counter() - began
    parts: dict[str, float] = json.loads(done.stdout)
    return {**parts, "total": sum(parts.values()), "whole_process": whole}


def _checks(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Every target with what was measured; one that could not be measured is missed, with the reason."""
    checks: list[tuple[str, float, float, bool]] = []
    unavailable = result["unavailable"]
    missing = [(name, unavailable[name]) for name in (*TARGETS, BASELINE) if name in unavailable]
    for name, targets in TARGETS.items():
        for size, target in zip(SIZES, targets, strict=True):
            ratio = result["sizes"].get(size, {}).get(name, {}).get("ratio_to_torchvision")
            if ratio is not None:
                checks.append((f"{name} at {size}, times torchvision", ratio, target, ratio >= target))
    for name, value in result.get("encoded", {}).get("pipelines", {}).items():
        ratio = value["ratio_to_baseline"]
        if ratio is None:
            missing.append((f"encoded: {name}", "there is no baseline, torchvision-pil, to compare it with"))
        elif name != BASELINE_ENCODED:
            checks.append((f"encoded: {name}", ratio, TARGET_ENCODED, ratio >= TARGET_ENCODED))
    for name, ratio in result.get("two_threads", {}).items():
        checks.append((f"{name}: two threads over one", ratio, TARGET_SCALING, ratio >= TARGET_SCALING))
    for name, parts in result.get("first_call_s", {}).items():
        total = parts["total"]
        checks.append((f"{name}: first call from the cache, seconds", total, TARGET_CACHED_S, total <= TARGET_CACHED_S))
    return [
        *({"name": name, "value": value, "wanted": wanted, "ok": ok} for name, value, wanted, ok in checks),
        *({"name": name, "value": None, "wanted": None, "ok": False, "reason": reason} for name, reason in missing),
    ]


def _print_size(size: str, rows: dict[str, Any], peers: dict[str, Any]) -> None:
    print(f"\n{size:26}{'median ms':>10}{'5%':>9}{'95%':>9}{'x torchvision':>15}{'/ reading':>11}")
    for name, row in rows.items():
        ratio = "" if row["ratio_to_torchvision"] is None else f"{row['ratio_to_torchvision']:.2f}"
        times = f"{row['median_ms']:10.3f}{row['p05_ms']:9.3f}{row['p95_ms']:9.3f}"
        print(f"{name:26}{times}{ratio:>15}{row['ratio_to_reading']:11.1f}  {peers.get(name, {}).get('note', '')}")


def _print_rest(result: dict[str, Any]) -> None:
    encoded = result["encoded"]
    print(f"\n{encoded['image']}")
    for name, row in encoded["pipelines"].items():
        ratio = row["ratio_to_baseline"]
        print(f"{name:34}{row['median_ms']:10.3f} ms{'' if ratio is None else f'{ratio:10.2f} x baseline'}")
    print("scaled decoding changes the output by", encoded["scaled_decode_difference"])
    for name, parts in result["first_call_s"].items():
        print(f"{name} start-up, s:", {part: round(value, 3) for part, value in parts.items()})
    print()


if __name__ == "__main__":
    sys.exit(main())
