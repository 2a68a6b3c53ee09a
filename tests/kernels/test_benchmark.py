"""The benchmark's figures and verdicts, on images small enough to be quick."""

import json
import time

import numpy as np
import pytest
from harness.kernels import Recipe, benchmark
from harness.kernels.bench.peers import usable_peers
from harness.kernels.bench.sources import photograph, read_once
from harness.kernels.bench.timing import interleave
from harness.kernels.benchmark import main

from . import oracle


def test_every_contender_is_called_as_often_and_the_slow_one_looks_slow():
    calls = {"slow": 0, "fast": 0}

    def contender(name, seconds):
        def call():
            calls[name] += 1
            time.sleep(seconds)

        return call

    timings = interleave({"slow": contender("slow", 0.004), "fast": contender("fast", 0.0)}, 0.0, min_rounds=9)
    assert calls == {"slow": 10, "fast": 10}
    assert timings["slow"].rounds == 9
    assert timings["slow"].p05_ms >= 4.0 > timings["fast"].median_ms


def test_results_hold_ratios_and_versions(tmp_path, capsys):
    path = tmp_path / "result.json"
    assert main(["--sizes", "64x48", "--seconds", "0.05", "--quick", "--json", str(path)]) == 0
    result = json.loads(path.read_text())
    rows = result["sizes"]["64x48"]
    assert {"numba", "torchvision", "torchvision-pil", "pillow", "reading the source once"} <= set(rows)
    assert rows["torchvision"]["ratio_to_torchvision"] == 1.0
    expected = rows["torchvision"]["median_ms"] / rows["numba"]["median_ms"]
    assert rows["numba"]["ratio_to_torchvision"] == pytest.approx(expected)
    assert result["effective"]["torchvision"]["threads"] == 1
    assert result["schema_version"] == 1
    assert "numba" in capsys.readouterr().out


def test_a_missed_target_is_an_exit_code(monkeypatch):
    monkeypatch.setattr("harness.kernels.benchmark.TARGETS", {"numba": (1e9,)})
    monkeypatch.setattr("harness.kernels.benchmark.SIZES", ("32x32",))
    arguments = ["--sizes", "32x32", "--seconds", "0", "--quick", "--no-peers"]
    assert main(arguments) == 0
    assert main([*arguments, "--check"]) == 3


def test_a_target_that_cannot_be_measured_is_missed_and_says_why():
    result = {"unavailable": {"native": "no C compiler", "mojo": "not installed"}, "sizes": {}}
    (check,) = benchmark._checks(result)
    assert (check["name"], check["ok"], check["reason"]) == ("native", False, "no C compiler")


def test_whole_and_scaled_decoding_are_both_held_to_the_target():
    pipelines = {benchmark.BASELINE_ENCODED: 1.0, "decode + numba": 2.0, "scaled decode + numba": 5.0}
    encoded = {"pipelines": {name: {"ratio_to_baseline": ratio} for name, ratio in pipelines.items()}}
    checks = benchmark._checks({"unavailable": {}, "sizes": {}, "encoded": encoded})
    verdicts = {check["name"]: check["ok"] for check in checks}
    assert verdicts == {"encoded: decode + numba": False, "encoded: scaled decode + numba": True}
    encoded["pipelines"] = {"decode + numba": {"ratio_to_baseline": None}}
    (check,) = benchmark._checks({"unavailable": {}, "sizes": {}, "encoded": encoded})
    assert not check["ok"] and "torchvision-pil" in check["reason"]


def test_peers_that_are_installed_show_the_same_picture():
    recipe = Recipe()
    image = photograph(300, 400)
    wanted = oracle.preprocess(image, recipe)
    peers, missing = usable_peers(recipe)
    assert "pillow" in peers and not set(peers) & set(missing)
    for name, (_, run) in peers.items():
        out = np.full(recipe.output_shape, np.nan, dtype=np.float32)
        run(image, out)
        assert np.abs(out - wanted).mean() < 0.1, name


def test_reading_reads_everything():
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    assert read_once(image) == 0
    image[-1, -1, -1] = 1
    assert read_once(image) == 1 << 56
