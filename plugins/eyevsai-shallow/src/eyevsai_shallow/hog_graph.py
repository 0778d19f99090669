"""The descriptors of `hog` as ONNX nodes: the same integers, the same order of sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eyevsai_shallow.hog import BINS, CLIP, EPS2, LENGTH_UNIT, REACH, ROUNDING, gradient_tables

if TYPE_CHECKING:
    from eyevsai_shallow.weave import Weave

__all__ = ["histogram_nodes", "hog_nodes"]


def histogram_nodes(w: Weave, planes: str, channels: int, side: int, cells: int) -> str:
    """Weave `cell_histograms`.

    float32 (n, channels, side, side) -> float64 (n, 18, cells, cells).
    """
    bins, _ = gradient_tables()
    index, square = _gradients(w, planes, channels, side)
    flat = w.reshape(w.cast(index, np.int32), 0, side * side)
    row = np.arange(side) // (side // cells)
    cell = (row[:, None] * cells + row).reshape(1, -1)
    area = cells * cells
    # Looked up as bytes, which keeps the file small, and widened afterwards.
    orientation = w.cast(w.add("Gather", w.hold(bins, np.uint8), flat), np.int64)
    place = w.add("Add", w.add("Mul", orientation, w.ints(area)), w.ints(cell))
    # The square root of an integer is rounded correctly: the same number as in the table.
    unit = w.doubles(LENGTH_UNIT)
    root = w.add("Mul", w.add("Sqrt", w.cast(square, np.float64)), unit)
    length = w.reshape(w.add("Div", w.add("Round", root), unit), 0, side * side)
    return w.reshape(w.scatter_sum(place, length, BINS * area), 0, BINS, cells, cells)


def _gradients(w: Weave, planes: str, channels: int, side: int) -> tuple[str, str]:
    """Weave `_gradient_index` of `hog`.

    Returns each pixel's place in the tables and the square of its gradient's length, both
    float32 (n, 1, side, side), whole numbers.
    """
    # A mirrored border makes the difference across it zero, as the array code has it.
    padded = w.add("Pad", planes, w.ints([0, 0, 1, 1, 0, 0, 1, 1]), mode="reflect")

    def shifted(down: int, right: int) -> str:
        return w.cut(padded, [2, 3], [1 + down, 1 + right], [1 + down + side, 1 + right + side])

    gx = w.add("Sub", shifted(0, 1), shifted(0, -1))
    gy = w.add("Sub", shifted(1, 0), shifted(-1, 0))
    squares = w.add("Add", w.add("Mul", gx, gx), w.add("Mul", gy, gy))
    places = w.add("Add", w.add("Mul", gy, w.floats(float(REACH))), gx)
    places = w.add("Add", places, w.floats(float(255 * REACH + 255)))
    if channels == 1:
        return places, squares
    place, *other_places = w.split(places, channels, axis=1)
    square, *other_squares = w.split(squares, channels, axis=1)
    for other_place, other_square in zip(other_places, other_squares, strict=True):
        longer = w.add("Greater", other_square, square)
        place = w.add("Where", longer, other_place, place)
        square = w.add("Max", other_square, square)
    return place, square


def hog_nodes(w: Weave, histograms: str, *, fine: int, cells: int, area: int, signed: bool) -> str:
    """Weave `hog_blocks`: float64 (n, 18, fine, fine) -> float32 (n, length)."""
    step, half = fine // cells, BINS // 2
    if step > 1:
        parted = w.reshape(histograms, 0, BINS, cells, step, cells, step)
        histograms = w.total(parted, [3, 5])
    if not signed:
        one = w.cut(histograms, [1], [0], [half])
        histograms = w.add("Add", one, w.cut(histograms, [1], [half], [BINS]))
    bins = BINS if signed else half
    mean = w.add("Div", histograms, w.doubles(float(area)))
    squares = w.split(w.add("Mul", mean, mean), bins, axis=1)
    energy = squares[0]
    for square in squares[1:]:
        energy = w.add("Add", energy, square)
    blocks = cells - 1
    corners = [(r, c) for r in (0, 1) for c in (0, 1)]

    def corner(value: str, r: int, c: int) -> str:
        return w.cut(value, [2, 3], [r, c], [r + blocks, c + blocks])

    near = [corner(energy, r, c) for r, c in corners]
    total = w.add("Add", w.add("Add", w.add("Add", near[0], near[1]), near[2]), near[3])
    scale = w.add("Sqrt", w.add("Add", total, w.doubles(EPS2)))
    shares = [w.add("Div", corner(mean, r, c), scale) for r, c in corners]
    layers = [w.reshape(share, 0, 1, bins, blocks, blocks) for share in shares]
    stack = w.add("Min", w.add("Concat", *layers, axis=1), w.doubles(CLIP))
    unit = w.doubles(ROUNDING)
    stack = w.add("Div", w.add("Round", w.add("Mul", stack, unit)), unit)
    again = w.add("ReduceSum", w.add("Mul", stack, stack), w.ints([1, 2]), keepdims=1)
    norm = w.add("Sqrt", w.add("Add", again, w.doubles(EPS2)))
    done = w.cast(w.add("Div", stack, norm), np.float32)
    ordered = w.add("Transpose", done, perm=[0, 3, 4, 1, 2])
    return w.reshape(ordered, 0, blocks * blocks * 4 * bins)
