"""A Stage around another one: some calls as they are, as many with a profiler, as many for the flame view.

It writes each result as soon as it is complete: a Sample as JSON into the folder of its Sampling, with a trace and a
flame view beside it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from numpy.typing import NDArray

from harness import files
from harness.clock import now_ns
from harness.stages.base import BatchingStage, Opened, Sampling, Stage
from harness.stages.profiling.operators import Operator, profiler_for


@dataclass
class Sample:
    """What one worker sampled. plain_ns, profiled_ns: how long each call took. items: requests in the profiled calls.

    plain_ns is empty where the runtime's profiler cannot be off.
    """

    source: str
    plain_ns: list[int] = field(default_factory=list)
    profiled_ns: list[int] = field(default_factory=list)
    items: int = 0
    operators: list[Operator] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> Sample:
        """What a worker has written."""
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**found, "operators": [Operator(**operator) for operator in found["operators"]]})


class ProfiledStage:
    """Counts its calls from the first one whose row is at least `sampling.from_row`."""

    part_ns: Sequence[int] = ()

    def __init__(self, stage: Stage, sampling: Sampling) -> None:
        self._stage = stage
        self._sampling = sampling
        self._flame: Any = None
        self._calls = 0
        self._begun = False

    def open(self) -> Opened:
        opened = self._stage.open()
        self._profiler = profiler_for(self._stage)
        self._sample = Sample(self._profiler.source)
        own = Path(self._sampling.folder, f"{os.getpid()}-{threading.get_ident()}")
        self._file, self._trace, self._html = (own.with_suffix(suffix) for suffix in (".json", ".trace", ".html"))
        return opened

    def process(self, item: Any, out: NDArray[Any], row: int) -> int:
        begun = self._before(row)
        answer = self._stage.process(item, out, row)
        self.part_ns = self._stage.part_ns
        self._after(begun, 1)
        return answer

    def process_batch(self, items: Sequence[Any], rows: Sequence[int]) -> Sequence[NDArray[Any]]:
        begun = self._before(rows[0])
        results = cast(BatchingStage, self._stage).process_batch(items, rows)
        self._after(begun, len(items))
        return results

    def _before(self, row: int) -> int:
        self._begun = self._begun or row >= self._sampling.from_row
        if self._begun and self._calls == self._sampling.calls:
            self._profiler.start()
        if self._begun and self._calls == 2 * self._sampling.calls and self._sampling.flame:
            self._start_flame()
        return now_ns()

    def _after(self, begun: int, items: int) -> None:
        took = now_ns() - begun
        if not self._sample.operators:
            self._profiler.after_call()
        calls = self._sampling.calls
        if not self._begun:
            return
        if self._calls < calls:
            if not self._profiler.always_on:
                self._sample.plain_ns.append(took)
        elif self._calls < 2 * calls:
            self._sample.profiled_ns.append(took)
            self._sample.items += items
        self._calls += 1
        if self._calls == 2 * calls:
            self._write_operators()
        elif self._calls == 3 * calls and self._flame is not None:
            self._write_flame()

    def _write_operators(self) -> None:
        self._sample.operators = self._profiler.stop(self._trace)
        files.replace(self._file, json.dumps(asdict(self._sample)))

    def _start_flame(self) -> None:
        from pyinstrument import Profiler

        self._flame = Profiler(interval=0.0005, async_mode="disabled")
        self._flame.start()

    def _write_flame(self) -> None:
        self._flame.stop()
        self._html.write_text(self._flame.output_html(), encoding="utf-8")
        self._flame = None

    def close(self) -> None:
        """Writes what was sampled so far, also when there were fewer calls than asked for."""
        if self._sample.profiled_ns and not self._file.exists():
            self._write_operators()
        if self._flame is not None:
            self._write_flame()
        self._stage.close()
