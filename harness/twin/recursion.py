"""The model where one worker serves each stage and the load is open: a recursion from request to request.

Nobody overtakes, so every stamp of a request follows from its own and from those of earlier requests: a worker takes
it when it lies ready and the worker is free; the n-th request of a channel with K slots finds one when the (n - K)-th
has left; a batch ends with the first request that comes after its deadline. Neither a clock nor queues are needed.
`events` is the model for everything else, and the two agree where both apply (the tests see to it).

    stations   (stages, 9)          what the pipeline is
    state      (stages, 10)         each worker, and the batch that it holds; in the first, the producer
    members    (stages, batch)      the rows of that batch
    left       (stages, ring)       when each slot of a channel was given back, by number of its request
    stack      (stages + 1,)        how many stages are handing on a batch, and which, first to last
    service    (n, columns)         service times; those of a stage begin at its COLUMN
    rows       (n, width)           the records

Rows may come in several pieces: `run` fills in those from `first` on, and goes on from where it was. What a batch holds
of the piece before lies in front of them. `finish` serves the batches that nobody joins any more.
"""

from __future__ import annotations

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
    Ints,
    Outcome,
)
from harness.twin.jit import jit

FIRST, GROUP = FIRST_STAGE, PARTS
COMPLETED, DROPPED = Outcome.COMPLETED, Outcome.DROPPED

# Columns of `stations`. OFFSET: number of the first of `rows` among all.
CAPACITY, BATCH_MAX, TIMEOUT, HOP, TURNAROUND, COLUMN, SIZES, SHARES, OFFSET = range(9)
# Columns of `state`. FREE_AT: when the worker turns to its channel again. COME, GONE: requests that got a slot, and
# that gave it back. TAKEN_AT: when the batch's first was taken. LATER: one more than the row that waits until the
# batch before it is handed on, and since when it lies ready.
FREE_AT, COME, GONE, TAKEN_AT, SIZE, HANDED_ON, DONE_AT, LATER, LATER_READY, PRODUCER_FREE_AT = range(10)


@jit
def run(
    stations: Ints, state: Ints, members: Ints, left: Ints, stack: Ints, service: Ints, rows: Ints,
    first: int, shed: bool,
) -> None:  # fmt: skip
    """Fill in the rows from `first` on, whose due times are there."""
    free_at = state[0, PRODUCER_FREE_AT]
    for row in range(first, len(rows)):
        offered = max(rows[row, DUE], free_at)
        rows[row, FIRST + OFFERED] = offered
        slot_at = left[0, (state[0, COME] - stations[0, CAPACITY]) & (left.shape[1] - 1)]
        if shed and slot_at > offered:
            rows[row, OUTCOME] = DROPPED
            continue
        state[0, COME] += 1
        free_at = max(offered, slot_at)
        rows[row, FIRST + ACCEPTED] = free_at
        _pass_on(stations, state, members, left, stack, service, rows, 0, row, free_at + stations[0, HOP])
    state[0, PRODUCER_FREE_AT] = free_at


@jit
def finish(stations: Ints, state: Ints, members: Ints, left: Ints, stack: Ints, service: Ints, rows: Ints) -> None:
    """Serve what waits for more in its batch: there is no more."""
    for stage in range(len(stations)):
        if state[stage, SIZE] > 0:
            deadline = state[stage, TAKEN_AT] + stations[stage, TIMEOUT]
            _serve_batch(stations, state, members, left, stack, service, rows, stage, deadline)
            _unwind(stations, state, members, left, stack, service, rows)


@jit
def _pass_on(
    stations: Ints, state: Ints, members: Ints, left: Ints, stack: Ints, service: Ints, rows: Ints,
    stage: int, row: int, ready: int,
) -> None:  # fmt: skip
    """A request lies ready before a stage: follow it, and what it sets going, as far as that is determined."""
    _enter(stations, state, members, left, stack, service, rows, stage, row, ready)
    _unwind(stations, state, members, left, stack, service, rows)


@jit
def _unwind(stations: Ints, state: Ints, members: Ints, left: Ints, stack: Ints, service: Ints, rows: Ints) -> None:
    """Hand on what is left of the batches that were served, the one of the last stage first."""
    while stack[0] > 0:
        stage = stack[stack[0]]
        if state[stage, HANDED_ON] < state[stage, SIZE]:
            row = members[stage, state[stage, HANDED_ON]]
            state[stage, HANDED_ON] += 1
            done, asked = state[stage, DONE_AT], state[stage, FREE_AT]
            state[stage, FREE_AT] = _get_slot(stations, state, left, rows, stage + 1, row, done, asked)
            ready = state[stage, FREE_AT] + stations[stage + 1, HOP]
            _enter(stations, state, members, left, stack, service, rows, stage + 1, row, ready)
        else:
            stack[0] -= 1
            state[stage, SIZE] = 0
            state[stage, FREE_AT] += stations[stage, TURNAROUND]
            _take_later(stations, state, members, left, stack, service, rows, stage)


@jit
def _enter(
    stations: Ints, state: Ints, members: Ints, left: Ints, stack: Ints, service: Ints, rows: Ints,
    stage: int, row: int, ready: int,
) -> None:  # fmt: skip
    """Serve it from stage to stage, until it has left the last one or is held in a batch."""
    while stage < len(stations) and stations[stage, BATCH_MAX] == 1:
        base = FIRST + GROUP * stage
        taken = started = max(ready, state[stage, FREE_AT])
        if stage + 1 < len(stations):
            started = _get_slot(stations, state, left, rows, stage + 1, row, taken, taken)
        done = started + service[row, stations[stage, COLUMN]]
        rows[row, base + TAKEN] = taken
        rows[row, base + STARTED] = started
        rows[row, base + DONE] = done
        rows[row, base + BATCH] = stations[stage, OFFSET] + row
        _leave(state, left, stage, done)
        state[stage, FREE_AT] = done + stations[stage, TURNAROUND]
        stage += 1
        if stage == len(stations):
            rows[row, OUTCOME] = COMPLETED
            return
        ready = done + stations[stage, HOP]
    deadline = state[stage, TAKEN_AT] + stations[stage, TIMEOUT]
    if state[stage, SIZE] > 0 and ready > deadline:
        state[stage, LATER] = row + 1
        state[stage, LATER_READY] = ready
        _serve_batch(stations, state, members, left, stack, service, rows, stage, deadline)
    else:
        _join(stations, state, members, left, stack, service, rows, stage, row, ready)


@jit
def _join(
    stations: Ints, state: Ints, members: Ints, left: Ints, stack: Ints, service: Ints, rows: Ints,
    stage: int, row: int, ready: int,
) -> None:  # fmt: skip
    """Take it into the batch; serve the batch when that makes it full."""
    size = state[stage, SIZE]
    if size == 0:
        taken = state[stage, TAKEN_AT] = max(ready, state[stage, FREE_AT])
    else:
        taken = max(ready, state[stage, TAKEN_AT])
    rows[row, FIRST + GROUP * stage + TAKEN] = taken
    members[stage, size] = row
    state[stage, SIZE] = size + 1
    if size + 1 == stations[stage, BATCH_MAX]:
        _serve_batch(stations, state, members, left, stack, service, rows, stage, taken)


@jit
def _serve_batch(
    stations: Ints, state: Ints, members: Ints, left: Ints, stack: Ints, service: Ints, rows: Ints,
    stage: int, started: int,
) -> None:  # fmt: skip
    base, size, first = FIRST + GROUP * stage, state[stage, SIZE], members[stage, 0]
    column = stations[stage, COLUMN] + min(size, stations[stage, SIZES]) - 1
    done = started + service[first, column]
    if stations[stage, SHARES]:
        for i in range(1, size):
            done += service[members[stage, i], column]
    for i in range(size):
        row = members[stage, i]
        rows[row, base + STARTED] = started
        rows[row, base + DONE] = done
        rows[row, base + BATCH] = stations[stage, OFFSET] + first
        _leave(state, left, stage, done)
    state[stage, FREE_AT] = state[stage, DONE_AT] = done
    if stage + 1 < len(stations):
        state[stage, HANDED_ON] = 0
        stack[0] += 1
        stack[stack[0]] = stage
        return
    for i in range(size):
        rows[members[stage, i], OUTCOME] = COMPLETED
    state[stage, SIZE] = 0
    state[stage, FREE_AT] = done + stations[stage, TURNAROUND]
    _take_later(stations, state, members, left, stack, service, rows, stage)


@jit
def _take_later(
    stations: Ints, state: Ints, members: Ints, left: Ints, stack: Ints, service: Ints, rows: Ints, stage: int
) -> None:
    """The request that came too late for the last batch begins the next one."""
    if state[stage, LATER] > 0:
        row, ready = state[stage, LATER] - 1, state[stage, LATER_READY]
        state[stage, LATER] = 0
        state[stage, TAKEN_AT] = max(ready, state[stage, FREE_AT])
        rows[row, FIRST + GROUP * stage + TAKEN] = state[stage, TAKEN_AT]
        members[stage, 0] = row
        state[stage, SIZE] = 1


@jit
def _get_slot(
    stations: Ints, state: Ints, left: Ints, rows: Ints, stage: int, row: int, offered: int, asked: int
) -> int:
    """When the request gets a slot of a channel, asked for at a time."""
    base = FIRST + GROUP * stage
    accepted: int = max(asked, left[stage, (state[stage, COME] - stations[stage, CAPACITY]) & (left.shape[1] - 1)])
    state[stage, COME] += 1
    rows[row, base + OFFERED] = offered
    rows[row, base + ACCEPTED] = accepted
    return accepted


@jit
def _leave(state: Ints, left: Ints, stage: int, done: int) -> None:
    left[stage, state[stage, GONE] & (left.shape[1] - 1)] = done
    state[stage, GONE] += 1
