"""A run inside a loop that is running already, as in a notebook: what it does, and what ends it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

import pytest

from harness.executors.progress import Progress
from harness.executors.session import execute, in_loop
from harness.interruption import held
from harness.records import Outcome
from tests.pipelines import plan

EXECUTORS = ("process", "asyncio")
ENDLESS = {"arrivals": "constant", "rate": "200/s", "requests": 100_000}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_it_completes_inside_a_running_loop(executor: str) -> None:
    async def cell() -> None:
        execution = execute(plan({"null": {}}, load={"arrivals": "closed", "requests": 30}, executor=executor))
        assert (execution.status, execution.error) == ("completed", None)
        assert list(execution.records.outcome) == [Outcome.COMPLETED] * 30

    asyncio.run(cell())


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_signal_to_the_main_thread_ends_it_there_and_it_says_so(executor: str) -> None:
    told_in = set()

    def interrupt(progress: Progress) -> None:
        told_in.add(threading.current_thread())
        if progress.ended > 2:
            os.kill(os.getpid(), signal.SIGINT)

    async def cell() -> None:
        with held():
            execution = execute(plan({"null": {}}, load=ENDLESS, executor=executor), interrupt, 0.02)
        assert (execution.status, execution.signal) == ("interrupted", signal.SIGINT)
        assert 0 < len(execution.records) < 100_000

    asyncio.run(cell())
    assert threading.main_thread() not in told_in


def test_what_the_coroutine_raises_comes_out_of_it() -> None:
    async def fails() -> None:
        raise LookupError("as it is")

    async def cell() -> None:
        with pytest.raises(LookupError, match="as it is"):
            in_loop(fails, precise=False)

    asyncio.run(cell())


def test_another_thread_that_nobody_waits_for_hears_of_no_signal() -> None:
    heard: list[int] = []

    def elsewhere() -> None:
        with held() as interruption, interruption.listening(lambda: heard.append(1)):
            signal.raise_signal(signal.SIGINT)

    with held() as interruption:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert interruption.take() == signal.SIGINT
    assert heard == []
