"""The channels of `events`, in its tables: sending, hops, handing over, slots that are given back, and plain queues."""

from __future__ import annotations

import numpy as np

from harness.records import REQUEST_FIELDS, STAGE_FIELDS, Ints, Outcome
from harness.twin.jit import jit

DUE, OUTCOME = REQUEST_FIELDS.index("due"), REQUEST_FIELDS.index("outcome")
OFFERED, ACCEPTED, TAKEN, STARTED, DONE, WORKER, BATCH = range(len(STAGE_FIELDS))
FIRST, GROUP = len(REQUEST_FIELDS), len(STAGE_FIELDS)
COMPLETED, DROPPED = int(Outcome.COMPLETED), int(Outcome.DROPPED)
NEVER = np.iinfo(np.int64).max

WHEN, WHOSE = range(2)
# Columns of `stations`. ARRIVAL: the step at which what is on the way arrives.
FREE, BATCH_MAX, TIMEOUT, HOP, TURNAROUND, ARRIVAL, COLUMN, SIZES, SHARES = range(9)
# Columns of `processes`: of a worker (END, LIMIT: its steps for the ends of service and for the timeout of a batch) ...
WAITS_FOR, STAGE, NUMBER, END, LIMIT, HANDED, SIZE, HANDED_ON, HELD = range(9)
# ... and of the producer.
ROW, CONCURRENCY, STOP, SHED = range(1, 5)
# What a worker waits for: a request to begin with, more for its batch, a slot, the end of service, of its turnaround.
IDLE, COLLECTING, BLOCKED, SERVING, TURNING = range(5)
# What the producer waits for: the due time, a slot, the end of a request.
TO_BE_DUE, A_SLOT, AN_END = range(3)
# Kinds of queues of each stage. After them that of the woken processes, and the ends of a closed load's requests.
READY, ON_THE_WAY, FOR_SLOT, FOR_REQUEST = range(4)
KINDS = 4
HEAD, TAIL, ITEMS = range(3)


@jit
def send(
    steps: Ints, stations: Ints, processes: Ints, queues: Ints, rows: Ints, stage: int, row: int, now: int
) -> None:
    """Put a request on its way; without a hop it is there at once."""
    hop = stations[stage, HOP]
    if hop == 0:
        arrive(processes, queues, stage, row)
        return
    queue = KINDS * stage + ON_THE_WAY
    rows[row, FIRST + GROUP * stage + TAKEN] = now + hop  # stands there until it is taken
    if not waiting(queues, queue):
        steps[WHEN, stations[stage, ARRIVAL]] = now + hop
    push(queues, queue, row)


@jit
def end_of_hop(steps: Ints, processes: Ints, queues: Ints, rows: Ints, stage: int, step: int) -> None:
    """What was sent first lies ready now."""
    queue = KINDS * stage + ON_THE_WAY
    row = pop(queues, queue)
    if waiting(queues, queue):
        steps[WHEN, step] = rows[first(queues, queue), FIRST + GROUP * stage + TAKEN]
    arrive(processes, queues, stage, row)


@jit
def arrive(processes: Ints, queues: Ints, stage: int, row: int) -> None:
    """Hand a request to the worker that has waited longest for one, or let it lie ready."""
    if waiting(queues, KINDS * stage + FOR_REQUEST):
        worker = pop(queues, KINDS * stage + FOR_REQUEST)
        processes[worker, HANDED] = row
        push(queues, len(queues) - 2, worker)
    else:
        push(queues, KINDS * stage + READY, row)


@jit
def release(stations: Ints, queues: Ints, stage: int) -> None:
    """Give a slot back, to whoever has waited longest for one."""
    if waiting(queues, KINDS * stage + FOR_SLOT):
        push(queues, len(queues) - 2, pop(queues, KINDS * stage + FOR_SLOT))
    else:
        stations[stage, FREE] += 1


@jit
def complete(processes: Ints, queues: Ints, rows: Ints, stages: int, row: int, now: int) -> None:
    """A request has left the pipeline; in a closed load that makes another one due."""
    producer = len(processes) - 1
    rows[row, OUTCOME] = COMPLETED
    if processes[producer, CONCURRENCY] == 0:
        return
    push(queues, KINDS * stages + 1, now)
    if processes[producer, WAITS_FOR] == AN_END:
        processes[producer, WAITS_FOR] = TO_BE_DUE
        push(queues, KINDS * stages, producer)


# ------------------------------------------------------------------ queues


@jit
def push(queues: Ints, queue: int, item: int) -> None:
    """Put an item at the end of a queue."""
    tail = queues[queue, TAIL]
    queues[queue, ITEMS + (tail & (queues.shape[1] - ITEMS - 1))] = item
    queues[queue, TAIL] = tail + 1


@jit
def pop(queues: Ints, queue: int) -> int:
    """Take the first item out of a queue."""
    item = first(queues, queue)
    queues[queue, HEAD] += 1
    return item


@jit
def first(queues: Ints, queue: int) -> int:
    """The first item of a queue."""
    item: int = queues[queue, ITEMS + (queues[queue, HEAD] & (queues.shape[1] - ITEMS - 1))]
    return item


@jit
def waiting(queues: Ints, queue: int) -> bool:
    """Whether a queue holds anything."""
    more: bool = queues[queue, TAIL] > queues[queue, HEAD]
    return more


@jit
def leave(queues: Ints, queue: int, item: int) -> None:
    """Take `item` out of the middle of a queue."""
    mask = queues.shape[1] - ITEMS - 1
    place = queues[queue, HEAD]
    while queues[queue, ITEMS + (place & mask)] != item:
        place += 1
    while place + 1 < queues[queue, TAIL]:
        queues[queue, ITEMS + (place & mask)] = queues[queue, ITEMS + ((place + 1) & mask)]
        place += 1
    queues[queue, TAIL] -= 1
