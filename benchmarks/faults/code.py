"""A user's own code that misbehaves, images that are none, a client that never reads."""

from __future__ import annotations

import io
import re
import socket
import time
from dataclasses import replace
from random import Random

import numpy as np
from PIL import Image

from benchmarks.faults.pipelines import OWN, PREPROCESS, Pipeline
from benchmarks.faults.running import Running
from benchmarks.faults.signals import some_end
from benchmarks.faults.trial import FAILED, REFUSED, Expected, Trial, by_the_deadline, expected, to_its_end, under_way
from harness.records import Outcome, RunRecords

AT_CALL = """
import asyncio, ctypes, os, signal, sys, time
import numpy as np

calls = 0

def act():
    {act}

def make():
    def run(pixels):
        global calls
        calls += 1
        if calls > {after}:
            act()
        return np.zeros((3, 8, 8), np.float32)
    return run
"""
FORKS = """
import concurrent.futures, multiprocessing, os, subprocess, time
import numpy as np

def forked(session=False):
    if not os.fork():
        if session:
            os.setsid()
        while True:
            time.sleep(1000)

def make():
    global kept
    {act}
    def run(pixels):
        return np.zeros((3, 8, 8), np.float32)
    return run
"""
POOL = """kept = concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("{how}"))
    assert kept.submit(abs, -1).result() == 1"""
GRANDCHILDREN = {
    "a fork that sleeps": "forked()",
    "a fork in a session of its own": "forked(session=True)",
    "a pool of forks": POOL.format(how="fork"),
    "a pool of spawned processes": POOL.format(how="spawn"),
    "a program": 'kept = subprocess.Popen(["sleep", "1000"], close_fds=False)',
    "a program in a session of its own": 'kept = subprocess.Popen(["sleep", "1000"], start_new_session=True)',
}
TEXTS = ('"no"', '"x" * 5_000_000', '"\\x1b[2J\\r\\x00"', '"a\\nb\\n" * 1000', '"\\ud800"', '""')
ERRORS = ("ValueError", "MemoryError", "RecursionError", "KeyboardInterrupt", "SystemExit", "asyncio.CancelledError",
          "GeneratorExit", "StopIteration", "TimeoutError", "BrokenPipeError", "OSError")  # fmt: skip
DEATHS = ("os._exit(0)", "os._exit(3)", "os.abort()", "ctypes.string_at(0)", "os.kill(os.getpid(), signal.SIGTERM)",
          "os.kill(os.getpid(), signal.SIGKILL)")  # fmt: skip
TRICKLE_S = 0.3
SLEEPS, HOLDS_GIL = "time.sleep(10**6)", "ctypes.PyDLL(None).sleep(10**6)"


def raises(pipeline: Pipeline, rng: Random) -> Trial:
    """A stage raises, at start-up or at a request."""
    text = rng.choice(TEXTS)
    act = f"raise {rng.choice(ERRORS)}({text})"
    own = _acting(pipeline, act, rng)

    def inject(running: Running) -> Expected:
        return to_its_end(own.pipeline, FAILED, REFUSED)

    return Trial(own.pipeline, inject, act, files=own.files)


def dies(pipeline: Pipeline, rng: Random) -> Trial:
    """A stage ends its process."""
    act = rng.choice(DEATHS)
    own = _acting(pipeline, act, rng)

    def inject(running: Running) -> Expected:
        return to_its_end(own.pipeline, FAILED)

    return Trial(own.pipeline, inject, act, files=own.files)


def hangs(pipeline: Pipeline, rng: Random) -> Trial:
    """A stage hangs, with or without the interpreter's lock held; it meets the deadline, or something else ends it."""
    own = _acting(
        pipeline.lasting(1.5), SLEEPS if pipeline.executor == "asyncio" else rng.choice((SLEEPS, HOLDS_GIL)), rng, 1
    )
    wait, waits = under_way(own.pipeline, rng), rng.random() < 0.4
    name, end = some_end(own.pipeline, rng)

    def inject(running: Running) -> Expected:
        wait(running)
        if waits:
            running.now()
            found = by_the_deadline(own.pipeline)
        else:
            found = end(running)
        return replace(found, codes=found.codes | {FAILED}, hangs=True)  # the deadline may come first

    return Trial(own.pipeline, inject, f"{own.what}; {'the deadline' if waits else name}", files=own.files)


def _acting(pipeline: Pipeline, act: str, rng: Random, least: int = 0) -> Trial:
    """The first call is the one at start-up."""
    after = rng.choice((least, 1, 2, 10, 40))
    text = AT_CALL.format(act=act, after=after)
    own = pipeline.behind("make")
    return Trial(own, lambda running: expected(), f"{act} after {after} calls", files={f"{OWN}.py": text})


def grandchildren(pipeline: Pipeline, rng: Random) -> Trial:
    """A stage starts processes of its own; then the run ends in one way or another."""
    what = rng.choice(list(GRANDCHILDREN))
    own = pipeline.behind("make").lasting(1.0)
    wait, by_itself = under_way(own, rng), rng.random() < 0.3
    # within the asyncio executor the stages are the command itself: what they start is theirs to end
    theirs = own.executor == "asyncio"
    name, end = some_end(own, rng, kills=not theirs)

    def inject(running: Running) -> Expected:
        wait(running)
        return replace(to_its_end(own) if by_itself else end(running), leaves=theirs)

    text = FORKS.format(act=GRANDCHILDREN[what])
    return Trial(own, inject, f"{what}; {'to its end' if by_itself else name}", files={f"{OWN}.py": text})


def corrupt_images(pipeline: Pipeline, rng: Random) -> Trial:
    """Some images cannot be decoded: their requests fail, and no others."""
    form, count = rng.choice(("raw", "encoded")), rng.randrange(2, 6)
    whole = _picture(rng)
    ways = {
        "truncated": whole[: rng.randrange(2, len(whole) // 2)],
        "text": b"not an image",
        "empty": b"",
        "zeros": bytes(500),
        "shuffled": bytes(rng.sample(list(whole), len(whole))),
    }
    files: dict[str, str | bytes] = {f"{OWN}.py": PREPROCESS}
    bad = set()
    for index in range(count):
        spoilt = index and rng.random() < 0.6  # the first stays good
        way = rng.choice(list(ways))
        files[f"images/{index}.jpg"] = ways[way] if spoilt else whole
        bad |= {index} if spoilt else set()
    own = pipeline.behind("make", form=form, source={"images": "images"})

    def wrong(records: RunRecords) -> str:
        failed = records.with_outcome(Outcome.FAILED)
        done = records.with_outcome(Outcome.COMPLETED)
        strangers = set(failed.column("image").tolist()) - bad
        served = set(done.column("image").tolist()) & bad
        return f"images {strangers} failed, {served} were served" if strangers or served else ""

    def inject(running: Running) -> Expected:
        return to_its_end(own, wrong=wrong)

    return Trial(own, inject, f"{len(bad)} of {count} images corrupt, {form}", files=files)


def _picture(rng: Random) -> bytes:
    pixels = np.random.default_rng(rng.randrange(2**32)).integers(0, 256, (40, 56, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def hostile_client(pipeline: Pipeline, rng: Random) -> Trial:
    """Clients of the metrics that never read, never finish what they say, or only connect."""
    says = rng.choice((b"", b"GET /met", b"GET /metrics HTTP/1.1\r\nHost: x\r\n", b"GET /metrics HTTP/1.0\r\n\r\n",
                       bytes(100_000)))  # fmt: skip
    count, trickles = rng.choice((1, 1, 5, 60)), rng.random() < 0.4
    clients: list[socket.socket] = []

    def inject(running: Running) -> Expected:
        wanted = to_its_end(pipeline)
        try:
            running.until("metrics on ")
            address = re.search(r"metrics on http://([\d.]+):(\d+)", running.said)
            if address is not None:
                _connect(clients, count, (address[1], int(address[2])), says)
            while not running.ended and time.monotonic() - running.injected < wanted.within_s:
                running.sleep(TRICKLE_S)
                for client in clients if trickles else ():
                    _send(client, b"x")
        finally:
            for client in clients:
                client.close()
        return wanted

    what = f"{count} clients say {says[:12]!r}{' and a byte now and then' if trickles else ''}"
    return Trial(pipeline, inject, what, arguments=("--metrics-port", "0"))


def _connect(clients: list[socket.socket], count: int, address: tuple[str, int], says: bytes) -> None:
    for _ in range(count):
        client = socket.socket()
        clients.append(client)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256)
        client.settimeout(1)
        try:
            client.connect(address)
        except OSError:
            return
        client.setblocking(False)
        _send(client, says)


def _send(client: socket.socket, data: bytes) -> None:
    try:
        client.send(data)
    except OSError:
        return
