"""Collects ONNX nodes and constants under a prefix, so that graph code reads like array code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    import numpy.typing as npt
    import onnx

__all__ = ["Weave"]

_TYPES = {
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "uint8": TensorProto.UINT8,
}


class Weave:
    """Nodes and initializers; every method returns the name of the value it made."""

    def __init__(self, prefix: str) -> None:
        """Start with nothing; all names begin with `prefix`."""
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def hold(self, value: npt.ArrayLike, dtype: npt.DTypeLike) -> str:
        """Keep a constant; equal constants are kept once."""
        array = np.ascontiguousarray(np.asarray(value, dtype)).reshape(np.shape(value))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = f"{self.prefix}constant_{len(self.initializers)}"
            self.initializers.append(numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def floats(self, value: npt.ArrayLike) -> str:
        """Keep a float32 constant."""
        return self.hold(value, np.float32)

    def doubles(self, value: npt.ArrayLike) -> str:
        """Keep a float64 constant."""
        return self.hold(value, np.float64)

    def ints(self, value: npt.ArrayLike) -> str:
        """Keep an int64 constant."""
        return self.hold(value, np.int64)

    def add(self, op: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node with one output."""
        name = output or f"{self.prefix}{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def split(self, value: str, parts: int, *, axis: int) -> list[str]:
        """Cut an axis into single entries, each keeping the axis."""
        names = [f"{self.prefix}split_{len(self.nodes)}_{i}" for i in range(parts)]
        sizes = self.ints([1] * parts)
        self.nodes.append(helper.make_node("Split", [value, sizes], names, axis=axis))
        return names

    def cast(self, value: str, dtype: npt.DTypeLike) -> str:
        """Convert the element type."""
        return self.add("Cast", value, to=_TYPES[np.dtype(dtype).name])

    def reshape(self, value: str, *shape: int) -> str:
        """Reshape; 0 keeps a dimension. Give no -1: it cannot be inferred for an empty batch."""
        return self.add("Reshape", value, self.ints(shape))

    def cut(self, value: str, axes: list[int], starts: list[int], ends: list[int]) -> str:
        """Take a range along each of some axes."""
        return self.add("Slice", value, self.ints(starts), self.ints(ends), self.ints(axes))

    def total(self, value: str, axes: list[int]) -> str:
        """Sum over axes, which disappear."""
        return self.add("ReduceSum", value, self.ints(axes), keepdims=0)

    def scatter_sum(self, places: str, values: str, length: int) -> str:
        """Add up rows of float64 `values` (n, m) at int64 `places` (n, m): (n, length)."""
        rows = self.add("Shape", places, start=0, end=1)
        shape = self.add("Concat", rows, self.ints([length]), axis=0)
        zeros = self.add("Expand", self.doubles([[0.0]]), shape)
        return self.add("ScatterElements", zeros, places, values, axis=1, reduction="add")

    def count(self, places: str, length: int) -> str:
        """Count how often each of 0..length-1 occurs in rows of int64 `places` (n, m)."""
        ones = self.add("Expand", self.doubles([[1.0]]), self.add("Shape", places))
        return self.scatter_sum(places, ones, length)
