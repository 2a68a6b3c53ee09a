"""The requests of a run as an Arrow table: one row each, with latencies, the budget's components, and their units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.records import ENDED, Outcome, Phase, RunRecords
from harness.stats.budget import PRODUCER, RESIDUAL, STAGE_COMPONENTS, budget

if TYPE_CHECKING:
    import pyarrow

PHASES = {Phase.MEASURED: "measured", Phase.WARMUP: "warmup", Phase.SATURATION: "calibration"}
_OUTCOMES = {Outcome.PENDING: "pending", **ENDED}
_COMPONENTS = {
    "blocked": "waited for a free slot in front of {}",
    "queue_wait": "lay ready in front of {} and waited for a worker",
    "batch_wait": "was held by a worker of {} while a batch filled",
    "service": "service in {}",
}


def request_table(records: RunRecords) -> pyarrow.Table:
    """One row a request, in the order of issue. Each field's metadata has its `unit` and its `meaning`.

    records: every issued request of a run, because each may have held up the producer. The components add up to
    e2e_ms, in whole ns. What never happened, or is not known, is null.
    """
    import pyarrow as pa

    outcome, phase = records.outcome, records.column("phase")
    done = outcome == Outcome.COMPLETED
    split = budget(records, chosen=done)
    measured = records.due[phase == Phase.MEASURED]
    start = int(measured[0]) if len(measured) else int(records.due[0]) if len(records) else 0

    columns: dict[str, tuple[Any, str, str]] = {}

    def add(name: str, values: Any, unit: str, meaning: str) -> None:
        columns[name] = (values, unit, meaning)

    def seconds(times: NDArray[np.int64], happened: NDArray[np.bool_]) -> Any:
        return pa.array((times - start) / 1e9, mask=~happened)

    def milliseconds(values: NDArray[np.int64]) -> Any:
        """Of completed requests, shape (completed,); null for the others."""
        every = np.zeros(len(records))
        every[done] = values / 1e6
        return pa.array(every, mask=~done)

    add("request", pa.array(np.arange(len(records))), "", "its number: 0, 1, ... in the order of issue, in all phases")
    add("phase", _words(phase, PHASES), "", "what it ran for; figures of a run are those of measured requests")
    add("outcome", _words(outcome, _OUTCOMES), "", "how it ended")
    add("due_s", seconds(records.due, records.due > 0), "s", "when it was due, from when the first measured one was")
    add("issued_s", seconds(records.issued, records.issued > 0), "s", "when the producer offered it, from then")
    add("completed_s", seconds(records.completed, done), "s", "when its last stage was done with it, from then")
    add("e2e_ms", milliseconds(split.e2e), "ms", "end-to-end latency: completed - due")
    response = (records.completed - records.issued)[done]
    add("response_ms", milliseconds(response), "ms", "response time: completed - issued")
    add("producer_ms", milliseconds(split.components[PRODUCER]), "ms", "lateness that the producer itself caused")
    for stage in records.layout.names:
        for part in STAGE_COMPONENTS:
            values = split.components[f"{stage}.{part}"]
            add(f"{stage}.{part}_ms", milliseconds(values), "ms", _COMPONENTS[part].format(stage))
    add("residual_ms", milliseconds(split.components[RESIDUAL]), "ms", "between stamps: the tool's own hand-over")
    add("image", pa.array(records.column("image")), "", "which image of the source it got")
    answer = pa.array(records.column("answer"), mask=~done)
    add("label", answer, "", "the class that the last stage gave it; 0 where no stage gives one")
    add("failure", pa.array(_reasons(records), pa.string()), "", "why it failed")

    fields = [
        pa.field(name, values.type, metadata={"unit": unit, "meaning": meaning})
        for name, (values, unit, meaning) in columns.items()
    ]
    return pa.table([values for values, _, _ in columns.values()], schema=pa.schema(fields))


def _words(codes: NDArray[np.int64], words: dict[int, str]) -> Any:
    import pyarrow as pa

    names = [words[code] for code in range(len(words))]
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int8)), pa.array(names))


def _reasons(records: RunRecords) -> list[str | None]:
    reasons: list[str | None] = [None] * len(records)
    for row, why in records.failures.items():
        reasons[row] = why
    return reasons
