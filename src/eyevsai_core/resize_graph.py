"""The reference resize inside an ONNX graph, for pictures of any size.

The weights are computed in float64 from the picture's own height and width, rounded to 22-bit
fixed point as `resize_weights` does; the two passes are matrix products in float64, whose sums are
integers below 2**53 and therefore exact in any order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from eyevsai_core.resize import PRECISION_BITS

__all__ = ["resize_nodes"]

_BAND = 16
"""Rows of a result that are computed together; the fastest of 8, 16 and 32 for photographs."""


class _Weave:
    """Collects nodes and constants of one subgraph under a prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.count = 0

    def name(self, hint: str) -> str:
        self.count += 1
        return f"{self.prefix}{hint}_{self.count}"

    def constant(self, value: object, dtype: type) -> str:
        name = self.name("constant")
        tensor = numpy_helper.from_array(np.asarray(value, dtype), name)
        self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        return name

    def add(self, op: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        name = output or self.name(op.lower())
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def split(self, source: str, sizes: list[int], *, axis: int) -> list[str]:
        names = [self.name("part") for _ in sizes]
        lengths = self.constant(sizes, np.int64)
        self.nodes.append(helper.make_node("Split", [source, lengths], names, axis=axis))
        return names

    def gather(self, column: str, rows: list[int]) -> str:
        """Take some rows of float64 (n, 1) as int64 (rows,)."""
        taken = self.add("Gather", column, self.constant(rows, np.int64), axis=0)
        flat = self.add("Reshape", taken, self.constant([-1], np.int64))
        return self.add("Cast", flat, to=TensorProto.INT64)


def resize_nodes(
    size: int, source: str, output: str, *, prefix: str = "resize_"
) -> list[onnx.NodeProto]:
    """Return nodes that turn `source`, uint8 (n, h, w, 3), into `output` (n, size, size, 3).

    A picture that has the size already is passed through untouched (an `If`).
    """
    outer = _Weave(prefix)
    shape = outer.add("Shape", source, start=1, end=3)
    same = outer.add("Equal", shape, outer.constant([size, size], np.int64))
    both = outer.add(
        "Cast",
        outer.add("ReduceMin", outer.add("Cast", same, to=TensorProto.INT32), keepdims=0),
        to=TensorProto.BOOL,
    )
    as_is = _Weave(prefix + "same_")
    as_is.add("Identity", source, output=prefix + "as_is")
    resampled = _Weave(prefix + "do_")
    _two_passes(resampled, source, size, prefix + "resampled")
    outer.nodes.append(
        helper.make_node(
            "If",
            [both],
            [output],
            then_branch=_branch(as_is, prefix + "as_is"),
            else_branch=_branch(resampled, prefix + "resampled"),
        )
    )
    return outer.nodes


def _branch(weave: _Weave, output: str) -> onnx.GraphProto:
    info = helper.make_tensor_value_info(output, TensorProto.UINT8, None)
    return helper.make_graph(weave.nodes, output + "_branch", [], [info])


def _two_passes(w: _Weave, source: str, size: int, output: str) -> None:
    # The axis that a pass sums over stands before all others: then each band is one large product.
    across = _pass(w, w.add("Transpose", source, perm=[0, 2, 1, 3]), size)
    down = _pass(w, w.add("Transpose", across, perm=[0, 2, 1, 3]), size)
    w.add("Identity", down, output=output)


def _pass(w: _Weave, source: str, size: int) -> str:
    """Weave one pass over each picture's first axis: uint8 (n, length, m, 3) -> (n, size, m, 3).

    The weights far from the diagonal are zero, so the rows are taken in bands, each with just the
    pixels that it looks at: that saves most of the arithmetic, and most of the memory.
    """
    length = w.add("Shape", source, start=1, end=2)
    # In a new shape 0 means "as it was".
    flat = w.add("Reshape", source, w.constant([0, 0, -1], np.int64))
    weights, first, last = _weights(w, length, size)
    starts = list(range(0, size, _BAND))
    ends = [*starts[1:], size]
    rows = [end - start for start, end in zip(starts, ends, strict=True)]
    lows = w.split(w.gather(first, starts), [1] * len(rows), axis=0)
    highs = w.split(w.gather(last, [end - 1 for end in ends]), [1] * len(rows), axis=0)
    bands = w.split(weights, rows, axis=0)
    axis = w.constant([1], np.int64)
    totals = [
        w.add(
            "MatMul",
            w.add("Slice", band, low, high, axis),
            w.add("Cast", w.add("Slice", flat, low, high, axis), to=TensorProto.DOUBLE),
        )
        for band, low, high in zip(bands, lows, highs, strict=True)
    ]
    levels = w.add("Cast", _round(w, w.add("Concat", *totals, axis=1)), to=TensorProto.UINT8)
    return w.add("Reshape", levels, w.constant([0, size, -1, 3], np.int64))


def _round(w: _Weave, total: str) -> str:
    half = w.constant(2.0 ** (PRECISION_BITS - 1), np.float64)
    unit = w.constant(2.0**-PRECISION_BITS, np.float64)
    levels = w.add("Floor", w.add("Mul", w.add("Add", total, half), unit))
    low, high = w.constant(0.0, np.float64), w.constant(255.0, np.float64)
    return w.add("Min", w.add("Max", levels, low), high)


def _weights(w: _Weave, n_in: str, size: int) -> tuple[str, str, str]:
    """Weave `resize_weights` for a length that is known only when the graph runs.

    `n_in` is int64 (1,). Gives the weights, float64 (size, n_in), and the first and one past the
    last pixel of each row, float64 (size, 1). Integers are kept as floats after `Floor`, which is
    what the truncation of a non-negative number is.
    """
    zero, half, one = (w.constant(v, np.float64) for v in (0.0, 0.5, 1.0))
    length = w.add("Cast", n_in, to=TensorProto.DOUBLE)
    scale = w.add("Div", length, w.constant(float(size), np.float64))
    stretch = w.add("Max", scale, one)
    steps = w.constant((np.arange(size) + 0.5)[:, None], np.float64)
    centre = w.add("Mul", steps, scale)
    begin = w.add("Add", w.add("Sub", centre, stretch), half)
    # Truncation toward zero and flooring differ only below zero, where the maximum is zero.
    first = w.add("Max", w.add("Floor", begin), zero)
    end = w.add("Add", w.add("Add", centre, stretch), half)
    last = w.add("Min", w.add("Floor", end), length)
    scalar = w.add("Squeeze", n_in)
    places = w.add("Range", w.constant(0, np.int64), scalar, w.constant(1, np.int64))
    place = w.add("Cast", places, to=TensorProto.DOUBLE)
    inside = w.add("And", w.add("GreaterOrEqual", place, first), w.add("Less", place, last))
    relative = w.add("Sub", place, first)
    offset = w.add("Add", w.add("Sub", w.add("Add", relative, first), centre), half)
    slope = w.add("Abs", w.add("Mul", offset, w.add("Div", one, stretch)))
    triangle = w.add(
        "Mul",
        w.add("Max", w.add("Sub", one, slope), zero),
        w.add("Cast", inside, to=TensorProto.DOUBLE),
    )
    axis = w.constant([1], np.int64)
    share = w.add("Div", triangle, w.add("ReduceSum", triangle, axis, keepdims=1))
    scaled = w.add("Mul", share, w.constant(2.0**PRECISION_BITS, np.float64))
    return w.add("Floor", w.add("Add", scaled, half)), first, last
