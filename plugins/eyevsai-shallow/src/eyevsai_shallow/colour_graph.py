"""The descriptors of `colour` as ONNX nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eyevsai_shallow.colour import HsvBins, value_table

if TYPE_CHECKING:
    from eyevsai_shallow.weave import Weave

__all__ = ["colour_count_nodes", "thumbnail_nodes"]


def colour_count_nodes(w: Weave, planes: str, side: int, cells: int, bins: HsvBins) -> str:
    """Weave `colour_codes` and `colour_counts`.

    float32 (n, 3, side, side) -> float64 (n, cells, cells, bins.total).
    """
    code = _codes(w, planes, bins)
    flat = w.reshape(w.cast(code, np.int64), 0, side * side)
    row = np.arange(side) // (side // cells)
    region = ((row[:, None] * cells + row) * bins.total).reshape(1, -1)
    counts = w.count(w.add("Add", flat, w.ints(region)), cells * cells * bins.total)
    return w.reshape(counts, 0, cells, cells, bins.total)


def _codes(w: Weave, planes: str, bins: HsvBins) -> str:
    red, green, blue = w.split(planes, 3, axis=1)
    top = w.add("Max", red, green, blue)
    spread = w.add("Sub", top, w.add("Min", red, green, blue))

    def sixths(plus: str, minus: str, start: int) -> str:
        difference = w.add("Sub", plus, minus)
        return w.add("Add", difference, w.add("Mul", spread, w.floats(float(start))))

    next_red = w.add("Sub", green, blue)
    is_red, is_green = w.add("Equal", red, top), w.add("Equal", green, top)
    rest = w.add("Where", is_green, sixths(blue, red, 2), sixths(red, green, 4))
    open_hue = w.add("Where", is_red, next_red, rest)
    circle = w.add("Mul", spread, w.floats(6.0))
    negative = w.cast(w.add("Less", open_hue, w.floats(0.0)), np.float32)
    hue = w.add("Add", open_hue, w.add("Mul", negative, circle))
    some = w.add("Mul", w.add("Max", spread, w.floats(1.0)), w.floats(6.0))
    hue_bin = w.add("Floor", w.add("Div", w.add("Mul", hue, w.floats(float(bins.hue))), some))
    brightest = w.add("Max", top, w.floats(1.0))
    part = w.add("Div", w.add("Mul", spread, w.floats(float(bins.saturation))), brightest)
    saturation_bin = w.add("Min", w.add("Floor", part), w.floats(float(bins.saturation - 1)))
    value_bin = w.add("Gather", w.floats(value_table(bins.value)), w.cast(top, np.int32))
    joint = w.add("Mul", hue_bin, w.floats(float(bins.saturation)))
    joint = w.add("Mul", w.add("Add", joint, saturation_bin), w.floats(float(bins.value)))
    return w.add("Add", joint, value_bin)


def thumbnail_nodes(w: Weave, planes: str, side: int, cells: int) -> str:
    """Weave `thumbnail`: float32 (n, 3, side, side) -> float32 (n, 3 * cells * cells)."""
    step = side // cells
    gather = np.repeat(np.eye(cells), step, axis=0)
    across = w.add("MatMul", planes, w.floats(gather))
    total = w.add("MatMul", w.floats(gather.T), across)
    mean = w.add("Div", w.cast(total, np.float64), w.doubles(float(step * step * 255)))
    return w.reshape(w.cast(mean, np.float32), 0, 3 * cells * cells)
