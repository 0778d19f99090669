"""The descriptors of `lbp` as ONNX nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eyevsai_shallow.lbp import (
    ACROSS,
    ALONG,
    DIRECTIONS,
    PATTERNS,
    pattern_table,
    turned_table,
)

if TYPE_CHECKING:
    from eyevsai_shallow.weave import Weave

__all__ = ["lbp_count_nodes", "pool_nodes", "root_nodes", "turned_nodes"]


def lbp_count_nodes(w: Weave, grey: str, side: int, cells: int) -> str:
    """Weave `lbp_codes` and `lbp_counts`: float32 (n, 1, side, side) -> float64 (n, c, c, 59)."""
    kernel = np.zeros((8, 1, 3, 3))
    for bit, (down, right) in enumerate(DIRECTIONS):
        if down and right:
            kernel[bit, 0, 1 + down, 1] = ALONG
            kernel[bit, 0, 1, 1 + right] = ALONG
            kernel[bit, 0, 1 + down, 1 + right] = ACROSS
        else:
            kernel[bit, 0, 1 + down, 1 + right] = 1
        kernel[bit, 0, 1, 1] = -kernel[bit].sum()
    # Integers below 2**24: float32 is exact whatever the order of the convolution's sums.
    differences = w.add("Conv", grey, w.floats(kernel), pads=[1, 1, 1, 1])
    bright = w.add("GreaterOrEqual", differences, w.floats(0.0))
    bits = w.reshape(w.cast(bright, np.float32), 0, 8, side * side)
    code = w.add("MatMul", w.floats([2.0 ** np.arange(8)]), bits)
    flat = w.reshape(w.cast(code, np.int32), 0, side * side)
    pattern = w.add("Gather", w.ints(pattern_table()), flat)
    row = np.arange(side) // (side // cells)
    region = ((row[:, None] * cells + row) * PATTERNS).reshape(1, -1)
    counts = w.count(w.add("Add", pattern, w.ints(region)), cells * cells * PATTERNS)
    return w.reshape(counts, 0, cells, cells, PATTERNS)


def pool_nodes(w: Weave, counts: str, *, fine: int, cells: int, bins: int) -> str:
    """Weave `pool_counts`: float64 (n, fine, fine, bins) -> (n, cells, cells, bins)."""
    step = fine // cells
    if step == 1:
        return counts
    return w.total(w.reshape(counts, 0, cells, step, cells, step, bins), [2, 4])


def root_nodes(w: Weave, counts: str, total: int, length: int) -> str:
    """Weave `root_shares`: float64 (n, ...) -> float32 (n, length)."""
    share = w.add("Div", counts, w.doubles(float(total)))
    return w.reshape(w.cast(w.add("Sqrt", share), np.float32), 0, length)


def turned_nodes(w: Weave, counts: str) -> str:
    """Add up regions and turned patterns: float64 (n, cells, cells, 59) -> (n, 10)."""
    whole = w.total(counts, [1, 2])
    return w.add("MatMul", whole, w.doubles(turned_table()))
