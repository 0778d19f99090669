"""A corpus of hostile and damaged artefacts: each is refused before a runtime sees it."""

from __future__ import annotations

import hashlib
import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
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
    from pathlib import Path


def fragment(**changes: Any) -> onnx.ModelProto:
    """The mean of each colour as the score of its class."""
    nodes = [
        helper.make_node("Cast", ["pixels"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "scale"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", 8, 8, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 3])],
        initializer=[
            numpy_helper.from_array(np.array([1, 2], np.int64), "axes"),
            numpy_helper.from_array(np.float32([0.1, 0.1, 0.1]), "scale"),
        ],
    )
    options = {"opset_imports": [helper.make_opsetid("", 18)], "ir_version": 9, **changes}
    return helper.make_model(graph, **options)


def good() -> onnx.ModelProto:
    return build_artefact(
        fragment(),
        classes=("red", "green", "blue"),
        image_size=8,
        calibration=Calibration(),
        metadata={"family": "test"},
    )


def test_a_good_artefact_is_accepted_and_answers() -> None:
    content = good().SerializeToString()
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
    "sparse": (sparse, "sparse initializers"),
    "future IR": (future_ir, "IR version 99"),
    "future opset": (future_opset, "version 99; allowed are"),
    "no graph": (no_graph, "holds no graph"),
    "no format": (metadata(format_version=""), "no format_version"),
    "newer format": (metadata(format_version="7"), "written by a newer eyevsai"),
    "classes not JSON": (metadata(classes="["), "'classes' is not JSON"),
    "classes not a list": (metadata(classes='{"a": 1}'), "is not a list"),
    "classes twice": (metadata(classes='["a", "a", "b"]'), "different labels"),
    "size not a number": (metadata(input_size="²"), "is not a number of pixels"),
    "size too large": (metadata(input_size="99999999999999999999"), "is not a number of pixels"),
}


@pytest.mark.parametrize("name", CORPUS)
def test_hostile_artefacts_are_refused(name: str) -> None:
    attack, message = CORPUS[name]
    model = good()
    attack(model)
    with pytest.raises(ModelCorruptError, match=message):
        OnnxClassifier.from_bytes(model.SerializeToString())


def test_every_truncation_is_refused_or_harmless() -> None:
    content = good().SerializeToString()
    for end in range(0, len(content), 37):
        with pytest.raises(ModelCorruptError):
            check_artefact(content[:end])


def test_random_bytes_and_flipped_bits_never_do_worse_than_an_error() -> None:
    dice = np.random.default_rng(0)
    content = bytearray(good().SerializeToString())
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
        check_artefact(good().SerializeToString())


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
            fragment(**change),
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
    content = good().SerializeToString()
    assert load_model(model_folder(tmp_path / "right", content)).classes[0] == "red"
    with pytest.raises(ModelCorruptError, match="is not the file that its card describes"):
        load_model(model_folder(tmp_path / "wrong", content, "0" * 64))


def test_a_corrupt_or_newer_card_is_refused(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m", good().SerializeToString())
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
