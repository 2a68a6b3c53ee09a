"""The model as a simulation of events, for any pipeline and load: what `model` does, in tables.

No heap: each thing that the clock may do next has a fixed place in `steps`, in the order in which steps at the same
instant come, so that the first smallest time is the next step. A process is a row of `processes` that says what it
waits for. All state is in tables of int64, which the functions hand on to one another:

    steps      (2, steps)      WHEN each comes, and WHOSE it is: a worker's, a stage's, the producer's
    stations   (stages, 9)     what the pipeline is, and the free slots of each channel
    processes  (workers + 1, 8 + batch)  the workers of all stages in a row, with the rows they hold; the producer
    queues     (4 stages + 2, 2 + ring)  first in, first out: head, tail, and a ring of a power of two items
    service    (n, columns)    service times; those of a stage begin at its COLUMN
    rows       (n, width)      the records

All in one file: numba's cache notices changes in the file of the function that is called, and in no other.
"""

from __future__ import annotations

import numpy as np

from harness.records import (
    ACCEPTED,
    BATCH,
    DONE,
    DUE,
    FIRST_STAGE,
    OFFERED,
    OUTCOME,
    PARTS,
    STARTED,
    TAKEN,
    WORKER,
    Ints,
    Outcome,
)
from harness.twin.jit import jit
from harness.twin.pipeline import START_NS

FIRST, GROUP = FIRST_STAGE, PARTS
COMPLETED, DROPPED = Outcome.COMPLETED, Outcome.DROPPED
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
def run(steps: Ints, stations: Ints, processes: Ints, queues: Ints, service: Ints, rows: Ints) -> None:
    """Until nothing is left to happen."""
    workers, stages = len(processes) - 1, len(stations)
    due = workers + stages
    for worker in range(workers):
        _push(queues, KINDS * processes[worker, STAGE] + FOR_REQUEST, worker)
    _produce(steps, stations, processes, queues, rows, 0)
    while True:
        now, step = steps[WHEN, 0], 0
        for i in range(1, steps.shape[1]):
            if steps[WHEN, i] < now:
                now, step = steps[WHEN, i], i
        if now == NEVER:
            return
        steps[WHEN, step] = NEVER
        whose = steps[WHOSE, step]
        if step < workers and processes[whose, WAITS_FOR] == TURNING:
            _turn_to_channel(steps, stations, processes, queues, service, rows, whose, now)
        elif step < workers:
            _end_of_service(steps, stations, processes, queues, service, rows, whose, now)
        elif step < due:
            _end_of_hop(steps, processes, queues, rows, whose, step)
        elif step == due:
            _produce(steps, stations, processes, queues, rows, now)
        else:
            _leave(queues, KINDS * processes[whose, STAGE] + FOR_REQUEST, whose)
            _start(steps, stations, processes, service, rows, whose, now)
        while _waiting(queues, KINDS * stages):
            process = _pop(queues, KINDS * stages)
            if process == workers:
                _produce(steps, stations, processes, queues, rows, now)
            else:
                _wake(steps, stations, processes, queues, service, rows, process, now)


@jit
def _produce(steps: Ints, stations: Ints, processes: Ints, queues: Ints, rows: Ints, now: int) -> None:
    """Offer requests until one is not due, finds no slot, or has to wait for the end of another."""
    producer, ends = len(processes) - 1, KINDS * len(stations) + 1
    row, concurrency = processes[producer, ROW], processes[producer, CONCURRENCY]
    if processes[producer, WAITS_FOR] == A_SLOT:
        rows[row, FIRST + ACCEPTED] = now
        _send(steps, stations, processes, queues, rows, 0, row, now)
        row += 1
    processes[producer, WAITS_FOR] = TO_BE_DUE
    while row < len(rows):
        due = rows[row, DUE]
        if concurrency > 0 and due == 0:
            if row < concurrency:
                due = START_NS
            elif _waiting(queues, ends):
                due = _pop(queues, ends)
            else:
                processes[producer, WAITS_FOR] = AN_END
                break
            rows[row, DUE] = due
            if 0 < processes[producer, STOP] < due:
                break
        if due > now:
            steps[WHEN, len(processes) - 1 + len(stations)] = due
            break
        rows[row, FIRST + OFFERED] = now
        if stations[0, FREE] > 0:
            stations[0, FREE] -= 1
            rows[row, FIRST + ACCEPTED] = now
            _send(steps, stations, processes, queues, rows, 0, row, now)
        elif processes[producer, SHED]:
            rows[row, OUTCOME] = DROPPED
        else:
            processes[producer, WAITS_FOR] = A_SLOT
            _push(queues, FOR_SLOT, producer)
            break
        row += 1
    processes[producer, ROW] = row


# ------------------------------------------------------------------ workers


@jit
def _wake(
    steps: Ints, stations: Ints, processes: Ints, queues: Ints, service: Ints, rows: Ints, worker: int, now: int
) -> None:
    """What the worker waited for has come."""
    stage, waited_for = processes[worker, STAGE], processes[worker, WAITS_FOR]
    if waited_for == IDLE:
        _begin(steps, stations, processes, queues, service, rows, worker, processes[worker, HANDED], now)
    elif waited_for == COLLECTING:
        row = processes[worker, HANDED]
        rows[row, FIRST + GROUP * stage + TAKEN] = now
        processes[worker, HELD + processes[worker, SIZE]] = row
        processes[worker, SIZE] += 1
        _collect(steps, stations, processes, queues, service, rows, worker, now)
    elif stations[stage, BATCH_MAX] == 1:
        rows[processes[worker, HELD], FIRST + GROUP * (stage + 1) + ACCEPTED] = now
        _start(steps, stations, processes, service, rows, worker, now)
    else:
        stations[stage + 1, FREE] += 1  # the slot that it was given
        _hand_on(steps, stations, processes, queues, service, rows, worker, now)


@jit
def _turn_around(
    steps: Ints, stations: Ints, processes: Ints, queues: Ints, service: Ints, rows: Ints, worker: int, now: int
) -> None:
    turnaround = stations[processes[worker, STAGE], TURNAROUND]
    if turnaround == 0:
        _turn_to_channel(steps, stations, processes, queues, service, rows, worker, now)
    else:
        processes[worker, WAITS_FOR] = TURNING
        steps[WHEN, processes[worker, END]] = now + turnaround


@jit
def _turn_to_channel(
    steps: Ints, stations: Ints, processes: Ints, queues: Ints, service: Ints, rows: Ints, worker: int, now: int
) -> None:
    stage = processes[worker, STAGE]
    if _waiting(queues, KINDS * stage + READY):
        row = _pop(queues, KINDS * stage + READY)
        _begin(steps, stations, processes, queues, service, rows, worker, row, now)
    else:
        processes[worker, WAITS_FOR] = IDLE
        _push(queues, KINDS * stage + FOR_REQUEST, worker)


@jit
def _begin(
    steps: Ints, stations: Ints, processes: Ints, queues: Ints, service: Ints, rows: Ints,
    worker: int, row: int, now: int,
) -> None:  # fmt: skip
    """The worker has taken a request while it held none."""
    stage = processes[worker, STAGE]
    base = FIRST + GROUP * stage
    rows[row, base + TAKEN] = now
    processes[worker, HELD] = row
    processes[worker, SIZE] = 1
    if stations[stage, BATCH_MAX] > 1:
        steps[WHEN, processes[worker, LIMIT]] = now + stations[stage, TIMEOUT]
        _collect(steps, stations, processes, queues, service, rows, worker, now)
        return
    if stage + 1 < len(stations):
        rows[row, base + GROUP + OFFERED] = now
        if stations[stage + 1, FREE] == 0:
            processes[worker, WAITS_FOR] = BLOCKED
            _push(queues, KINDS * (stage + 1) + FOR_SLOT, worker)
            return
        stations[stage + 1, FREE] -= 1
        rows[row, base + GROUP + ACCEPTED] = now
    _start(steps, stations, processes, service, rows, worker, now)


@jit
def _collect(
    steps: Ints, stations: Ints, processes: Ints, queues: Ints, service: Ints, rows: Ints, worker: int, now: int
) -> None:
    """Fill the batch with what is ready; start when it is full, else wait for more."""
    stage, size = processes[worker, STAGE], processes[worker, SIZE]
    while size < stations[stage, BATCH_MAX] and _waiting(queues, KINDS * stage + READY):
        row = _pop(queues, KINDS * stage + READY)
        rows[row, FIRST + GROUP * stage + TAKEN] = now
        processes[worker, HELD + size] = row
        size += 1
    processes[worker, SIZE] = size
    if size == stations[stage, BATCH_MAX]:
        steps[WHEN, processes[worker, LIMIT]] = NEVER
        _start(steps, stations, processes, service, rows, worker, now)
    else:
        processes[worker, WAITS_FOR] = COLLECTING
        _push(queues, KINDS * stage + FOR_REQUEST, worker)


@jit
def _start(steps: Ints, stations: Ints, processes: Ints, service: Ints, rows: Ints, worker: int, now: int) -> None:
    """Service of what the worker holds begins."""
    stage, size, first = processes[worker, STAGE], processes[worker, SIZE], processes[worker, HELD]
    base = FIRST + GROUP * stage
    for i in range(size):
        row = processes[worker, HELD + i]
        rows[row, base + STARTED] = now
        rows[row, base + WORKER] = processes[worker, NUMBER]
        rows[row, base + BATCH] = first
    processes[worker, WAITS_FOR] = SERVING
    column = stations[stage, COLUMN] + min(size, stations[stage, SIZES]) - 1
    takes = service[first, column]
    if stations[stage, SHARES]:
        for i in range(1, size):
            takes += service[processes[worker, HELD + i], column]
    steps[WHEN, processes[worker, END]] = now + takes


@jit
def _end_of_service(
    steps: Ints, stations: Ints, processes: Ints, queues: Ints, service: Ints, rows: Ints, worker: int, now: int
) -> None:
    stage, size, row = processes[worker, STAGE], processes[worker, SIZE], processes[worker, HELD]
    base, last = FIRST + GROUP * stage, stage + 1 == len(stations)
    if stations[stage, BATCH_MAX] == 1:
        rows[row, base + DONE] = now
        if last:
            _complete(processes, queues, rows, len(stations), row, now)
        else:
            _send(steps, stations, processes, queues, rows, stage + 1, row, now)
        _release(stations, queues, stage)
        _turn_around(steps, stations, processes, queues, service, rows, worker, now)
        return
    for i in range(size):
        rows[processes[worker, HELD + i], base + DONE] = now
        _release(stations, queues, stage)
    if last:
        for i in range(size):
            _complete(processes, queues, rows, len(stations), processes[worker, HELD + i], now)
        _turn_around(steps, stations, processes, queues, service, rows, worker, now)
        return
    for i in range(size):
        rows[processes[worker, HELD + i], base + GROUP + OFFERED] = now
    processes[worker, HANDED_ON] = 0
    _hand_on(steps, stations, processes, queues, service, rows, worker, now)


@jit
def _hand_on(
    steps: Ints, stations: Ints, processes: Ints, queues: Ints, service: Ints, rows: Ints, worker: int, now: int
) -> None:
    """Send the results of a batch to the next stage as slots come free; after the last, turn around."""
    following = processes[worker, STAGE] + 1
    while processes[worker, HANDED_ON] < processes[worker, SIZE]:
        if stations[following, FREE] == 0:
            processes[worker, WAITS_FOR] = BLOCKED
            _push(queues, KINDS * following + FOR_SLOT, worker)
            return
        stations[following, FREE] -= 1
        row = processes[worker, HELD + processes[worker, HANDED_ON]]
        rows[row, FIRST + GROUP * following + ACCEPTED] = now
        processes[worker, HANDED_ON] += 1
        _send(steps, stations, processes, queues, rows, following, row, now)
    _turn_around(steps, stations, processes, queues, service, rows, worker, now)


# ------------------------------------------------------------------ channels


@jit
def _send(
    steps: Ints, stations: Ints, processes: Ints, queues: Ints, rows: Ints, stage: int, row: int, now: int
) -> None:
    """Put a request on its way; without a hop it is there at once."""
    hop = stations[stage, HOP]
    if hop == 0:
        _arrive(processes, queues, stage, row)
        return
    queue = KINDS * stage + ON_THE_WAY
    rows[row, FIRST + GROUP * stage + TAKEN] = now + hop  # stands there until it is taken
    if not _waiting(queues, queue):
        steps[WHEN, stations[stage, ARRIVAL]] = now + hop
    _push(queues, queue, row)


@jit
def _end_of_hop(steps: Ints, processes: Ints, queues: Ints, rows: Ints, stage: int, step: int) -> None:
    """What was sent first lies ready now."""
    queue = KINDS * stage + ON_THE_WAY
    row = _pop(queues, queue)
    if _waiting(queues, queue):
        steps[WHEN, step] = rows[_first(queues, queue), FIRST + GROUP * stage + TAKEN]
    _arrive(processes, queues, stage, row)


@jit
def _arrive(processes: Ints, queues: Ints, stage: int, row: int) -> None:
    """Hand a request to the worker that has waited longest for one, or let it lie ready."""
    if _waiting(queues, KINDS * stage + FOR_REQUEST):
        worker = _pop(queues, KINDS * stage + FOR_REQUEST)
        processes[worker, HANDED] = row
        _push(queues, len(queues) - 2, worker)
    else:
        _push(queues, KINDS * stage + READY, row)


@jit
def _release(stations: Ints, queues: Ints, stage: int) -> None:
    """Give a slot back, to whoever has waited longest for one."""
    if _waiting(queues, KINDS * stage + FOR_SLOT):
        _push(queues, len(queues) - 2, _pop(queues, KINDS * stage + FOR_SLOT))
    else:
        stations[stage, FREE] += 1


@jit
def _complete(processes: Ints, queues: Ints, rows: Ints, stages: int, row: int, now: int) -> None:
    """A request has left the pipeline; in a closed load that makes another one due."""
    producer = len(processes) - 1
    rows[row, OUTCOME] = COMPLETED
    if processes[producer, CONCURRENCY] == 0:
        return
    _push(queues, KINDS * stages + 1, now)
    if processes[producer, WAITS_FOR] == AN_END:
        processes[producer, WAITS_FOR] = TO_BE_DUE
        _push(queues, KINDS * stages, producer)


# ------------------------------------------------------------------ queues


@jit
def _push(queues: Ints, queue: int, item: int) -> None:
    """Put an item at the end of a queue."""
    tail = queues[queue, TAIL]
    queues[queue, ITEMS + (tail & (queues.shape[1] - ITEMS - 1))] = item
    queues[queue, TAIL] = tail + 1


@jit
def _pop(queues: Ints, queue: int) -> int:
    """Take the first item out of a queue."""
    item = _first(queues, queue)
    queues[queue, HEAD] += 1
    return item


@jit
def _first(queues: Ints, queue: int) -> int:
    """The first item of a queue."""
    item: int = queues[queue, ITEMS + (queues[queue, HEAD] & (queues.shape[1] - ITEMS - 1))]
    return item


@jit
def _waiting(queues: Ints, queue: int) -> bool:
    """Whether a queue holds anything."""
    more: bool = queues[queue, TAIL] > queues[queue, HEAD]
    return more


@jit
def _leave(queues: Ints, queue: int, item: int) -> None:
    """Take `item` out of the middle of a queue."""
    mask = queues.shape[1] - ITEMS - 1
    place = queues[queue, HEAD]
    while queues[queue, ITEMS + (place & mask)] != item:
        place += 1
    while place + 1 < queues[queue, TAIL]:
        queues[queue, ITEMS + (place & mask)] = queues[queue, ITEMS + ((place + 1) & mask)]
        place += 1
    queues[queue, TAIL] -= 1
