"""Colour planes that the descriptors read: cropped, grey, and averaged down, all in integers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eyevsai_core.errors import ConfigError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["GREY_WEIGHTS", "GRID", "Geometry", "grey_plane", "halve", "split_planes"]

GRID = 8
"""Descriptors divide a picture into at most this many cells a side; all grids divide it."""

GREY_WEIGHTS = (19595, 38470, 7471)
"""ITU-R 601-2 luma in 16-bit fixed point, as Pillow's mode "L" has it."""

_HALVED_FROM = 96


class Geometry:
    """What is cut and averaged from a square picture of `image_size` pixels.

    ``side`` is the largest multiple of 8 in it: a picture is cropped to that in the middle.
    ``halved`` says that edges and colours are measured on a copy of half the side, in which each
    pixel is the rounded mean of four; fine grain is noise to them. ``small`` is that copy's side.
    """

    def __init__(self, image_size: int) -> None:
        """Raises `ConfigError` for a picture with fewer than 8 pixels a side."""
        if image_size < GRID:
            raise ConfigError(
                f"features need pictures of at least {GRID} x {GRID} pixels, "
                f"but got image size {image_size!r}; use a larger one"
            )
        self.image_size = image_size
        self.side = image_size // GRID * GRID
        self.start = (image_size - self.side) // 2
        self.halved = self.side >= _HALVED_FROM and self.side % (2 * GRID) == 0
        self.small = self.side // 2 if self.halved else self.side


def split_planes(images: npt.NDArray[np.uint8], geometry: Geometry) -> npt.NDArray[np.uint8]:
    """Crop and turn uint8 (n, h, w, 3) into three contiguous planes, uint8 (3, n, side, side)."""
    near, far = geometry.start, geometry.start + geometry.side
    return np.ascontiguousarray(images[:, near:far, near:far].transpose(3, 0, 1, 2))


def grey_plane(planes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return luma, uint8 (n, h, w), of planes uint8 (3, n, h, w)."""
    total = planes[0] * np.uint32(GREY_WEIGHTS[0])
    total += planes[1] * np.uint32(GREY_WEIGHTS[1])
    total += planes[2] * np.uint32(GREY_WEIGHTS[2])
    total += np.uint32(1 << 15)
    total >>= np.uint32(16)
    level: npt.NDArray[np.uint8] = total.astype(np.uint8)
    return level


def halve(planes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the rounded mean (half up) of each 2 x 2 square; the last two axes are h and w."""
    rows = np.add(planes[..., ::2, :], planes[..., 1::2, :], dtype=np.uint16)
    total = rows[..., ::2] + rows[..., 1::2]
    total += np.uint16(2)
    total >>= np.uint16(2)
    mean: npt.NDArray[np.uint8] = total.astype(np.uint8)
    return mean
