"""The graph against the array code: the same bits for every picture, size and switch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from eyevsai_core.errors import ConfigError
from eyevsai_shallow.feature_graph import feature_nodes
from eyevsai_shallow.features import FeatureConfig, FeatureExtractor

from .test_features import generated, real

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

CONFIGS = {
    "default": FeatureConfig(),
    "hog": FeatureConfig(lbp=False, colour=False, texture=False),
    "grey hog": FeatureConfig(hog_colour=False, lbp=False, colour=False, texture=False),
    "lbp": FeatureConfig(hog=False, colour=False, texture=False),
    "colour": FeatureConfig(hog=False, lbp=False, texture=False),
    "thumbnail": FeatureConfig(hog=False, lbp=False, texture=False, colour_cells=()),
    "texture": FeatureConfig(hog=False, lbp=False, colour=False),
    "fine": FeatureConfig(
        hog_cells=(8, 4, 2),
        hog_signed=(8, 2),
        lbp_cells=(8, 1),
        colour_cells=(4, 1),
        hue_bins=36,
        saturation_bins=16,
        value_bins=1,
        thumbnail=0,
    ),
}


def model(config: FeatureConfig, size: int) -> onnx.ModelProto:
    nodes, initializers = feature_nodes(config, size, "pixels", "features", prefix="part/")
    n_features = FeatureExtractor(config, size).n_features
    graph = helper.make_graph(
        nodes,
        "features",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", size, size, 3])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", n_features])],
        initializer=initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def run(config: FeatureConfig, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    made = model(config, pictures.shape[1])
    onnx.checker.check_model(made, full_check=True)
    session = onnxruntime.InferenceSession(
        made.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    [whole] = session.run(None, {"pixels": pictures})
    # Not 0: `OnnxClassifier` answers an empty batch itself, and onnxruntime before 1.32 cannot.
    for n in (1, 3):
        [part] = session.run(None, {"pixels": pictures[:n]})
        assert part.shape == (n, whole.shape[1])
        assert np.array_equal(part, whole[:n])
    return np.asarray(whole)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("size", [32, 64, 128])
def test_graph_equals_array_code_bit_for_bit(config: FeatureConfig, size: int) -> None:
    pictures = np.concatenate([generated(size), generated(size, seed=1)])
    ours = FeatureExtractor(config, size).extract(pictures)
    assert np.array_equal(run(config, pictures).view(np.int32), ours.view(np.int32))


@pytest.mark.realdata
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("size", [32, 64, 128])
def test_graph_equals_array_code_on_photographs(
    config: FeatureConfig, size: int, test_data: Path
) -> None:
    pictures = real(test_data, size, each=6)
    ours = FeatureExtractor(config, size).extract(pictures)
    assert np.array_equal(run(config, pictures).view(np.int32), ours.view(np.int32))


@pytest.mark.parametrize("size", [8, 9, 28, 40, 72, 96, 100, 104, 160])
def test_graph_equals_array_code_at_odd_sizes(size: int) -> None:
    pictures = generated(size)
    config = FeatureConfig()
    ours = FeatureExtractor(config, size).extract(pictures)
    assert np.array_equal(run(config, pictures).view(np.int32), ours.view(np.int32))


def test_graph_has_standard_operators_without_loops_only() -> None:
    made = model(FeatureConfig(), 64)
    assert {node.domain for node in made.graph.node} == {""}
    assert not {node.op_type for node in made.graph.node} & {"Loop", "Scan", "If"}
    assert made.ByteSize() < 2_000_000


def test_all_inner_names_have_the_prefix() -> None:
    nodes, initializers = feature_nodes(FeatureConfig(), 32, "pixels", "features", prefix="p/")
    names = {name for node in nodes for name in node.output} | {t.name for t in initializers}
    assert {name for name in names if not name.startswith("p/")} == {"features"}


def test_too_small_a_picture_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 8 x 8"):
        feature_nodes(FeatureConfig(), 4, "pixels", "features")
