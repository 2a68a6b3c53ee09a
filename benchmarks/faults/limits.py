"""What a machine can be short of: disk, pipes, descriptors, processes, memory."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from benchmarks.faults.pipelines import Pipeline
from benchmarks.faults.running import OUT, TEMPORARY, Running
from benchmarks.faults.trial import FAILED, REFUSED, CannotInjectError, Expected, Trial, moment, to_its_end, under_way
from benchmarks.faults.user import AS_USER, SETPRIV, alone

ULIMIT = ("sh", "-c", 'ulimit {option} {value} && exec "$@"', "sh")
INTO_GROUP = ("sh", "-c", 'echo $$ > {group}/cgroup.procs && exec "$@"', "sh")
SOFT_PAGES = Path("/proc/sys/fs/pipe-user-pages-soft")
LARGEST_PIPE = Path("/proc/sys/fs/pipe-max-size")
GROUPS_V1, GROUPS_V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
HOLDER = """
import fcntl, os, sys
pages, largest, size = (int(word) for word in sys.argv[1:])
held = []
while pages > 0:
    held.append(os.pipe())
    pages -= fcntl.fcntl(held[-1][1], fcntl.F_SETPIPE_SZ, min(largest, pages * size)) // size
print("ready", flush=True)
sys.stdin.read()
"""
"""Takes almost all pages that a user's pipes may have, and holds them until its standard input ends."""
MIB = 2**20


# ------------------------------------------------------------------ disk


def needs_root() -> str:
    """Why mounts and other users cannot be had."""
    if os.geteuid():
        return "needs root"
    missing = [tool for tool in ("mount", "umount", "setpriv") if shutil.which(tool) is None]
    return f"needs {missing[0]}" if missing else ""


def cannot_mount() -> str:
    """Why a file system cannot be mounted here."""
    if why := needs_root():
        return why
    probe = Path(os.environ.get("TMPDIR", "/tmp"), f"harness-faults-probe-{os.getpid()}")
    probe.mkdir()
    try:
        with mounted(probe, "size=4k"):
            return ""
    except CannotInjectError as error:
        return str(error)
    finally:
        probe.rmdir()


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A file system in memory, over a folder, while the context lasts."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "harness-faults", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        raise CannotInjectError(f"cannot mount: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def full_disk(pipeline: Pipeline, rng: Random) -> Trial:
    """The results do not fit on their disk."""
    return _on_disk(pipeline, f"size={rng.choice((4, 16, 32, 64, 128))}k,mode=777", "a full disk")


def read_only(pipeline: Pipeline, rng: Random) -> Trial:
    """The results' folder cannot be written."""
    return _on_disk(pipeline, "size=4k,ro", "a read-only mount")


def _on_disk(pipeline: Pipeline, options: str, what: str) -> Trial:
    def inject(running: Running) -> Expected:
        # refused before it starts, or saved elsewhere: the code says that it is not where it was to be
        return to_its_end(pipeline, FAILED, REFUSED, saved=None, if_completed=frozenset({0, FAILED}))

    return Trial(pipeline, inject, f"{what} ({options})", around=lambda place: mounted(place / OUT, options))


def full_everywhere(pipeline: Pipeline, rng: Random) -> Trial:
    """Neither the results' disk nor that of temporary files has room: nothing can be saved, and that is said."""
    options = f"size={rng.choice((4, 16))}k,mode=777"

    @contextlib.contextmanager
    def both(place: Path) -> Iterator[None]:
        with mounted(place / OUT, options), mounted(place / TEMPORARY, options):
            yield

    def inject(running: Running) -> Expected:
        return to_its_end(pipeline, FAILED, REFUSED, saved=False, if_completed=frozenset({0, FAILED}))

    return Trial(pipeline, inject, f"full disks ({options})", around=both)


def largest_file(pipeline: Pipeline, rng: Random) -> Trial:
    """RLIMIT_FSIZE, which bounds shared memory as well as results; in blocks of 512 bytes."""
    return _limited(pipeline, "-f", rng.choice((8, 64, 256, 1024, 16384)), "RLIMIT_FSIZE", saved=False)


# ------------------------------------------------------------------ pipes and processes of a user


def few_pipe_pages(pipeline: Pipeline, rng: Random) -> Trial:
    """All but a few pages of pipe-user-pages-soft are taken, by other processes of the same unprivileged user."""
    left = rng.choice((0, 1, 8, 40, 200))
    if rng.random() < 0.5:
        capacity = rng.choice((1000, 5000, 16_000))
        stages = [
            {kind: {**options, "capacity": capacity}}
            for s in pipeline.scenario["stages"]
            for kind, options in s.items()
        ]
        small = all(options.get("payload", 8) == 8 for stage in stages for options in stage.values())
        pipeline = pipeline.having(stages=stages) if small and "source" not in pipeline.scenario else pipeline

    def inject(running: Running) -> Expected:
        return to_its_end(pipeline, FAILED, REFUSED, saved=None)

    return Trial(
        pipeline,
        inject,
        f"{left} pages of pipes left",
        prefix=AS_USER,
        around=lambda place: _short_of_pipes(place, left),
    )


@contextlib.contextmanager
def _short_of_pipes(place: Path, left: int) -> Iterator[None]:
    pages = int(SOFT_PAGES.read_text()) - left
    sizes = [str(pages), LARGEST_PIPE.read_text().strip(), str(resource.getpagesize())]
    command = [*SETPRIV, sys.executable, "-I", "-S", "-c", HOLDER, *sizes]
    with alone(place), subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None and holder.stdout is not None
        try:
            if not holder.stdout.readline():
                raise CannotInjectError("the pages of pipes cannot be taken")
            yield
        finally:
            holder.stdin.close()


def few_processes(pipeline: Pipeline, rng: Random) -> Trial:
    """RLIMIT_NPROC of an unprivileged user: processes and threads together."""
    most = rng.choice((1, 3, 4, 6, 8, 12))

    def inject(running: Running) -> Expected:
        return to_its_end(pipeline, FAILED, REFUSED, saved=None, starved=True)

    return Trial(
        pipeline, inject, f"RLIMIT_NPROC {most}", prefix=("prlimit", f"--nproc={most}", *AS_USER), around=alone
    )


# ------------------------------------------------------------------ descriptors and memory of a process


def _limited(pipeline: Pipeline, option: str, value: int, what: str, *, saved: bool | None = None) -> Trial:
    def inject(running: Running) -> Expected:
        return to_its_end(pipeline, FAILED, REFUSED, saved=saved, starved=True)

    prefix = tuple(word.format(option=option, value=value) for word in ULIMIT)
    return Trial(pipeline, inject, f"{what}: ulimit {option} {value}", prefix=prefix)


def few_descriptors(pipeline: Pipeline, rng: Random) -> Trial:
    """RLIMIT_NOFILE, from the start or set at a random moment for a process that is running."""
    if rng.random() < 0.6:
        return _limited(pipeline, "-n", rng.randrange(16, 64), "RLIMIT_NOFILE")
    return _limited_later(pipeline, rng, resource.RLIMIT_NOFILE, "RLIMIT_NOFILE", rng.randrange(0, 6))


def little_address_space(pipeline: Pipeline, rng: Random) -> Trial:
    """RLIMIT_AS, likewise."""
    if rng.random() < 0.5:
        return _limited(pipeline, "-v", rng.choice((500, 800, 900, 1000, 1200, 2000)) * 1024, "RLIMIT_AS")
    return _limited_later(pipeline, rng, resource.RLIMIT_AS, "RLIMIT_AS", rng.randrange(0, 64) * MIB)


def _limited_later(pipeline: Pipeline, rng: Random, kind: int, name: str, more: int) -> Trial:
    # no program can save anything once there is no memory for it: it has to be short of it before
    own, when = (pipeline.lasting(1.5), under_way) if kind == resource.RLIMIT_AS else (pipeline, moment)
    wait, share = when(own, rng), rng.random()
    whole = pipeline.executor == "asyncio" or rng.random() < 0.4

    def inject(running: Running) -> Expected:
        wait(running)
        victim = running.process.pid if whole else running.child(share)
        if victim is not None:
            with contextlib.suppress(OSError, ValueError):
                limit = _used(victim, kind) + more
                resource.prlimit(victim, kind, (limit, limit))
        running.now()
        return to_its_end(own, FAILED, REFUSED, saved=None, starved=True)

    return Trial(own, inject, f"{name} of {'the command' if whole else 'a child'}: {more:,} more than it has")


def _used(pid: int, kind: int) -> int:
    if kind == resource.RLIMIT_NOFILE:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()


# ------------------------------------------------------------------ memory of a group


def cannot_group() -> str:
    """Why a control group with a limit of memory cannot be had."""
    if why := needs_root():
        return why
    try:
        with _memory_group("probe", 64 * MIB):
            return ""
    except CannotInjectError as error:
        return str(error)


def little_memory(pipeline: Pipeline, rng: Random) -> Trial:
    """A control group's limit of memory, with slots that may not fit: refused, or a process is killed for it."""
    limit = rng.choice((120, 200, 300, 500)) * MIB
    payload, capacity = rng.choice((8, MIB, 4 * MIB)), rng.choice((4, 16, 64))
    stages = [{"null": {"name": "first", "payload": payload}}, {"null": {"name": "second", "capacity": capacity}}]
    pipeline = Pipeline({**pipeline.scenario, "stages": stages}, pipeline.load_s)
    pipeline.scenario.pop("source", None)
    name = f"harness-faults-{os.getpid()}-{rng.randrange(10**9)}"
    prefix = tuple(word.format(group=_group(name)) for word in INTO_GROUP)

    def inject(running: Running) -> Expected:
        return to_its_end(pipeline, FAILED, REFUSED, -9, saved=None, starved=True)

    what = f"{limit // MIB} MiB for all, slots of {payload * capacity / MIB:.0f}"
    return Trial(pipeline, inject, what, prefix=prefix, around=lambda place: _memory_group(name, limit))


def _version() -> int:
    return 1 if (GROUPS_V1 / "memory.limit_in_bytes").exists() else 2


def _group(name: str) -> Path:
    return (GROUPS_V1 if _version() == 1 else GROUPS_V2) / name


@contextlib.contextmanager
def _memory_group(name: str, limit: int) -> Iterator[None]:
    group = _group(name)
    try:
        group.mkdir()
    except OSError as error:
        raise CannotInjectError(f"no control group: {error.strerror}") from None
    try:
        try:
            (group / ("memory.limit_in_bytes" if _version() == 1 else "memory.max")).write_text(str(limit))
        except OSError as error:
            raise CannotInjectError(f"no limit of memory: {error.strerror}") from None
        yield
    finally:
        for _ in range(100):  # it stays busy until the kernel has done with its processes
            try:
                group.rmdir()
                break
            except OSError:
                time.sleep(0.05)
