"""What the CPUs did during a run, from periodic readings of the kernel's counters."""

from __future__ import annotations

from harness import clock
from harness.host import files, limits
from harness.host.counters import CPU_SHARES, cpu_shares, cpu_ticks
from harness.host.files import ROOT


class Timeline:
    """Readings of CPU time, one for each call of `note`."""

    def __init__(self) -> None:
        self._cpus = limits.affinity()
        self._readings: list[tuple[int, tuple[int, ...]]] = []

    def note(self) -> None:
        """Read the counters; costs some 0.1 ms."""
        ticks = cpu_ticks(files.text(ROOT, "proc/stat") or "", self._cpus)
        if ticks is not None:
            self._readings.append((clock.now_ns(), ticks))

    def shares(self) -> dict[str, list[float]]:
        """Shares of CPU time between each reading and the one before: at_ns (monotonic, its end), user, ..., steal."""
        found: dict[str, list[float]] = {"at_ns": [], **{name: [] for name in CPU_SHARES}}
        for (_, earlier), (at, later) in zip(self._readings, self._readings[1:], strict=False):
            shares = cpu_shares(earlier, later)
            if shares:
                found["at_ns"].append(at)
                for name, share in shares.items():
                    found[name].append(round(share, 4))
        return found
