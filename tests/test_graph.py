"""The artefact that is built from a family's graph: its contract, its shapes, its metadata."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from making import CLASSES, colour_artefact, colour_fragment, one_colour
from onnx import TensorProto, helper, numpy_helper

from eyevsai_core.artefact import check_artefact
from eyevsai_core.calibration import Calibration, fit_calibration, softmax
from eyevsai_core.errors import ExportError
from eyevsai_core.graph import FORMAT_VERSION, MAX_IR_VERSION, build_artefact, with_metadata
from eyevsai_core.resize import resize_image


def build(fragment: onnx.ModelProto, **changes: Any) -> onnx.ModelProto:
    options = {
        "classes": CLASSES,
        "image_size": 8,
        "calibration": Calibration(),
        "metadata": {"family": "test"},
        **changes,
    }
    return build_artefact(fragment, **options)


def run(model: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(["probabilities"], {"image": image})[0]


def colour_scores(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float32).mean(axis=(1, 2)) * np.float32(0.1)


def test_one_picture_or_a_batch_of_any_size_goes_in() -> None:
    model = build(colour_fragment())
    dice = np.random.default_rng(0)
    for shape in ((1, 1), (8, 8), (5, 9), (3, 400), (37, 23)):
        batch = dice.integers(0, 256, (4, *shape, 3), np.uint8)
        small = np.stack([resize_image(image, 8) for image in batch])
        wanted = softmax(colour_scores(small))
        np.testing.assert_allclose(run(model, batch), wanted, atol=1e-6)
        np.testing.assert_allclose(run(model, batch[0]), wanted[:1], atol=1e-6)


@pytest.mark.parametrize("method", ["none", "temperature", "platt", "isotonic"])
def test_the_calibration_is_inside(method: str) -> None:
    dice = np.random.default_rng(0)
    images = dice.integers(0, 256, (200, 8, 8, 3), np.uint8)
    scores = colour_scores(images)
    calibration = fit_calibration(scores, dice.integers(0, 3, 200), method=method)
    model = build(colour_fragment(), calibration=calibration)
    np.testing.assert_allclose(run(model, images), calibration.apply(scores), atol=1e-5)
    check_artefact(model.SerializeToString())


def test_runtimes_of_the_last_two_years_can_read_it() -> None:
    for opset, ir_version in ((18, 9), (20, 9), (21, 10)):
        fragment = colour_fragment(opset_imports=[helper.make_opsetid("", opset)])
        model = build(fragment)
        assert [(o.domain, o.version) for o in model.opset_import] == [("", opset)]
        assert model.ir_version == ir_version <= MAX_IR_VERSION
        assert run(model, one_colour(1)).argmax() == 1


def test_opset_imports_are_named_once() -> None:
    imports = [
        helper.make_opsetid("", 18),
        helper.make_opsetid("ai.onnx", 18),
        helper.make_opsetid("ai.onnx.ml", 3),
        helper.make_opsetid("ai.onnx.ml", 2),
    ]
    model = build(colour_fragment(opset_imports=imports))
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 18), ("ai.onnx.ml", 3)]


def test_it_says_what_it_is() -> None:
    model = build(colour_fragment(), metadata={"licence": "CC BY 4.0", "classes": "overruled"})
    info = check_artefact(model.SerializeToString())
    assert info.metadata == {
        "calibration": "none",
        "classes": json.dumps(list(CLASSES)),
        "format_version": str(FORMAT_VERSION),
        "input_size": "8",
        "licence": "CC BY 4.0",
    }
    more = with_metadata(model, {"test_accuracy": "0.5"})
    assert check_artefact(more.SerializeToString()).metadata["test_accuracy"] == "0.5"
    assert len(model.metadata_props) == 5, "the model given is not changed"


def test_class_names_of_any_writing_survive() -> None:
    labels = ("café", 'quo"te', "<b>猫</b>")
    model = build(colour_fragment(), classes=labels)
    assert check_artefact(model.SerializeToString()).classes == labels


def test_the_same_model_is_the_same_bytes() -> None:
    first, second = (colour_artefact().SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


def test_initializers_that_are_inputs_too_do_no_harm() -> None:
    fragment = colour_fragment()
    declared = helper.make_tensor_value_info("scale", TensorProto.FLOAT, [3])
    fragment.graph.input.insert(0, declared)
    assert run(build(fragment), one_colour(2)).argmax() == 2


def rename(fragment: onnx.ModelProto) -> None:
    fragment.graph.input[0].name = "image"


def retype_input(fragment: onnx.ModelProto) -> None:
    fragment.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


def resize_input(fragment: onnx.ModelProto) -> None:
    fragment.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 9


def put_channels_first(fragment: onnx.ModelProto) -> None:
    for dim, value in zip(
        fragment.graph.input[0].type.tensor_type.shape.dim, (0, 3, 8, 8), strict=True
    ):
        dim.dim_value = value


def widen_output(fragment: onnx.ModelProto) -> None:
    fragment.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 7


def flatten_output(fragment: onnx.ModelProto) -> None:
    del fragment.graph.output[0].type.tensor_type.shape.dim[1]


def double_output(fragment: onnx.ModelProto) -> None:
    fragment.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE


def untyped_output(fragment: onnx.ModelProto) -> None:
    fragment.graph.output[0].type.tensor_type.elem_type = TensorProto.UNDEFINED


def leave_home(fragment: onnx.ModelProto) -> None:
    fragment.graph.initializer[1].data_location = TensorProto.EXTERNAL


def call_function(fragment: onnx.ModelProto) -> None:
    fragment.functions.add().name = "f"


def be_sparse(fragment: onnx.ModelProto) -> None:
    fragment.graph.sparse_initializer.add()


def old_opset(fragment: onnx.ModelProto) -> None:
    fragment.opset_import[0].version = 17


def other_domain(fragment: onnx.ModelProto) -> None:
    fragment.opset_import.append(helper.make_opsetid("com.other", 1))


def new_ml(fragment: onnx.ModelProto) -> None:
    fragment.opset_import.append(helper.make_opsetid("ai.onnx.ml", 5))


def unknown_operator(fragment: onnx.ModelProto) -> None:
    fragment.graph.node[0].op_type = "Imagine"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rename, r"must have the one input 'pixels'.*but has \['image'\]"),
        (retype_input, r"'pixels' .* must be uint8 of shape .*, but is float of shape"),
        (resize_input, r"shape \('n', 8, 8, 3\), but is uint8 of shape \(None, 9, 8, 3\)"),
        (put_channels_first, r"shape \('n', 8, 8, 3\)"),
        (widen_output, r"shape \('n', 3\), but is float of shape \(None, 7\)"),
        (flatten_output, r"shape \('n', 3\), but is float of shape \(None,\)"),
        (double_output, "must be float of shape .* but is double"),
        (untyped_output, "but is undefined"),
        (leave_home, "must be whole in itself"),
        (call_function, "must be whole in itself"),
        (be_sparse, "must be whole in itself"),
        (old_opset, "must use opset 18 to 21 .* but uses opset 17"),
        (other_domain, "'com.other'"),
        (new_ml, "ai.onnx.ml 5"),
        (unknown_operator, "is not valid ONNX"),
    ],
)
def test_a_family_s_graph_must_keep_the_contract(change: Any, message: str) -> None:
    fragment = colour_fragment()
    change(fragment)
    with pytest.raises(ExportError, match=message):
        build(fragment)


def test_dimensions_may_be_left_open() -> None:
    fragment = colour_fragment()
    for value in (fragment.graph.input[0], fragment.graph.output[0]):
        for dim in value.type.tensor_type.shape.dim:
            dim.dim_param = "any"
    assert run(build(fragment), one_colour(0)).argmax() == 0


def test_names_of_the_family_s_graph_cannot_clash_with_ours() -> None:
    fragment = colour_fragment()
    fragment.graph.node[0].output[0] = fragment.graph.node[1].input[0] = "batch"
    fragment.graph.initializer.append(numpy_helper.from_array(np.float32([1]), "probabilities"))
    assert run(build(fragment), one_colour(1)).argmax() == 1
