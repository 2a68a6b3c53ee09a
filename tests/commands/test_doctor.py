"""`harness doctor`: each condition that harms latency is warned of, and the screen and the JSON say so."""

from __future__ import annotations

import copy
import io
import json
import os
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from harness import host, kernels
from harness.commands import doctor as verb
from harness.errors import SaveError
from harness.report.screens import doctor

QUIET: dict[str, Any] = {
    "platform": {
        "system": "Linux",
        "kernel": "6.1.0",
        "machine": "x86_64",
        "virtualised": False,
        "hypervisor": None,
    },
    "cpu": {
        "model": "AMD EPYC 9354P",
        "logical_cores": 16,
        "physical_cores": 16,
        "affinity": list(range(16)),
        "usable_cores": 16.0,
        "usable_physical_cores": 16,
        "simd": {"avx2": True, "avx512": True, "vnni": False, "bf16": False, "neon": False},
        "governor": "performance",
        "mhz": {"current": 3250.0, "min": 1500.0, "max": 3250.0},
        "turbo": False,
        "smt": False,
        "numa_nodes": 1,
    },
    "cgroup": {"version": 2, "cpu_quota_cores": None, "memory_limit_mb": None},
    "memory": {
        "total_mb": 64_000.0,
        "available_mb": 60_000.0,
        "swap_total_mb": 8_000.0,
        "swap_used_mb": 0.0,
        "dev_shm_mb": 32_000.0,
        "transparent_huge_pages": "madvise",
    },
    "pipes": {"max_size_bytes": 1_048_576, "user_pages_soft": 16_384},
    "memfd": True,
    "clocks": {"source": "tsc", "resolution_ns": {"monotonic": 1.0}, "read_cost_ns": 40.0},
    "gpus": [],
    "load_average": [0.1, 0.2, 0.3],
    "python": {
        "implementation": "CPython",
        "version": "3.11.7",
        "compiler": "GCC 12.2.0",
        "debug_build": False,
        "developer_mode": False,
        "traced": False,
        "tracemalloc": False,
    },
    "libraries": {"torch": "2.13.0+cpu", "onnxruntime": None},
    "git": {"commit": "0123456789abcdef", "dirty": True},
    "environment": {},
}
IDLE = host.Interval(
    seconds=1.0,
    user=0.01,
    system=0.01,
    idle=0.98,
    steal=0.0,
    major_faults=0,
    pages_swapped_in=0,
    pages_swapped_out=0,
    context_switches=100,
    throttled_s=0.0,
)


def changed(**settings: Any) -> dict[str, Any]:
    """The quiet host with some values replaced: cpu__turbo=True."""
    found = copy.deepcopy(QUIET)
    for name, value in settings.items():
        *path, last = name.split("__")
        inner = found
        for key in path:
            inner = inner[key]
        inner[last] = value
    return found


def harmful(description: dict[str, Any], **arguments: Any) -> dict[str, str]:
    """The names and messages of the warnings, advice checked for presence."""
    verdicts = [verdict for verdict in host.warnings(description, **arguments) if verdict.level == "warning"]
    assert all(verdict.advice for verdict in verdicts)
    return {verdict.name: verdict.message for verdict in verdicts}


def test_a_quiet_host_has_no_warning():
    assert harmful(QUIET) == {}
    assert harmful(QUIET, processes=6, threads=2, interval=IDLE) == {}


def test_a_verdict_of_ok_gives_no_advice():
    verdicts = host.warnings(QUIET, processes=4, interval=IDLE)
    assert len(verdicts) >= 15
    assert all(verdict.message and not verdict.advice for verdict in verdicts)


@pytest.mark.parametrize(
    ("settings", "name", "figure"),
    [
        ({"cpu__usable_cores": 2.0}, "cores", "2 of 16 cores"),
        ({"cgroup__cpu_quota_cores": 1.5}, "cpu quota", "1.5 cores of CPU time on 16 CPUs"),
        ({"cpu__governor": "powersave"}, "governor", "powersave"),
        ({"cpu__turbo": True}, "turbo", "on"),
        ({"cpu__smt": True, "cpu__physical_cores": 8}, "smt", "16 logical CPUs are 8 cores"),
        ({"platform__virtualised": True, "platform__hypervisor": "KVM"}, "virtual machine", "(KVM)"),
        ({"cpu__numa_nodes": 2}, "numa", "2 NUMA nodes"),
        ({"memory__available_mb": 900.0}, "memory", "900.0 MB"),
        ({"cgroup__memory_limit_mb": 512.0}, "memory", "allows 512.0 MB"),
        ({"memory__swap_used_mb": 350.0}, "swap", "350.0 MB"),
        ({"memory__transparent_huge_pages": "always"}, "huge pages", "always"),
        ({"memory__dev_shm_mb": 67.1}, "/dev/shm", "67.1 MB; this tool does not use it"),
        ({"memfd": False}, "memfd", "No memfd"),
        ({"pipes__max_size_bytes": 4096}, "pipes", "4 kB"),
        ({"pipes__user_pages_soft": 64}, "pipes", "64 pages"),
        ({"clocks__source": "hpet"}, "clock", "hpet"),
        ({"clocks__read_cost_ns": 1500.0}, "clock", "1,500 ns"),
        ({"environment": {"OMP_NUM_THREADS": "8"}}, "thread variables", "OMP_NUM_THREADS=8"),
        ({"python__debug_build": True}, "debugging aids", "debug build"),
        ({"python__developer_mode": True}, "debugging aids", "developer mode"),
        ({"python__traced": True}, "debugging aids", "trace function"),
        ({"python__tracemalloc": True}, "debugging aids", "tracemalloc"),
        ({"environment": {"PYTHONMALLOC": "debug"}}, "debugging aids", "PYTHONMALLOC=debug"),
        ({"environment": {"NUMBA_DISABLE_JIT": "1"}}, "debugging aids", "NUMBA_DISABLE_JIT=1"),
        ({"load_average": [7.5, 1.0, 1.0]}, "other work", "7.50 on 16 cores"),
    ],
)
def test_each_condition_is_warned_of_alone_and_with_its_figure(settings, name, figure):
    found = harmful(changed(**settings))
    assert list(found) == [name]
    assert figure in found[name]


@pytest.mark.parametrize(
    ("change", "name", "figure"),
    [
        ({"user": 0.25, "system": 0.05, "idle": 0.70}, "other work", "30%"),
        ({"steal": 0.04, "idle": 0.94}, "steal", "4.0%"),
        ({"throttled_s": 0.125}, "throttling", "125 ms"),
        ({"pages_swapped_in": 120_000}, "swapping", "120,000 pages"),
        ({"pages_swapped_out": 1}, "swapping", "1 page "),
    ],
)
def test_what_happens_while_it_watches_is_warned_of(change, name, figure):
    found = harmful(QUIET, interval=host.Interval(**{**vars(IDLE), **change}))
    assert list(found) == [name]
    assert figure in found[name]


def test_a_measured_idle_host_overrules_an_old_load_average():
    assert harmful(changed(load_average=[9.0, 9.0, 9.0]), interval=IDLE) == {}


@pytest.mark.parametrize(
    ("processes", "threads", "bad"), [(16, 1, False), (16, None, False), (6, 4, True), (17, 1, True)]
)
def test_more_threads_than_cores_is_oversubscription(processes, threads, bad):
    found = harmful(QUIET, processes=processes, threads=threads)
    assert ("oversubscription" in found) == bad


def test_a_quota_of_whole_cores_equal_to_the_affinity_does_not_throttle():
    assert harmful(changed(cgroup__cpu_quota_cores=16.0)) == {}


def test_what_cannot_be_read_is_not_called_ok():
    names = {verdict.name for verdict in host.warnings(changed(cpu__governor=None, cpu__turbo=None, cpu__smt=None))}
    assert not names & {"governor", "turbo", "smt"}


# The screen


def screen(description: dict[str, Any], width: int = 80, encoding: str = "utf-8", **arguments: Any) -> str:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=out, width=width, highlight=False, no_color=True)
    verdicts = host.warnings(description, interval=arguments.get("interval"))
    backends = arguments.pop("backends", {"numba": None, "native": "no C compiler was found"})
    doctor.show(console, description, verdicts, backends, **arguments)
    out.flush()
    return out.buffer.getvalue().decode(encoding)


def test_the_screen_fits_80_columns_and_marks_without_colour():
    shown = screen(changed(cpu__turbo=True), interval=IDLE)
    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown
    assert "For latency: 1 warning\n" in "\n".join(map(str.rstrip, shown.splitlines())) + "\n"
    assert any(line.startswith("! ") and "Turbo is on" in line for line in shown.splitlines())
    assert any(line.startswith("! ") and "no C compiler was found" in line for line in shown.splitlines())
    assert any(line.startswith("✓ ") and "usable" in line for line in shown.splitlines())


def test_an_ascii_terminal_gets_ascii():
    assert screen(changed(cpu__turbo=True), interval=IDLE, encoding="ascii").isascii()


def test_a_host_of_which_nothing_is_known_can_be_shown(tmp_path):
    assert "not readable here" in screen(host.describe(tmp_path), interval=None)


# The command


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr(kernels, "backends", lambda: {"numba": None, "native": "no compiler"})
    return lambda *arguments: CliRunner().invoke(verb.command, arguments, catch_exceptions=False)


def test_json_to_standard_output_is_json_and_nothing_else(run):
    result = run("--json", "-", "--sample", "0.1")
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert found["schema_version"] == 1
    assert found["description"]["cpu"]["logical_cores"] == os.cpu_count()
    assert {"name", "level", "message", "advice"} == set(found["warnings"][0])
    assert found["backends"] == {"numba": None, "native": "no compiler"}
    assert found["sample"]["seconds"] >= 0.1


def test_json_to_a_file_leaves_the_screen(run, tmp_path):
    result = run("--json", str(tmp_path / "host.json"), "--sample", "0")
    assert json.loads((tmp_path / "host.json").read_text())["sample"] is None
    assert "Machine" in result.stdout
    assert "{" not in result.stdout


def test_a_file_that_cannot_be_written_is_a_clear_error(run, tmp_path):
    with pytest.raises(SaveError, match="No such file or directory"):
        run("--json", str(tmp_path / "absent" / "host.json"), "--sample", "0")


def test_watching_longer_is_announced_beside_the_output(run, monkeypatch):
    monkeypatch.setattr(host, "sample", lambda seconds: IDLE)
    result = run("--json", "-", "--sample", "10")
    assert "Watching the host for 10 s" in result.stderr
    json.loads(result.stdout)


def test_a_negative_length_is_refused(run):
    assert run("--sample", "-1").exit_code == 2


def test_the_help_begins_with_a_sentence_and_an_example(run):
    lines = [line.strip() for line in run("--help").stdout.splitlines() if line.strip()]
    assert lines[1].endswith("unsteady.")
    assert lines[2:4] == ["Example:", "harness doctor"]
