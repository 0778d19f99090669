"""A corpus of hostile and damaged artefacts: each is refused before a runtime sees it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from making import CLASSES, colour_artefact, colour_fragment
from onnx import TensorProto, helper, numpy_helper

from eyevsai_core.artefact import check_artefact
from eyevsai_core.calibration import Calibration
from eyevsai_core.card import ModelCard
from eyevsai_core.classifier import OnnxClassifier
from eyevsai_core.errors import ExportError, ModelCorruptError, ModelNotFoundError
from eyevsai_core.graph import build_artefact
from eyevsai_core.loading import load_model

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_good_artefact_is_accepted_and_answers() -> None:
    content = colour_artefact().SerializeToString()
    info = check_artefact(content)
    assert info.classes == ("red", "green", "blue")
    assert info.image_size == 8
    green = np.zeros((5, 9, 3), np.uint8)
    green[..., 1] = 200
    assert OnnxClassifier.from_bytes(content).prediction(green).label == "green"


Attack = "Callable[[onnx.ModelProto], None]"


def external(model: onnx.ModelProto, where: str) -> None:
    tensor = model.graph.initializer[1]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=where)


def external_in_constant(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type == "Constant":
            tensor = node.attribute[0].t
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="/etc/passwd")
            return


def external_in_branch(model: onnx.ModelProto) -> None:
    (branch,) = (n for n in model.graph.node if n.op_type == "If")
    tensor = numpy_helper.from_array(np.float32([1]), "sly")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")
    branch.attribute[0].g.initializer.append(tensor)


def custom_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "RunCode"
    model.graph.node[0].domain = "com.evil"


def custom_domain(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.evil", 1))


def loop(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "Loop"


def local_function(model: onnx.ModelProto) -> None:
    model.functions.append(
        helper.make_function("f", "g", ["x"], ["y"], [], [helper.make_opsetid("", 18)])
    )


def huge_shape(model: onnx.ModelProto) -> None:
    model.graph.initializer[1].dims[:] = [2**40]


def overflowing_shape(model: onnx.ModelProto) -> None:
    model.graph.initializer[1].dims[:] = [2**62, 4, 3]


def negative_shape(model: onnx.ModelProto) -> None:
    model.graph.initializer[1].dims[:] = [-3, -1]


def gigabyte_claim(model: onnx.ModelProto) -> None:
    model.graph.initializer[1].dims[:] = [2**28]


def string_tensor(model: onnx.ModelProto) -> None:
    model.graph.initializer[1].CopyFrom(helper.make_tensor("s", TensorProto.STRING, [1], [b"x"]))


def unknown_type(model: onnx.ModelProto) -> None:
    model.graph.initializer[1].data_type = 9999


def cycle(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = model.graph.node[-1].output[0]


def gap(model: onnx.ModelProto) -> None:
    model.graph.node[-1].input[0] = "nothing writes this"


def written_twice(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Identity", ["image"], ["probabilities"]))


def deep(model: onnx.ModelProto) -> None:
    graph = helper.make_graph([], "leaf", [], [])
    for level in range(8):
        node = helper.make_node("If", ["image"], [f"o{level}"], then_branch=graph)
        graph = helper.make_graph([node], f"g{level}", [], [])
    model.graph.node.append(helper.make_node("If", ["image"], ["deep"], then_branch=graph))


def graph_in_wrong_place(model: onnx.ModelProto) -> None:
    attribute = helper.make_attribute("body", helper.make_graph([], "g", [], []))
    model.graph.node[0].attribute.append(attribute)


def other_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))


def float_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


def other_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "batch"


def unwritten_branch(model: onnx.ModelProto) -> None:
    (branch,) = (n for n in model.graph.node if n.op_type == "If")
    branch.attribute[0].g.output[0].name = "nothing writes this"


def same_name(model: onnx.ModelProto) -> None:
    model.graph.initializer[1].name = model.graph.initializer[0].name


def overridden_input(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(3, np.uint8), "image"))


def division_by_group(model: onnx.ModelProto) -> None:
    # The runtime divides by it: the whole process would end.
    model.graph.node.append(helper.make_node("ConvTranspose", ["batch", "batch"], ["c"], group=0))


def no_stride(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Conv", ["batch", "batch"], ["c"], strides=[1, 0]))


def too_few_columns(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 2


def open_columns(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.ClearField("shape")


def sparse_value(model: onnx.ModelProto) -> None:
    attribute = model.graph.node[0].attribute.add()
    attribute.name, attribute.type = "sparse_value", onnx.AttributeProto.SPARSE_TENSOR
    attribute.sparse_tensor.dims.append(2**40)


def many_graphs(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.add().graphs.add()


def segments(model: onnx.ModelProto) -> None:
    model.graph.initializer[1].segment.begin = 0


def tensors_in_a_list(model: onnx.ModelProto) -> None:
    tensor = model.graph.node[0].attribute.add().tensors.add()
    tensor.data_type = TensorProto.FLOAT
    tensor.dims.append(2**40)


def sparse(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add()


def future_ir(model: onnx.ModelProto) -> None:
    model.ir_version = 99


def future_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 99


def no_graph(model: onnx.ModelProto) -> None:
    model.ClearField("graph")


def metadata(**values: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        kept = {entry.key: entry.value for entry in model.metadata_props}
        del model.metadata_props[:]
        helper.set_model_props(model, {**kept, **values})

    return change


CORPUS: dict[str, tuple[Callable[[onnx.ModelProto], None], str]] = {
    "external data in /etc": (lambda m: external(m, "/etc/passwd"), "lies in another file"),
    "external data above": (lambda m: external(m, "../../secret"), "lies in another file"),
    "external data in a constant": (external_in_constant, "lies in another file"),
    "external data in a branch": (external_in_branch, "lies in another file"),
    "custom operator": (custom_operator, "com.evil.RunCode is not on the list"),
    "custom domain": (custom_domain, "uses operators of 'com.evil'"),
    "loop": (loop, "ai.onnx.Loop is not on the list"),
    "local function": (local_function, "brings functions"),
    "2^40 shape": (huge_shape, "claims the shape"),
    "overflowing shape": (overflowing_shape, "claims the shape"),
    "negative shape": (negative_shape, "has the shape"),
    "1 GB claim": (gigabyte_claim, "claims the shape"),
    "strings": (string_tensor, "does not hold numbers"),
    "unknown type": (unknown_type, "unknown type 9999"),
    "cycle": (cycle, "before anything has written it"),
    "gap": (gap, "before anything has written it"),
    "written twice": (written_twice, "is written twice"),
    "deep": (deep, "nested deeper than|nothing writes"),
    "graph in a wrong place": (graph_in_wrong_place, "carries a graph"),
    "another input": (other_input, "must have the one input"),
    "float input": (float_input, "must have the one input"),
    "another output": (other_output, "the one output"),
    "unwritten branch": (unwritten_branch, "nothing writes its output"),
    "same name": (same_name, "is written twice"),
    "overridden input": (overridden_input, "is written twice"),
    "division by group": (division_by_group, "ConvTranspose has group below 1"),
    "no stride": (no_stride, "Conv has strides below 1"),
    "too few columns": (too_few_columns, r"must be of shape \(n, 3\)"),
    "open columns": (open_columns, r"must be of shape \(n, 3\)"),
    "sparse value": (sparse_value, "sparse tensors"),
    "many graphs": (many_graphs, "an attribute that no artefact needs"),
    "segments": (segments, "is in segments"),
    "tensors in a list": (tensors_in_a_list, "claims the shape"),
    "sparse": (sparse, "sparse initializers"),
    "future IR": (future_ir, "IR version 99"),
    "future opset": (future_opset, "version 99; allowed are"),
    "no graph": (no_graph, "holds no graph"),
    "no format": (metadata(format_version=""), "no format_version"),
    "format zero": (metadata(format_version="0"), "no format_version"),
    "much newer format": (metadata(format_version="9" * 5000), "written by a newer eyevsai"),
    "newer format": (metadata(format_version="7"), "written by a newer eyevsai"),
    "classes not JSON": (metadata(classes="["), "'classes' is not JSON"),
    "classes not a list": (metadata(classes='{"a": 1}'), "is not a list"),
    "classes twice": (metadata(classes='["a", "a", "b"]'), "different labels"),
    "size not a number": (metadata(input_size="²"), "is not a number of pixels"),
    "size behind zeros": (metadata(input_size="000000001" + "9" * 5000), "number of pixels"),
    "size zero": (metadata(input_size="0"), "is not a number of pixels"),
    "one class": (metadata(classes='["a"]'), "at least two different labels"),
    "classes nested for ever": (metadata(classes="[" * 100_000), "'classes' is not JSON"),
    "size too large": (metadata(input_size="99999999999999999999"), "is not a number of pixels"),
}


@pytest.mark.parametrize("name", CORPUS)
def test_hostile_artefacts_are_refused(name: str) -> None:
    attack, message = CORPUS[name]
    model = colour_artefact()
    attack(model)
    with pytest.raises(ModelCorruptError, match=message):
        OnnxClassifier.from_bytes(model.SerializeToString())


def test_every_truncation_is_refused_or_harmless() -> None:
    content = colour_artefact().SerializeToString()
    for end in range(0, len(content), 37):
        with pytest.raises(ModelCorruptError):
            check_artefact(content[:end])


def test_random_bytes_and_flipped_bits_never_do_worse_than_an_error() -> None:
    dice = np.random.default_rng(0)
    content = bytearray(colour_artefact().SerializeToString())
    for _ in range(300):
        damaged = bytearray(content)
        for place in dice.integers(0, len(content), 3):
            damaged[place] ^= 1 << int(dice.integers(8))
        try:
            OnnxClassifier.from_bytes(bytes(damaged))
        except ModelCorruptError:
            continue
    with pytest.raises(ModelCorruptError, match="is not ONNX"):
        check_artefact(bytes(dice.integers(0, 256, 5000, dtype=np.uint8)))


def test_a_size_claim_of_the_whole_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eyevsai_core.artefact.MAX_ARTEFACT_BYTES", 100)
    with pytest.raises(ModelCorruptError, match="the limit is 100"):
        check_artefact(colour_artefact().SerializeToString())


def test_a_length_prefix_beyond_the_file_is_refused() -> None:
    # Field 7 (the graph), length-delimited, claiming a gigabyte that is not there.
    claim = b"\x3a" + b"\x80\x80\x80\x80\x04" + struct.pack("<I", 1)
    with pytest.raises(ModelCorruptError, match="is not ONNX"):
        check_artefact(claim)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"opset_imports": [helper.make_opsetid("", 17)]}, "opset 18 to 21"),
        ({"opset_imports": [helper.make_opsetid("", 18), helper.make_opsetid("x", 1)]}, "'x'"),
    ],
)
def test_a_family_s_graph_must_keep_the_contract(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        build_artefact(
            colour_fragment(**change),
            classes=("a", "b", "c"),
            image_size=8,
            calibration=Calibration(),
            metadata={},
        )


def model_folder(folder: Path, content: bytes, digest: str | None = None) -> Path:
    card = ModelCard(
        family="test",
        variant="colours",
        classes=("red", "green", "blue"),
        image_size=8,
        config={},
        seed=0,
        dataset={"name": "none"},
        metrics={},
        calibration={"method": "none", "parameters": {}},
        parity={},
        versions={},
        machine={},
        created="2026-01-01T00:00:00+00:00",
        duration_s=1.0,
        files={"model.onnx": digest or hashlib.sha256(content).hexdigest()},
    )
    folder.mkdir()
    (folder / "card.json").write_text(card.to_json())
    (folder / "model.onnx").write_bytes(content)
    return folder


def test_a_file_that_is_not_the_card_s_is_refused(tmp_path: Path) -> None:
    content = colour_artefact().SerializeToString()
    assert load_model(model_folder(tmp_path / "right", content)).classes[0] == "red"
    with pytest.raises(ModelCorruptError, match="is not the file that its card describes"):
        load_model(model_folder(tmp_path / "wrong", content, "0" * 64))


def test_a_corrupt_or_newer_card_is_refused(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m", colour_artefact().SerializeToString())
    text = (folder / "card.json").read_text()
    for broken, message in (
        ("{", "is not JSON"),
        ("[]", "is a JSON object"),
        (json.dumps({**json.loads(text), "format_version": 9}), "written by a newer eyevsai"),
        (json.dumps({**json.loads(text), "seed": "0"}), "'seed' must be int"),
        (json.dumps({**json.loads(text), "more": 1}), "unknown"),
        (json.dumps({"format_version": 1}), "missing"),
    ):
        (folder / "card.json").write_text(broken)
        with pytest.raises(ModelCorruptError, match=message):
            load_model(folder)


@pytest.mark.parametrize("name", ["missing.onnx", "/no/such/model", "./nothing"])
def test_a_missing_file_is_not_found(name: str) -> None:
    with pytest.raises(ModelNotFoundError, match="there is no file or folder"):
        load_model(name)


def test_a_file_that_would_burst_in_memory_is_refused_unparsed() -> None:
    # 17 MB of empty nodes would become two gigabytes of objects.
    content = b"\x3a\x80\x80\x80\x09" + b"\x0a\x00" * (9 * 2**20)
    with pytest.raises(ModelCorruptError, match="many times as large in memory"):
        check_artefact(content)


def test_a_large_file_of_weights_is_no_such_file() -> None:
    model = colour_artefact()
    weights = np.zeros(5 * 2**20, np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weights, "weights"))
    assert check_artefact(model.SerializeToString()).image_size == 8
    with pytest.raises(ModelCorruptError, match="is not ONNX"):
        check_artefact(model.SerializeToString()[:-9])


def test_more_nodes_than_any_model_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eyevsai_core.artefact._MAX_NODES", 5)
    with pytest.raises(ModelCorruptError, match="more than 5 nodes"):
        check_artefact(colour_artefact().SerializeToString())


def with_nodes(*nodes: onnx.NodeProto, **initializers: np.ndarray) -> bytes:
    """An artefact that is well formed, and does this before it answers."""
    model = colour_fragment()
    model.graph.node[-1].output[0] = "usual"
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in initializers.items()
    )
    built = build_artefact(
        model, classes=CLASSES, image_size=8, calibration=Calibration(), metadata={}
    )
    return built.SerializeToString()


@pytest.mark.parametrize("size", [2**32, 2**40])
def test_a_tensor_larger_than_memory_fails_before_it_is_there(size: int) -> None:
    content = with_nodes(
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["zero"], keepdims=0),
        helper.make_node("Add", ["usual", "zero"], ["scores"]),
        shape=np.array([size], np.int64),
    )
    with pytest.raises(ModelCorruptError, match=r"onnxruntime cannot load|fails on a picture"):
        OnnxClassifier.from_bytes(content).predict(np.zeros((8, 8, 3), np.uint8))


def test_what_fails_only_on_a_picture_is_a_corrupt_model() -> None:
    content = with_nodes(
        helper.make_node("Gather", ["usual", "columns"], ["scores"], axis=1),
        columns=np.array([0, 1, 10**9], np.int64),
    )
    with pytest.raises(ModelCorruptError, match="the artefact fails on a picture"):
        OnnxClassifier.from_bytes(content).predict(np.zeros((8, 8, 3), np.uint8))


def test_a_result_with_other_columns_is_a_corrupt_model() -> None:
    content = with_nodes(
        helper.make_node("Concat", ["usual", "usual"], ["scores"], axis=1),
    )
    with pytest.raises(ModelCorruptError, match=r"a result of shape \(1, 6\)|cannot load"):
        OnnxClassifier.from_bytes(content).predict(np.zeros((8, 8, 3), np.uint8))


def test_a_card_of_another_model_is_refused(tmp_path: Path) -> None:
    content = colour_artefact().SerializeToString()
    card = ModelCard.read(model_folder(tmp_path / "m", content) / "card.json")
    other = dataclasses.replace(card, classes=("cat", "dog", "cow"))
    with pytest.raises(ModelCorruptError, match="do not belong together"):
        OnnxClassifier.from_bytes(content, card=other)


def test_a_file_that_never_ends_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eyevsai_core.classifier.MAX_ARTEFACT_BYTES", 1000)
    with pytest.raises(ModelCorruptError, match="is larger than 1000 bytes"):
        OnnxClassifier.from_file(Path("/dev/zero"))
