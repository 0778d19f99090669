from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from eyevsai_core.resize import resize_array, resize_image, resize_weights
from eyevsai_core.resize_graph import resize_nodes

SIZES = (8, 28, 32, 96, 128, 224)
_SESSIONS: dict[int, onnxruntime.InferenceSession] = {}


def in_graph(image: np.ndarray, size: int) -> np.ndarray:
    if size not in _SESSIONS:
        graph = helper.make_graph(
            resize_nodes(size, "x", "y"),
            "resize",
            [helper.make_tensor_value_info("x", TensorProto.UINT8, ["n", "h", "w", 3])],
            [helper.make_tensor_value_info("y", TensorProto.UINT8, ["n", size, size, 3])],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.checker.check_model(model)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        _SESSIONS[size] = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return _SESSIONS[size].run(None, {"x": image[None]})[0][0]


def picture(height: int, width: int, seed: int) -> np.ndarray:
    """Noise, black and white noise, or a gradient: what rounding errors would show in."""
    dice = np.random.default_rng(seed)
    if seed % 3 == 0:
        return dice.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if seed % 3 == 1:
        return (dice.integers(0, 2, (height, width, 3)) * 255).astype(np.uint8)
    ramp = np.add.outer(np.arange(height), np.arange(width))[..., None] + np.arange(3)
    return (ramp % 256).astype(np.uint8)


def all_three_agree(height: int, width: int, size: int, seed: int) -> None:
    image = picture(height, width, seed)
    pillow = resize_image(image, size)
    np.testing.assert_array_equal(resize_array(image, size), pillow)
    np.testing.assert_array_equal(in_graph(image, size), pillow)


def test_thousands_of_random_sizes_agree_on_every_byte() -> None:
    dice = np.random.default_rng(0)
    for seed in range(2000):
        height, width = np.exp(dice.uniform(0, np.log(160), 2)).astype(int)
        all_three_agree(int(height), int(width), SIZES[seed % 4], seed)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700), st.sampled_from(SIZES), st.integers(0, 1_000_000))
def test_any_size_agrees_on_every_byte(height: int, width: int, size: int, seed: int) -> None:
    all_three_agree(height, width, size, seed)


@pytest.mark.parametrize(
    ("height", "width"),
    [(1, 1), (1, 1000), (1000, 1), (5000, 3), (3, 5000), (3000, 4000), (4000, 3000), (128, 128)],
)
def test_extreme_sizes_agree_on_every_byte(height: int, width: int) -> None:
    all_three_agree(height, width, 128, height + width)


def test_a_picture_of_the_right_size_is_untouched() -> None:
    image = picture(32, 32, 0)
    assert resize_image(image, 32) is image
    np.testing.assert_array_equal(in_graph(image, 32), image)


def test_sizes_may_differ_by_axis() -> None:
    image = picture(50, 40, 0)
    assert resize_image(image, (10, 20)).shape == (10, 20, 3)
    np.testing.assert_array_equal(resize_array(image, (10, 20)), resize_image(image, (10, 20)))


@pytest.mark.parametrize(("n_in", "n_out"), [(7, 3), (3, 7), (1000, 128), (128, 1000), (1, 5)])
def test_weights_of_each_place_add_up_to_one(n_in: int, n_out: int) -> None:
    weights = resize_weights(n_in, n_out)
    assert weights.shape == (n_out, n_in)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1) / 2**22, 1, atol=n_in / 2**22)
