"""The descriptors of `texture` as ONNX nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eyevsai_shallow.texture import LEVELS, OFFSETS, PROPERTIES, SUMS, property_sums

if TYPE_CHECKING:
    from eyevsai_shallow.weave import Weave

__all__ = ["texture_nodes"]

_TABLE = LEVELS * LEVELS


def texture_nodes(w: Weave, grey: str, side: int) -> str:
    """Weave `pair_counts` and `texture_properties`: float32 (n, 1, side, side) -> (n, 24)."""
    level = w.add("Floor", w.add("Mul", grey, w.floats(1 / LEVELS)))
    parts = []
    for k, (row, column) in enumerate(OFFSETS):
        left, right = max(0, -column), side - max(0, column)
        first = w.cut(level, [2, 3], [0, left], [side - row, right])
        second = w.cut(level, [2, 3], [row, left + column], [side, right + column])
        pair = w.add("Add", w.add("Mul", first, w.floats(float(LEVELS))), second)
        place = w.add("Add", pair, w.floats(float(k * _TABLE)))
        parts.append(w.reshape(place, 0, (side - row) * (right - left)))
    places = w.cast(w.add("Concat", *parts, axis=1), np.int64)
    counts = w.reshape(w.count(places, len(OFFSETS) * _TABLE), 0, len(OFFSETS), _TABLE)
    return _properties(w, counts)


def _properties(w: Weave, counts: str) -> str:
    product = w.add("MatMul", counts, w.doubles(property_sums()))
    total, contrast, apart, near, i, j, ii, jj = w.split(product, SUMS, axis=2)
    squares = w.add("ReduceSum", w.add("Mul", counts, counts), w.ints([2]), keepdims=1)
    asm = w.add("Div", squares, w.add("Mul", total, total))
    both = w.add("Div", w.add("Sub", w.add("Add", ii, jj), contrast), w.doubles(2.0))
    covariance = w.add("Sub", w.add("Mul", total, both), w.add("Mul", i, j))

    def deviation(square: str, plain: str) -> str:
        variance = w.add("Sub", w.add("Mul", total, square), w.add("Mul", plain, plain))
        return w.add("Sqrt", variance)

    spread = w.add("Mul", deviation(ii, i), deviation(jj, j))
    one = w.doubles(1.0)
    # A spread is zero or at least one: it comes from integers.
    flat = w.add("Less", spread, w.doubles(0.5))
    quotient = w.add("Div", covariance, w.add("Where", flat, one, spread))
    correlation = w.add("Where", flat, one, quotient)
    columns = [w.add("Div", value, total) for value in (contrast, apart, near)]
    table = w.add("Concat", *columns, asm, w.add("Sqrt", asm), correlation, axis=2)
    return w.reshape(w.cast(table, np.float32), 0, len(OFFSETS) * len(PROPERTIES))
