"""Building the artefact: preprocessing + model + calibration -> one ONNX graph.

Input ``image``: uint8 (height, width, 3), or a batch (n, height, width, 3) of one size. Output
``probabilities``: float32 (n, n_classes). Opset 18 or later of the standard operators, an IR
version that runtimes of the last two years read, everything inside one file.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from eyevsai_core.calibration import LEAST_LOG, STEEPEST
from eyevsai_core.errors import ExportError
from eyevsai_core.resize_graph import resize_nodes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eyevsai_core.calibration import Calibration

__all__ = [
    "FORMAT_VERSION",
    "INPUT",
    "MAX_IR_VERSION",
    "MAX_ML_OPSET",
    "OPSETS",
    "OUTPUT",
    "build_artefact",
    "calibration_nodes",
    "with_metadata",
]

FORMAT_VERSION = 1
INPUT, OUTPUT = "image", "probabilities"
OPSETS = range(18, 22)
MAX_ML_OPSET = 3
MAX_IR_VERSION = 10
_PREFIX, _PIXELS, _SCORES = "model/", "pixels", "scores"
_ML_DOMAIN = "ai.onnx.ml"
_IR_OF_LATE_OPSETS = (21, 10)  # opset 21 needs IR 10
_EARLY_IR = 9


def build_artefact(
    fragment: onnx.ModelProto,
    *,
    classes: Sequence[str],
    image_size: int,
    calibration: Calibration,
    metadata: Mapping[str, str],
) -> onnx.ModelProto:
    """Wrap a family's fragment (``pixels`` -> ``scores``) into an artefact.

    `fragment` takes uint8 (n, size, size, 3) and gives float32 logits (n, n_classes). Raises
    `ExportError` when it does not keep that contract.
    """
    opset, ml_opset = _opsets(fragment)
    _check_fragment(fragment, image_size=image_size, n_classes=len(classes))
    inner = onnx.compose.add_prefix(fragment, _PREFIX).graph
    nodes = [
        *_as_batch(INPUT, "batch"),
        *resize_nodes(image_size, "batch", "pixels", prefix="resize/"),
        helper.make_node("Identity", ["pixels"], [_PREFIX + _PIXELS]),
        *inner.node,
        *calibration_nodes(calibration, _PREFIX + _SCORES, OUTPUT),
    ]
    graph = helper.make_graph(
        nodes,
        "eyevsai",
        # No shape at all: one picture or a batch, of any height and width.
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, None)],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", len(classes)])],
        initializer=list(inner.initializer),
    )
    imports = [helper.make_opsetid("", opset)]
    if ml_opset:
        imports.append(helper.make_opsetid(_ML_DOMAIN, ml_opset))
    ir_version = MAX_IR_VERSION if opset >= _IR_OF_LATE_OPSETS[0] else _EARLY_IR
    model = helper.make_model(
        graph, opset_imports=imports, ir_version=ir_version, producer_name="eyevsai"
    )
    own = {
        "format_version": str(FORMAT_VERSION),
        "classes": json.dumps(list(classes), ensure_ascii=False),
        "input_size": str(image_size),
        "calibration": calibration.method,
    }
    return with_metadata(model, {**metadata, **own})


def with_metadata(model: onnx.ModelProto, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Return a copy of `model` that carries these texts beside those it has. Checks the result.

    Raises `ExportError` when ONNX's own checker refuses the graph.
    """
    merged = {entry.key: entry.value for entry in model.metadata_props} | dict(metadata)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.metadata_props[:]
    helper.set_model_props(copy, {key: merged[key] for key in sorted(merged)})
    # The checker insists on a rank, and a picture or a batch has two: check the batch.
    batch = onnx.ModelProto()
    batch.CopyFrom(copy)
    batch.graph.input[0].type.tensor_type.shape.CopyFrom(
        helper.make_tensor_type_proto(TensorProto.UINT8, ["n", "h", "w", 3]).tensor_type.shape
    )
    try:
        onnx.checker.check_model(batch)
    except (onnx.checker.ValidationError, ValueError) as error:
        raise ExportError(f"the artefact is not valid ONNX: {error}") from error
    return copy


def _opsets(fragment: onnx.ModelProto) -> tuple[int, int]:
    found: dict[str, int] = {}
    for entry in fragment.opset_import:
        domain = "" if entry.domain == "ai.onnx" else entry.domain
        found[domain] = max(entry.version, found.get(domain, 0))
    opset, ml_opset = found.pop("", 0), found.pop(_ML_DOMAIN, 0)
    if opset not in OPSETS or ml_opset > MAX_ML_OPSET or found:
        raise ExportError(
            f"a family's graph must use opset {OPSETS[0]} to {OPSETS[-1]} and at most "
            f"{_ML_DOMAIN} {MAX_ML_OPSET}, but uses opset {opset}, {_ML_DOMAIN} {ml_opset} and "
            f"{sorted(found) or 'no other domain'}"
        )
    return opset, ml_opset


def _check_fragment(fragment: onnx.ModelProto, *, image_size: int, n_classes: int) -> None:
    graph = fragment.graph
    names = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in names]
    given = [value.name for value in inputs], [value.name for value in graph.output]
    if given != ([_PIXELS], [_SCORES]):
        raise ExportError(
            f"a family's graph must have the one input {_PIXELS!r} and the one output {_SCORES!r}, "
            f"but has {given[0]} and {given[1]}"
        )
    _check_value(inputs[0], TensorProto.UINT8, (None, image_size, image_size, 3))
    _check_value(graph.output[0], TensorProto.FLOAT, (None, n_classes))
    if (
        fragment.functions
        or graph.sparse_initializer
        or any(tensor.data_location == TensorProto.EXTERNAL for tensor in graph.initializer)
    ):
        raise ExportError(
            "a family's graph must be whole in itself: no local functions, no sparse tensors and "
            "no external data"
        )


def _check_value(value: onnx.ValueInfoProto, dtype: int, wanted: tuple[int | None, ...]) -> None:
    """Compare a declared type and shape with the contract; a dimension may be left open."""
    tensor = value.type.tensor_type
    shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim)
    fits = len(shape) == len(wanted) and all(
        None in (is_, should) or is_ == should for is_, should in zip(shape, wanted, strict=True)
    )
    if tensor.elem_type != dtype or (tensor.HasField("shape") and not fits):
        raise ExportError(
            f"{value.name!r} of a family's graph must be {_type_name(dtype)} of "
            f"shape {('n', *wanted[1:])}, but is "
            f"{_type_name(tensor.elem_type)} of shape {shape}"
        )


def _type_name(dtype: int) -> str:
    return TensorProto.DataType.Name(dtype).lower()


def _constant(name: str, value: object, dtype: type) -> onnx.NodeProto:
    tensor = numpy_helper.from_array(np.asarray(value, dtype), name)
    return helper.make_node("Constant", [], [name], value=tensor)


def _as_batch(source: str, output: str) -> list[onnx.NodeProto]:
    """Add the batch axis to a single picture; leave a batch as it is."""
    return [
        helper.make_node("Shape", [source], ["batch/tail"], start=-3),
        _constant("batch/any", [-1], np.int64),
        helper.make_node("Concat", ["batch/any", "batch/tail"], ["batch/shape"], axis=0),
        helper.make_node("Reshape", [source, "batch/shape"], [output]),
    ]


def calibration_nodes(
    calibration: Calibration, source: str, output: str, *, prefix: str = "calibration/"
) -> list[onnx.NodeProto]:
    """Return the nodes that compute `Calibration.apply`, from scores to probabilities."""
    p = prefix
    if calibration.method == "none":
        return [helper.make_node("Softmax", [source], [output], axis=-1)]
    if calibration.method == "temperature":
        return [
            _constant(p + "inverse", 1 / calibration.parameters["temperature"], np.float32),
            helper.make_node("Mul", [source, p + "inverse"], [p + "scaled"]),
            helper.make_node("Softmax", [p + "scaled"], [output], axis=-1),
        ]
    nodes = _platt if calibration.method == "platt" else _isotonic
    return [
        *nodes(calibration, source, p),
        _constant(p + "last", [-1], np.int64),
        helper.make_node("ReduceSum", [p + "shaped", p + "last"], [p + "sum"], keepdims=1),
        helper.make_node("Div", [p + "shaped", p + "sum"], [output]),
    ]


def _platt(calibration: Calibration, source: str, p: str) -> list[onnx.NodeProto]:
    """1 / (1 + exp(-line)) in full: the runtime's own Sigmoid is coarse far below zero."""
    return [
        helper.make_node("LogSoftmax", [source], [p + "all"], axis=-1),
        _constant(p + "least", LEAST_LOG, np.float32),
        helper.make_node("Max", [p + "all", p + "least"], [p + "log"]),
        _constant(p + "a", calibration.parameters["a"], np.float32),
        _constant(p + "b", calibration.parameters["b"], np.float32),
        helper.make_node("Mul", [p + "log", p + "a"], [p + "slope"]),
        helper.make_node("Add", [p + "slope", p + "b"], [p + "steep"]),
        _constant(p + "low", -STEEPEST, np.float32),
        _constant(p + "high", STEEPEST, np.float32),
        helper.make_node("Clip", [p + "steep", p + "low", p + "high"], [p + "line"]),
        _constant(p + "one", 1, np.float32),
        helper.make_node("Neg", [p + "line"], [p + "minus"]),
        helper.make_node("Exp", [p + "minus"], [p + "odds"]),
        helper.make_node("Add", [p + "odds", p + "one"], [p + "whole"]),
        helper.make_node("Reciprocal", [p + "whole"], [p + "shaped"]),
    ]


def _isotonic(calibration: Calibration, source: str, p: str) -> list[onnx.NodeProto]:
    base, start, length, slope = calibration.ramps()
    return [
        helper.make_node("Softmax", [source], [p + "raw"], axis=-1),
        _constant(p + "axis", [-1], np.int64),
        helper.make_node("Unsqueeze", [p + "raw", p + "axis"], [p + "column"]),
        _constant(p + "start", start, np.float32),
        _constant(p + "length", length, np.float32),
        _constant(p + "slope", slope, np.float32),
        _constant(p + "zero", 0, np.float32),
        _constant(p + "base", base, np.float32),
        helper.make_node("Sub", [p + "column", p + "start"], [p + "past"]),
        helper.make_node("Max", [p + "past", p + "zero"], [p + "begun"]),
        helper.make_node("Min", [p + "begun", p + "length"], [p + "covered"]),
        helper.make_node("Mul", [p + "covered", p + "slope"], [p + "rise"]),
        helper.make_node("ReduceSum", [p + "rise", p + "axis"], [p + "risen"], keepdims=0),
        helper.make_node("Add", [p + "risen", p + "base"], [p + "shaped"]),
    ]
