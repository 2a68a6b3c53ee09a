"""What numba's own vectoriser does not find: four output columns at a time, as LLVM vectors; and rows by address.

With the JIT disabled (NUMBA_DISABLE_JIT=1) the same functions are plain Python.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from .jit import BOUNDS_CHECKED, DISABLED, carray, cgutils, compiled, inlined, intrinsic, ir, types

LANES = 4
BLOCK = 32
_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_LANE = ir.IntType(32)


def _load(builder: Any, base: Any, index: Any, kind: Any = _VECTOR) -> Any:
    pointer = builder.bitcast(builder.gep(base, [index]), kind.as_pointer())
    return builder.load(pointer, align=4)


def _fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return builder.fadd(builder.fmul(a, b, flags=("contract",)), c, flags=("contract",))


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """Transpose four vectors of four."""

    def shuffle(a: Any, b: Any, lanes: tuple[int, ...]) -> Any:
        return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_LANE, LANES), list(lanes)))

    low = [shuffle(rows[0], rows[1], (0, 4, 1, 5)), shuffle(rows[2], rows[3], (0, 4, 1, 5))]
    high = [shuffle(rows[0], rows[1], (2, 6, 3, 7)), shuffle(rows[2], rows[3], (2, 6, 3, 7))]
    return [shuffle(a, b, lanes) for a, b in (low, high) for lanes in ((0, 1, 4, 5), (2, 3, 6, 7))]


def _data(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    return context.make_array(kind)(context, builder, value).data


def _blend_four_code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    arrays = [
        _data(context, builder, kind, value) for kind, value in zip(signature.args[:5], arguments[:5], strict=True)
    ]
    row, starts, weights, normaliser, out = arrays
    group, taps, step, at, plane, channels = arguments[5:]
    index = group.type

    def constant(number: int) -> Any:
        return ir.Constant(index, number)

    first = builder.mul(group, constant(LANES))
    bases = [
        builder.sext(builder.load(builder.gep(starts, [builder.add(first, constant(lane))])), index)
        for lane in range(LANES)
    ]
    weight_base = builder.mul(first, taps)
    zero = ir.Constant(_VECTOR, [0.0] * LANES)
    sums = [cgutils.alloca_once_value(builder, zero) for _ in range(LANES)]
    for total in sums:
        builder.store(zero, total)
    with cgutils.for_range(builder, taps, intp=index) as loop:
        offset = builder.mul(loop.index, step)
        four_weights = builder.add(weight_base, builder.mul(loop.index, constant(LANES)))
        for lane in range(LANES):
            pixel = _load(builder, row, builder.add(bases[lane], offset))
            weight = builder.load(builder.gep(weights, [builder.add(four_weights, constant(lane))]))
            one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), weight, ir.Constant(_LANE, 0))
            spread = builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_LANE, LANES), [0] * LANES))
            builder.store(_fused(builder, pixel, spread, builder.load(sums[lane])), sums[lane])
    scale, shift = _load(builder, normaliser, constant(0)), _load(builder, normaliser, constant(LANES))
    planes = _transposed(builder, [_fused(builder, builder.load(total), scale, shift) for total in sums])
    for channel, values in enumerate(planes):
        with builder.if_then(builder.icmp_signed("<", constant(channel), channels)):
            target = builder.gep(out, [builder.add(at, builder.mul(plane, constant(channel)))])
            builder.store(values, builder.bitcast(target, _VECTOR.as_pointer()), align=4)
    return context.get_dummy_value()


def _blend_four(
    typing_context: Any,
    row: Any,
    starts: Any,
    weights: Any,
    normaliser: Any,
    out: Any,
    group: Any,
    taps: Any,
    step: Any,
    at: Any,
    plane: Any,
    channels: Any,
) -> Any:
    """Blend, normalise and store four output columns of up to four channels.

    row: float32, interleaved; starts: int32, four a group; weights: float32, (groups, taps, 4), flat; normaliser:
    float32, four scales and four offsets; out: float32, flat. Channel c goes to out[at + c * plane] and the three
    behind. Nothing is checked; see `blend_four`.
    """
    return types.void(row, starts, weights, normaliser, out, group, taps, step, at, plane, channels), _blend_four_code


def _blend_four_in_python(
    row: Any,
    starts: Any,
    weights: Any,
    normaliser: Any,
    out: Any,
    group: int,
    taps: int,
    step: int,
    at: int,
    plane: int,
    channels: int,
) -> None:
    for lane in range(LANES):
        start = starts[LANES * group + lane]
        for c in range(channels):
            total = np.float32(0.0)
            for t in range(taps):
                total += row[start + t * step + c] * weights[(group * taps + t) * LANES + lane]
            out[at + c * plane + lane] = total * normaliser[c] + normaliser[LANES + c]


def _sum_block_code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    address, stride, count, x = arguments[:4]
    plain, ramp = (_data(context, builder, signature.args[i], arguments[i]) for i in (4, 5))
    words = ir.VectorType(ir.IntType(16), BLOCK)
    zero = ir.Constant(words, [0] * BLOCK)
    total, prefixes = cgutils.alloca_once_value(builder, zero), cgutils.alloca_once_value(builder, zero)
    builder.store(zero, total)
    builder.store(zero, prefixes)
    first = builder.add(address, x)
    with cgutils.for_range(builder, count, intp=count.type) as loop:
        place = builder.add(first, builder.mul(loop.index, stride))
        pixels = builder.inttoptr(place, ir.VectorType(ir.IntType(8), BLOCK).as_pointer())
        row = builder.load(pixels, align=1)
        builder.store(builder.add(builder.load(total), builder.zext(row, words)), total)
        builder.store(builder.add(builder.load(prefixes), builder.load(total)), prefixes)
    one = builder.insert_element(zero, builder.trunc(count, ir.IntType(16)), ir.Constant(_LANE, 0))
    counts = builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_LANE, BLOCK), [0] * BLOCK))
    ramped = builder.sub(builder.mul(counts, builder.load(total)), builder.load(prefixes))
    for target, value in ((plain, builder.load(total)), (ramp, ramped)):
        builder.store(value, builder.bitcast(builder.gep(target, [x]), words.as_pointer()), align=2)
    return context.get_dummy_value()


def _sum_block(typing_context: Any, address: Any, stride: Any, count: Any, x: Any, plain: Any, ramp: Any) -> Any:
    """Sums, in 16 bits, of p[k] and of k * p[k] for bytes x..x+32 of `count` rows, into the same places of two arrays.

    The sum of all prefix sums is that of (count - k) * p[k], so that nothing but additions is needed inside.
    """
    return types.void(address, stride, count, x, plain, ramp), _sum_block_code


def _sum_block_in_python(address: int, stride: int, count: int, x: int, plain: Any, ramp: Any) -> None:
    plain[x : x + BLOCK] = 0
    ramp[x : x + BLOCK] = 0
    for k in range(count):
        row = _row_in_python(address + k * stride, x + BLOCK)[x:]
        plain[x : x + BLOCK] += row
        ramp[x : x + BLOCK] += k * row.astype(np.uint16)


def _to_pointer(typing_context: Any, address: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.CPointer(types.uint8)(address), code


@compiled
def _blend_four_checked(
    row: Any,
    starts: Any,
    weights: Any,
    normaliser: Any,
    out: Any,
    group: int,
    taps: int,
    step: int,
    at: int,
    plane: int,
    channels: int,
) -> None:
    """Touch the first and last element that the vectors cover, so that numba's bounds check sees them."""
    touched = normaliser[0] + normaliser[2 * LANES - 1] + weights[group * LANES * taps]
    touched += weights[(group + 1) * LANES * taps - 1]
    for lane in range(LANES):
        start = starts[LANES * group + lane]
        touched += row[start] + row[start + (taps - 1) * step + LANES - 1]
    for c in range(channels):
        out[at + c * plane] = touched
        out[at + c * plane + LANES - 1] = touched
    _blend_four_unchecked(row, starts, weights, normaliser, out, group, taps, step, at, plane, channels)


def _row_in_python(address: int, length: int) -> Any:
    memory: Any = (ctypes.c_uint8 * length).from_address(int(address))
    return np.frombuffer(memory, dtype=np.uint8)


@inlined
def _row(address: int, length: int) -> Any:
    return carray(_pointer(address), (length,), np.uint8)


_pointer: Any = intrinsic(_to_pointer)
_blend_four_unchecked: Any = intrinsic(_blend_four)
_fast: Any = _blend_four_checked if BOUNDS_CHECKED else _blend_four_unchecked

# blend_four: see `_blend_four`. sum_block: see `_sum_block`.
# row_at(address, length): uint8 (length,), the memory at an address.
blend_four: Any = _blend_four_in_python if DISABLED else _fast
sum_block: Any = _sum_block_in_python if DISABLED else intrinsic(_sum_block)
row_at: Any = _row_in_python if DISABLED else _row
