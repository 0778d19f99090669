"""The one reference resize: triangle filter, anti-aliased, horizontal pass first.

This is what Pillow's `BILINEAR` computes when it is asked for one axis at a time: weights rounded
to 22-bit fixed point, each pass rounded to uint8. Every model is trained on these pixels, and
`resize_graph` computes the same bytes inside the artefact.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["PRECISION_BITS", "resize_array", "resize_image", "resize_weights"]

PRECISION_BITS = 22
"""Weights are integers in units of 2**-22, as in Pillow's 8-bit resampling."""


def resize_image(
    image: npt.NDArray[np.uint8], size: int | tuple[int, int]
) -> npt.NDArray[np.uint8]:
    """Resize uint8 (h, w, 3) to (height, width), or to a square of side `size`.

    Two calls, because one call lets Pillow swap the passes for some tall pictures.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if image.shape[:2] == (height, width):
        return image
    picture = Image.fromarray(image)
    across = picture.resize((width, picture.height), Image.Resampling.BILINEAR)
    return np.asarray(across.resize((width, height), Image.Resampling.BILINEAR))


def resize_array(
    image: npt.NDArray[np.uint8], size: int | tuple[int, int]
) -> npt.NDArray[np.uint8]:
    """Compute `resize_image` from its definition, without Pillow: the specification as code."""
    height, width = (size, size) if isinstance(size, int) else size
    across = _pass(image.transpose(1, 0, 2), width).transpose(1, 0, 2)
    return np.ascontiguousarray(_pass(across, height))


def _pass(image: npt.NDArray[np.uint8], n_out: int) -> npt.NDArray[np.uint8]:
    """Resample the first axis of uint8 (n_in, m, 3)."""
    if image.shape[0] == n_out:
        return image
    weights = resize_weights(image.shape[0], n_out).astype(np.float64)
    flat = image.reshape(image.shape[0], -1).astype(np.float64)
    # Exact: every product and sum is an integer below 2**53.
    total = weights @ flat
    half, one = 2.0 ** (PRECISION_BITS - 1), 2.0**PRECISION_BITS
    levels = np.floor((total + half) / one).clip(0, 255).astype(np.uint8)
    return levels.reshape(n_out, *image.shape[1:])


@lru_cache(maxsize=64)
def resize_weights(n_in: int, n_out: int) -> npt.NDArray[np.int64]:
    """Return the weights of one pass, int64 (n_out, n_in), in units of 2**-22."""
    scale = n_in / n_out
    stretch = max(scale, 1.0)
    centre = (np.arange(n_out) + 0.5) * scale
    first = np.maximum((centre - stretch + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + stretch + 0.5).astype(np.int64), n_in)
    place = np.arange(n_in)
    inside = (place >= first[:, None]) & (place < last[:, None])
    # Pillow subtracts before adding, relative to the first pixel; the order decides last bits.
    offset = (place - first[:, None]) + first[:, None] - centre[:, None] + 0.5
    triangle = np.maximum(1.0 - np.abs(offset * (1.0 / stretch)), 0.0) * inside
    share = triangle / triangle.sum(axis=1, keepdims=True)
    weights: npt.NDArray[np.int64] = np.floor(share * 2.0**PRECISION_BITS + 0.5).astype(np.int64)
    return weights
