"""The rows of the compiled loops: several source rows become one row of float32, the channels still interleaved."""

from __future__ import annotations

from typing import Any

import numpy as np

from .jit import compiled
from .numba_vectors import BLOCK, row_at, sum_block

Array = Any


@compiled
def _blend_two_rows(a: Array, b: Array, weights: Array, blended: Array, fresh: bool) -> None:
    u, v = weights[0], weights[1]
    if fresh:
        for x in range(len(a)):
            blended[x] = u * a[x] + v * b[x]
    else:
        for x in range(len(a)):
            blended[x] += u * a[x] + v * b[x]


@compiled
def _blend_three_rows(a: Array, b: Array, c: Array, weights: Array, blended: Array, fresh: bool) -> None:
    u, v, w = weights[0], weights[1], weights[2]
    if fresh:
        for x in range(len(a)):
            blended[x] = u * a[x] + v * b[x] + w * c[x]
    else:
        for x in range(len(a)):
            blended[x] += u * a[x] + v * b[x] + w * c[x]


@compiled
def _blend_four_rows(a: Array, b: Array, c: Array, d: Array, weights: Array, blended: Array, fresh: bool) -> None:
    u, v, w, z = weights[0], weights[1], weights[2], weights[3]
    if fresh:
        for x in range(len(a)):
            blended[x] = u * a[x] + v * b[x] + w * c[x] + z * d[x]
    else:
        for x in range(len(a)):
            blended[x] += u * a[x] + v * b[x] + w * c[x] + z * d[x]


@compiled
def blend_rows(address: int, stride: int, length: int, weights: Array, blended: Array) -> None:
    """blended[x] = sum over t of weights[t] * row t [x]; rows of `length` bytes, `stride` apart from `address` on."""
    taps = len(weights)
    t = 0
    while t < taps:
        first = address + t * stride
        a = row_at(first, length)
        left = taps - t
        if left == 1:
            w = weights[t]
            if t == 0:
                for x in range(length):
                    blended[x] = w * a[x]
            else:
                for x in range(length):
                    blended[x] += w * a[x]
            t += 1
        elif left == 2 or left == 5:
            _blend_two_rows(a, row_at(first + stride, length), weights[t:], blended, t == 0)
            t += 2
        elif left == 3:
            b, c = row_at(first + stride, length), row_at(first + 2 * stride, length)
            _blend_three_rows(a, b, c, weights[t:], blended, t == 0)
            t += 3
        else:
            b, c = row_at(first + stride, length), row_at(first + 2 * stride, length)
            _blend_four_rows(a, b, c, row_at(first + 3 * stride, length), weights[t:], blended, t == 0)
            t += 4


@compiled
def _sum_segment(address: int, stride: int, length: int, count: int, plain: Array, ramp: Array) -> None:
    """uint16 sums over `count` rows of p[k] and of k * p[k]."""
    whole = length // BLOCK * BLOCK
    for x in range(0, whole, BLOCK):
        sum_block(address, stride, count, x, plain, ramp)
    for x in range(whole, length):
        total, ramped = 0, 0
        for k in range(count):
            pixel = row_at(address + k * stride, length)[x]
            total += int(pixel)
            ramped += k * int(pixel)
        plain[x] = total
        ramp[x] = ramped


@compiled
def _share_out(plain: Array, ramp: Array, shares: Array, first: bool, blended: Array, carry: Array) -> None:
    """Give both output rows their part; the upper one is `blended`, the lower one `carry`, once it has been read."""
    upper, upper_slope, lower, lower_slope = shares[0], shares[1], shares[2], shares[3]
    if first:
        for x in range(len(plain)):
            p, r = np.float32(plain[x]), np.float32(ramp[x])
            blended[x] = carry[x] + upper * p + upper_slope * r
            carry[x] = lower * p + lower_slope * r
    else:
        for x in range(len(plain)):
            p, r = np.float32(plain[x]), np.float32(ramp[x])
            blended[x] += upper * p + upper_slope * r
            carry[x] += lower * p + lower_slope * r


@compiled
def sum_rows(
    address: int,
    stride: int,
    length: int,
    places: Array,
    shares: Array,
    begin: int,
    end: int,
    sums: Array,
    carry: Array,
    blended: Array,
) -> None:
    """The rows between two output centres, segments begin..end of `row_segments`.

    places: int64 (segments, 2), first row and count; shares: float32 (segments, 4); sums: uint16 (2 * length,) to work
    in. carry: what earlier rows gave to the output row above; afterwards, what these give to the one below. blended:
    the output row above, complete.
    """
    plain, ramp = sums[:length], sums[length : 2 * length]
    for s in range(begin, end):
        _sum_segment(address + places[s, 0] * stride, stride, length, places[s, 1], plain, ramp)
        _share_out(plain, ramp, shares[s], s == begin, blended, carry)
