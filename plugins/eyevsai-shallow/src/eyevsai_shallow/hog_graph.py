"""The descriptors of `hog` as ONNX nodes: the same integers, the same order of sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eyevsai_shallow.hog import BINS, CLIP, EPS2, REACH, ROUNDING, gradient_tables

if TYPE_CHECKING:
    from eyevsai_shallow.weave import Weave

__all__ = ["histogram_nodes", "hog_nodes"]


def histogram_nodes(w: Weave, planes: str, channels: int, side: int, cells: int) -> str:
    """Weave `cell_histograms`.

    float32 (n, channels, side, side) -> float64 (n, 18, cells, cells).
    """
    bins, lengths = gradient_tables()
    index = w.cast(_gradient_index(w, planes, channels), np.int32)
    flat = w.reshape(index, 0, side * side)
    row = np.arange(side) // (side // cells)
    cell = (row[:, None] * cells + row).reshape(1, -1)
    area = cells * cells
    # The tables stay small in the file (a byte and a float each) and are widened after the look-up.
    orientation = w.cast(w.add("Gather", w.hold(bins, np.uint8), flat), np.int64)
    place = w.add("Add", w.add("Mul", orientation, w.ints(area)), w.ints(cell))
    length = w.cast(w.add("Gather", w.floats(lengths), flat), np.float64)
    return w.reshape(w.scatter_sum(place, length, BINS * area), 0, BINS, cells, cells)


def _gradient_index(w: Weave, planes: str, channels: int) -> str:
    """Weave `_gradient_index` of `hog`: float32 (n, 1, side, side), whole numbers."""
    # A mirrored border makes the difference across it zero, as the array code has it.
    padded = w.add("Pad", planes, w.ints([0, 0, 1, 1, 0, 0, 1, 1]), mode="reflect")
    kernel = np.zeros((2, 1, 3, 3))
    kernel[0, 0, 1] = -1, 0, 1
    kernel[1, 0, :, 1] = -1, 0, 1
    both = w.add("Conv", padded, w.floats(np.tile(kernel, (channels, 1, 1, 1))), group=channels)
    parts = w.split(both, 2 * channels, axis=1)
    best_x, best_y = parts[:2]
    longest = _square(w, best_x, best_y) if channels > 1 else ""
    for x, y in zip(parts[2::2], parts[3::2], strict=True):
        square = _square(w, x, y)
        longer = w.add("Greater", square, longest)
        best_x, best_y = w.add("Where", longer, x, best_x), w.add("Where", longer, y, best_y)
        longest = w.add("Max", square, longest)
    rows = w.add("Mul", best_y, w.floats(float(REACH)))
    return w.add("Add", w.add("Add", rows, best_x), w.floats(float(255 * REACH + 255)))


def _square(w: Weave, x: str, y: str) -> str:
    return w.add("Add", w.add("Mul", x, x), w.add("Mul", y, y))


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
