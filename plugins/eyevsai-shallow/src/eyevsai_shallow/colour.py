"""Joint histograms of hue, saturation and value, and a small colour copy of the picture.

Bins are decided by quotients of small integers. A float32 quotient is correctly rounded and its
distance from the next integer is far above that rounding, so its floor is the exact bin, here and
in the graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["HsvBins", "colour_codes", "colour_counts", "thumbnail", "value_table"]


@dataclass(frozen=True, slots=True)
class HsvBins:
    """How finely hue, saturation and value are divided."""

    hue: int
    saturation: int
    value: int

    @property
    def total(self) -> int:
        """The number of joint bins; hue counts slowest, value fastest."""
        return self.hue * self.saturation * self.value


@lru_cache(maxsize=4)
def value_table(bins: int) -> npt.NDArray[np.float32]:
    """Return the bin of each value 0..255, float32 (256,): equal parts of 0..1, the last closed."""
    return np.minimum(np.arange(256) * bins // 255, bins - 1).astype(np.float32)


def colour_codes(planes: npt.NDArray[np.uint8], bins: HsvBins) -> npt.NDArray[np.int32]:
    """Return each pixel's joint bin, int32 (n, h, w), of planes uint8 (3, n, h, w).

    Hue, saturation and value are those of Smith 1978; a grey pixel has hue and saturation 0.
    """
    top = planes.max(axis=0)
    spread_int = top - planes.min(axis=0)
    red, green, blue = planes.astype(np.float32)
    spread = spread_int.astype(np.float32)
    is_red, is_green = planes[0] == top, planes[1] == top
    # Hue times spread, in sixths of the circle: difference of the two lower channels, plus
    # 0, 2 or 4 sixths. Below zero only next to red: there the circle closes.
    hue = np.where(
        is_red,
        green - blue,
        np.where(is_green, blue - red + 2 * spread, red - green + 4 * spread),
    )
    hue += (hue < 0) * (6 * spread)
    some = np.maximum(spread, np.float32(1))
    hue_bin = np.floor(hue * np.float32(bins.hue) / (some * np.float32(6)))
    brightest = np.maximum(top, np.uint8(1)).astype(np.float32)
    saturation_bin = np.floor(spread * np.float32(bins.saturation) / brightest)
    np.minimum(saturation_bin, np.float32(bins.saturation - 1), out=saturation_bin)
    code = (hue_bin * bins.saturation + saturation_bin) * bins.value
    code += value_table(bins.value).take(top)
    joint: npt.NDArray[np.int32] = code.astype(np.int32)
    return joint


def colour_counts(
    codes: npt.NDArray[np.int32], cells: int, bins: HsvBins
) -> npt.NDArray[np.float64]:
    """Count bins in each of cells x cells regions: float64 (n, cells, cells, bins.total)."""
    n, side, _ = codes.shape
    place = codes + _region_index(n, side, cells, bins.total)
    total = np.bincount(place.ravel(), minlength=n * cells * cells * bins.total)
    return total.reshape(n, cells, cells, bins.total).astype(np.float64)


@lru_cache(maxsize=8)
def _region_index(n: int, side: int, cells: int, bins: int) -> npt.NDArray[np.int64]:
    row = np.arange(side) // (side // cells)
    start = np.arange(n)[:, None, None] * cells * cells
    return (start + row[:, None] * cells + row) * bins


def thumbnail(planes: npt.NDArray[np.uint8], cells: int) -> npt.NDArray[np.float32]:
    """Return the mean colour of cells x cells regions, float32 (n, cells * cells * 3) in 0..1.

    In the order channel, row, column.
    """
    channels, n, side, _ = planes.shape
    step = side // cells
    # Two products with 0/1 matrices; sums of bytes stay far below 2**24, so float32 is exact.
    gather = np.repeat(np.eye(cells, dtype=np.float32), step, axis=0)
    total = gather.T @ (planes.reshape(-1, side, side).astype(np.float32) @ gather)
    mean = total.astype(np.float64) / (step * step * 255)
    ordered: npt.NDArray[np.float64] = mean.reshape(channels, n, -1).transpose(1, 0, 2)
    return ordered.astype(np.float32).reshape(n, -1)
