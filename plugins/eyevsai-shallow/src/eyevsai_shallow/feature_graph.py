"""The features of `features` as standard ONNX nodes (opset 18): pixels in, descriptor out.

Agrees with the array code bit for bit: where floating-point sums could depend on their order,
either all terms are integers in disguise, or the order is written out in both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eyevsai_shallow.colour_graph import colour_count_nodes, thumbnail_nodes
from eyevsai_shallow.features import FeatureConfig, block_lengths
from eyevsai_shallow.hog_graph import histogram_nodes, hog_nodes
from eyevsai_shallow.lbp import PATTERNS
from eyevsai_shallow.lbp_graph import lbp_count_nodes, pool_nodes, root_nodes, turned_nodes
from eyevsai_shallow.planes import GREY_WEIGHTS, Geometry
from eyevsai_shallow.texture_graph import texture_nodes
from eyevsai_shallow.weave import Weave

if TYPE_CHECKING:
    import onnx

__all__ = ["feature_nodes"]


def feature_nodes(
    config: FeatureConfig, image_size: int, input_name: str, output_name: str, prefix: str = ""
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Return nodes and initializers that do what `FeatureExtractor.extract` does.

    `input_name` is uint8 (n, image_size, image_size, 3), any n including 0; `output_name` is
    float32 (n, n_features). All names made in between begin with `prefix`. Raises `ConfigError`
    for an image size below 8.
    """
    geometry = Geometry(image_size)
    w = Weave(prefix)
    planes = _planes(w, input_name, geometry)
    small = _halved(w, planes) if geometry.halved else planes
    blocks: list[str] = []
    grey = (
        _grey(w, planes, geometry.side)
        if config.lbp or (config.texture and not geometry.halved)
        else ""
    )
    if config.hog:
        blocks += _hog(
            w,
            config,
            small if config.hog_colour else _grey(w, small, geometry.small),
            geometry.small,
        )
    if config.lbp:
        blocks += _lbp(w, config, grey, geometry.side)
    if config.colour:
        blocks += _colour(w, config, small, geometry.small)
    if config.texture:
        small_grey = _grey(w, small, geometry.small) if geometry.halved else grey
        blocks.append(texture_nodes(w, small_grey, geometry.small))
    w.add("Concat", *blocks, output=output_name, axis=1)
    return w.nodes, w.initializers


def _planes(w: Weave, pixels: str, geometry: Geometry) -> str:
    near, far = geometry.start, geometry.start + geometry.side
    if geometry.side < geometry.image_size:
        pixels = w.cut(pixels, [1, 2], [near, near], [far, far])
    return w.add("Transpose", w.cast(pixels, np.float32), perm=[0, 3, 1, 2])


def _halved(w: Weave, planes: str) -> str:
    # Quarters of integers are exact in float32, so adding a half and flooring rounds half up.
    mean = w.add("AveragePool", planes, kernel_shape=[2, 2], strides=[2, 2])
    return w.add("Floor", w.add("Add", mean, w.floats(0.5)))


def _grey(w: Weave, planes: str, side: int) -> str:
    # At most 65536 * 255 + 32768 < 2**24: exact in float32. A product is faster than a
    # convolution with one output channel.
    flat = w.reshape(planes, 0, 3, side * side)
    total = w.add("MatMul", w.floats([GREY_WEIGHTS]), flat)
    level = w.add("Add", w.add("Mul", total, w.floats(2.0**-16)), w.floats(0.5))
    return w.reshape(w.add("Floor", level), 0, 1, side, side)


def _hog(w: Weave, config: FeatureConfig, planes: str, side: int) -> list[str]:
    fine = max(config.hog_cells)
    histograms = histogram_nodes(w, planes, 3 if config.hog_colour else 1, side, fine)
    return [
        hog_nodes(
            w,
            histograms,
            fine=fine,
            cells=cells,
            area=(side // cells) ** 2,
            signed=cells in config.hog_signed,
        )
        for cells in config.hog_cells
    ]


def _lbp(w: Weave, config: FeatureConfig, grey: str, side: int) -> list[str]:
    fine, lengths = max(config.lbp_cells), block_lengths(config)
    counts = lbp_count_nodes(w, grey, side, fine)
    blocks = []
    for cells in config.lbp_cells:
        pooled = pool_nodes(w, counts, fine=fine, cells=cells, bins=PATTERNS)
        blocks.append(root_nodes(w, pooled, (side // cells) ** 2, lengths[f"lbp_{cells}"]))
    turned = turned_nodes(w, counts)
    return [*blocks, root_nodes(w, turned, side * side, lengths["lbp_turned"])]


def _colour(w: Weave, config: FeatureConfig, planes: str, side: int) -> list[str]:
    blocks = []
    if config.colour_cells:
        fine, lengths = max(config.colour_cells), block_lengths(config)
        counts = colour_count_nodes(w, planes, side, fine, config.bins)
        for cells in config.colour_cells:
            pooled = pool_nodes(w, counts, fine=fine, cells=cells, bins=config.bins.total)
            blocks.append(root_nodes(w, pooled, (side // cells) ** 2, lengths[f"colour_{cells}"]))
    if config.thumbnail:
        blocks.append(thumbnail_nodes(w, planes, side, config.thumbnail))
    return blocks
