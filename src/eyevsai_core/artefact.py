"""Opening an artefact safely: everything is checked before a runtime sees the file.

An ONNX file from elsewhere may name other files, claim tensors larger than memory, bring its own
operators or loop for ever. Here it must be what `graph` writes: one file, standard operators from
a list, one input and one output, tensors whose bytes are there.

What stays possible is a graph of allowed operators that takes long, or that meets a defect of the
runtime: a model from a stranger is best run in a process of its own.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper

from eyevsai_core.errors import ModelCorruptError
from eyevsai_core.graph import (
    FORMAT_VERSION,
    INPUT,
    MAX_IR_VERSION,
    MAX_ML_OPSET,
    OPSETS,
    OUTPUT,
)
from eyevsai_core.wire import parsing_cost

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAX_ARTEFACT_BYTES", "ArtefactInfo", "check_artefact"]

MAX_ARTEFACT_BYTES = 2**30
"""Artefacts above 1 GiB are refused; protobuf itself ends at 2 GiB."""

_MAX_NODES = 100_000
_MAX_DEPTH = 4
_MAX_CLASSES = 100_000
_MAX_SIDE = 4096
_MAX_DIGITS = 9  # of a number in the metadata
_SMALL_FILE = 2**24  # whose parsing takes 2 GB at the very worst
_PARSING_LIMIT = 2**30  # beside four times the file itself

# What models are made of. Not among them: Loop, Scan and sequences (no artefact needs them and
# they can run for ever), random operators, and whatever reads or names a file.
_OPERATORS = {
    "": frozenset(
        """
        Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast CastLike Ceil Clip Concat
        Constant ConstantOfShape Conv ConvTranspose Cos CumSum DepthToSpace DequantizeLinear Div
        Dropout Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor Gather GatherElements
        GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual
        GroupNormalization HardSigmoid HardSwish Identity If InstanceNormalization IsInf IsNaN
        LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LRN MatMul Max MaxPool Mean
        Min Mish Mod Mul Neg Not OneHot Or Pad Pow PRelu QuantizeLinear Range Reciprocal
        ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
        ReduceSum ReduceSumSquare Relu Reshape Resize Round ScatterElements ScatterND Selu Shape
        Sigmoid Sign Sin Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub
        Sum Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Where Xor
        """.split()
    ),
    "ai.onnx.ml": frozenset(
        """
        ArrayFeatureExtractor Binarizer FeatureVectorizer LinearClassifier LinearRegressor
        Normalizer Scaler SVMClassifier SVMRegressor TreeEnsembleClassifier
        TreeEnsembleRegressor
        """.split()
    ),
}
_SUBGRAPHS = frozenset({"If"})
# A runtime divides by them.
_POSITIVE = frozenset({"blocksize", "dilations", "group", "kernel_shape", "size", "strides"})


@dataclass(frozen=True, slots=True)
class ArtefactInfo:
    """What a checked artefact says of itself."""

    classes: tuple[str, ...]
    image_size: int
    metadata: dict[str, str]


def check_artefact(content: bytes) -> ArtefactInfo:
    """Check an artefact's bytes and return what it says of itself.

    Raises `ModelCorruptError` that says what is wrong. Costs one parse of the file; nothing is
    allocated that the file only claims.
    """
    if len(content) > MAX_ARTEFACT_BYTES:
        raise _corrupt(f"it has {len(content)} bytes, the limit is {MAX_ARTEFACT_BYTES}")
    model = _parse(content)
    if not model.HasField("graph") or not model.graph.node:
        raise _corrupt("it holds no graph")
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    _check_format(metadata)
    _check_imports(model)
    _check_graph(model.graph, outer=(), budget=[_MAX_NODES])
    classes = _classes(metadata)
    _check_contract(model.graph, n_classes=len(classes))
    return ArtefactInfo(classes, _input_size(metadata), metadata)


def _parse(content: bytes) -> onnx.ModelProto:
    model = onnx.ModelProto()
    try:
        limit = _PARSING_LIMIT + 4 * len(content)
        if len(content) > _SMALL_FILE and parsing_cost(content, limit=limit) > limit:
            raise _corrupt("it would become many times as large in memory as it is on disk")
        model.ParseFromString(content)
    except ModelCorruptError:
        raise
    except (DecodeError, RecursionError, ValueError) as error:
        raise _corrupt(f"it is not ONNX, or cut short ({error})") from error
    return model


def _corrupt(reason: str) -> ModelCorruptError:
    return ModelCorruptError(f"the file is not an eyevsai artefact that is safe to load: {reason}")


def _check_format(metadata: dict[str, str]) -> None:
    text = metadata.get("format_version", "")
    if not text.isascii() or not text.isdigit() or int(text[:_MAX_DIGITS]) == 0:
        raise _corrupt(f"its metadata has no format_version (found {text[:40]!r})")
    if int(text[:_MAX_DIGITS]) > FORMAT_VERSION:
        raise ModelCorruptError(
            f"the model was written by a newer eyevsai (format {text[:40]}, this one reads up to "
            f"{FORMAT_VERSION}); run: pip install --upgrade eyevsai-core"
        )


def _classes(metadata: dict[str, str]) -> tuple[str, ...]:
    try:
        classes = json.loads(metadata.get("classes", ""))
    except (ValueError, RecursionError) as error:
        raise _corrupt("its metadata 'classes' is not JSON") from error
    if (
        not isinstance(classes, list)
        or not 1 < len(classes) <= _MAX_CLASSES
        or not all(isinstance(label, str) for label in classes)
        or len(set(classes)) != len(classes)
    ):
        raise _corrupt("its metadata 'classes' is not a list of at least two different labels")
    return tuple(classes)


def _input_size(metadata: dict[str, str]) -> int:
    text = metadata.get("input_size", "")
    is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    if not is_number or int(text) not in range(1, _MAX_SIDE + 1):
        raise _corrupt(f"its metadata 'input_size' is not a number of pixels: {text[:40]!r}")
    return int(text)


def _check_imports(model: onnx.ModelProto) -> None:
    if model.functions or model.training_info:
        raise _corrupt("it brings functions or training graphs of its own")
    if model.ir_version > MAX_IR_VERSION:
        raise _corrupt(f"IR version {model.ir_version} is above {MAX_IR_VERSION}")
    for entry in model.opset_import:
        ml = entry.domain == "ai.onnx.ml" and 1 <= entry.version <= MAX_ML_OPSET
        standard = entry.domain in ("", "ai.onnx") and entry.version in OPSETS
        if not ml and not standard:
            raise _corrupt(
                f"it uses operators of {entry.domain or 'ai.onnx'!r} version {entry.version}; "
                f"allowed are ai.onnx {OPSETS[0]}-{OPSETS[-1]} and ai.onnx.ml up to {MAX_ML_OPSET}"
            )


def _check_graph(graph: onnx.GraphProto, *, outer: tuple[set[str], ...], budget: list[int]) -> None:
    """Check tensors, operators and the order of nodes; `outer` are the names that it may read."""
    if len(outer) > _MAX_DEPTH:
        raise _corrupt(f"its graphs are nested deeper than {_MAX_DEPTH}")
    if graph.sparse_initializer:
        raise _corrupt("it has sparse initializers")
    budget[0] -= len(graph.node)
    if budget[0] < 0:
        raise _corrupt(f"it has more than {_MAX_NODES} nodes")
    names = {value.name for value in graph.input}
    scopes = (*outer, names)
    for tensor in graph.initializer:
        _check_tensor(tensor)
        _write(tensor.name, scopes)
    for node in graph.node:
        _check_node(node)
        _check_reads(node, scopes)
        for child in _children(node):
            _check_graph(child, outer=scopes, budget=budget)
        for name in filter(None, node.output):
            _write(name, scopes)
    for output in graph.output:
        if not _is_known(output.name, scopes):
            raise _corrupt(f"nothing writes its output {output.name[:80]!r}")


def _is_known(name: str, scopes: tuple[set[str], ...]) -> bool:
    return any(name in names for names in scopes)


def _write(name: str, scopes: tuple[set[str], ...]) -> None:
    if _is_known(name, scopes):
        raise _corrupt(f"{name[:80]!r} is written twice")
    scopes[-1].add(name)


def _check_reads(node: onnx.NodeProto, scopes: tuple[set[str], ...]) -> None:
    for name in node.input:
        if name and not _is_known(name, scopes):
            raise _corrupt(
                f"node {node.op_type[:80]} reads {name[:80]!r} before anything has written it: "
                "the graph has a cycle, a gap or a wrong order"
            )


def _check_node(node: onnx.NodeProto) -> None:
    domain = "" if node.domain == "ai.onnx" else node.domain
    if node.op_type not in _OPERATORS.get(domain, frozenset()):
        raise _corrupt(
            f"operator {(domain or 'ai.onnx')[:80]}.{node.op_type[:80]} is not on the list of "
            "allowed ones"
        )
    for attribute in node.attribute:
        if attribute.HasField("t"):
            _check_tensor(attribute.t)
        for tensor in attribute.tensors:
            _check_tensor(tensor)
        if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
            raise _corrupt("it has sparse tensors")
        if attribute.HasField("g") and node.op_type not in _SUBGRAPHS:
            raise _corrupt(f"operator {node.op_type} carries a graph")
        if attribute.name in _POSITIVE and not _is_positive(attribute):
            raise _corrupt(f"operator {node.op_type} has {attribute.name} below 1")
        if attribute.graphs or attribute.ref_attr_name:
            raise _corrupt(f"operator {node.op_type} has an attribute that no artefact needs")


def _is_positive(attribute: onnx.AttributeProto) -> bool:
    if attribute.type == onnx.AttributeProto.INTS:
        return all(value > 0 for value in attribute.ints)
    return attribute.i > 0


def _children(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g


def _check_tensor(tensor: onnx.TensorProto) -> None:
    name = tensor.name[:80]
    if tensor.external_data or tensor.data_location != TensorProto.DEFAULT:
        raise _corrupt(f"tensor {name!r} lies in another file")
    if tensor.HasField("segment"):
        raise _corrupt(f"tensor {name!r} is in segments")
    if any(dim < 0 for dim in tensor.dims):
        raise _corrupt(f"tensor {name!r} has the shape {list(tensor.dims)}")
    count = math.prod(tensor.dims)
    if tensor.data_type in (TensorProto.STRING, TensorProto.UNDEFINED):
        raise _corrupt(f"tensor {name!r} does not hold numbers")
    try:
        width = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        field = helper.tensor_dtype_to_field(tensor.data_type)
    except KeyError as error:
        raise _corrupt(f"tensor {name!r} has the unknown type {tensor.data_type}") from error
    if tensor.HasField("raw_data"):
        there, wanted = len(tensor.raw_data), count * width
    else:
        there, wanted = len(getattr(tensor, field)), count
    if there != wanted:
        raise _corrupt(
            f"tensor {name!r} claims the shape {list(tensor.dims)} but brings {there} of {wanted} "
            f"{'bytes' if tensor.HasField('raw_data') else 'values'}"
        )


def _check_contract(graph: onnx.GraphProto, *, n_classes: int) -> None:
    inputs = [(value.name, value.type.tensor_type.elem_type) for value in graph.input]
    outputs = [(value.name, value.type.tensor_type.elem_type) for value in graph.output]
    if inputs != [(INPUT, TensorProto.UINT8)] or outputs != [(OUTPUT, TensorProto.FLOAT)]:
        raise _corrupt(
            f"it must have the one input {INPUT!r} (uint8) and the one output {OUTPUT!r} "
            f"(float32), but has {[n[:40] for n, _ in inputs]} and {[n[:40] for n, _ in outputs]}"
        )
    shape = [dim.dim_value for dim in graph.output[0].type.tensor_type.shape.dim]
    if shape != [0, n_classes]:
        raise _corrupt(
            f"its output must be of shape (n, {n_classes}), a column a class, but is {shape}"
        )
