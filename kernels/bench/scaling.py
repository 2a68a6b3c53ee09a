"""How much two threads do in the time of one."""

from __future__ import annotations

import threading
import time

import numpy as np

from ..contract import Backend, Image


def two_thread_scaling(backend: Backend, image: Image, seconds: float) -> float:
    """Images per second of two threads over those of one: median over alternating windows."""
    window_s = 0.25
    ratios: list[float] = []
    began = time.perf_counter()
    while len(ratios) < 3 or time.perf_counter() - began < seconds:
        ratios.append(_rate(backend, image, 2, window_s) / _rate(backend, image, 1, window_s))
    return float(np.median(ratios))


def _rate(backend: Backend, image: Image, threads: int, window_s: float) -> float:
    """Images per second; each thread has its own copy of the image and its own output."""
    start = threading.Barrier(threads)
    rates = [0.0] * threads

    def work(which: int) -> None:
        source = image.copy()
        out = np.empty(backend.recipe.output_shape_for(*image.shape[:2]), dtype=np.float32)
        backend.run(source, out)
        start.wait()
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < window_s:
            backend.run(source, out)
            done += 1
        rates[which] = done / (time.perf_counter() - began)

    workers = [threading.Thread(target=work, args=(which,)) for which in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(rates)
