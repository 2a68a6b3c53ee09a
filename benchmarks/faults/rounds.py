"""A round from its number and seed to what was wrong with it."""

from __future__ import annotations

import shlex
import shutil
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchmarks.faults import processes
from benchmarks.faults.catalogue import CELLS
from benchmarks.faults.judging import judge, observe
from benchmarks.faults.pipelines import OWN, PREPROCESS, draw
from benchmarks.faults.running import HARNESS, SCENARIO, TEMPORARY, start
from benchmarks.faults.trial import Trial


@dataclass(frozen=True)
class Round:
    """A round that is over.

    hit: the fault was injected before the command had ended. saves: a run was or had to be saved. wrong: what, by
    claim. again: repeats it.
    """

    number: int
    fault: str
    executor: str
    what: str
    wrong: dict[str, str]
    hit: bool
    saves: bool
    seconds: float
    code: int
    said: str
    scenario: str
    command: str
    again: str


def play(number: int, seed: int, base: Path, stopping: threading.Event, *, keep: bool) -> Round | None:
    """Run one round in a folder of its own under `base`. None: it was stopped. Raises CannotInjectError."""
    rng = Random(f"{seed}:{number}")
    fault, executor = CELLS[number % len(CELLS)]
    trial = fault.draw(draw(rng, executor), rng)
    place = base / str(number)
    wrong: dict[str, str] = {}
    try:
        _prepare(place, trial)
        with trial.around(place):
            mark = uuid.uuid4().hex
            running = start(place, mark, _prefix(trial, place), trial.arguments, stopping)
            try:
                wanted = trial.inject(running)
                in_time = running.wait(wanted.within_s)
                if stopping.is_set():
                    return None
                seen = observe(running, in_time)
                wrong = judge(trial.pipeline, wanted, seen)
            finally:
                processes.kill(mark)
                running.process.wait()
        return Round(
            number=number,
            fault=fault.name,
            executor=executor,
            what=trial.what,
            wrong=wrong,
            hit=running.hit,
            saves=seen.saved is not None or "saved" in wrong,
            seconds=seen.seconds,
            code=seen.code,
            said=seen.said,
            scenario=trial.pipeline.text,
            command=shlex.join([*_prefix(trial, place), *HARNESS, *trial.arguments]),
            again=f"python -m benchmarks.faults --seed {seed} --round {number} --keep",
        )
    finally:
        if not (keep and wrong):
            shutil.rmtree(place, ignore_errors=True)


def _prepare(place: Path, trial: Trial) -> None:
    place.mkdir()
    (place / TEMPORARY).mkdir()
    for name, content in {SCENARIO: trial.pipeline.text, f"{OWN}.py": PREPROCESS, **trial.files}.items():
        path = place / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def _prefix(trial: Trial, place: Path) -> list[str]:
    return [word.replace("{place}", str(place)) for word in trial.prefix]
