"""Local binary patterns, eight neighbours on a circle of radius one (Ojala et al. 2002).

Diagonal neighbours lie between pixels and are interpolated. Whether one is at least as bright as
the centre is decided in integers: for 8-bit pixels, weights 408 and 985 decide every case as the
real numbers 1 - 1/sqrt(2) and 1/sqrt(2) do, ties included. Counts are integers, so histograms of
coarser grids are exact sums of those of the finest.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "ALONG",
    "DIRECTIONS",
    "PATTERNS",
    "TURNED",
    "lbp_codes",
    "lbp_counts",
    "pattern_table",
    "pool_counts",
    "root_shares",
    "turned_table",
]

PATTERNS = 59
"""58 uniform patterns (at most two changes around the circle) and one bin for all others."""

TURNED = 10
"""Uniform patterns that are turns of each other are one: 0..8 bright neighbours, and others."""

ALONG, ACROSS = 408, 985
DIRECTIONS = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
"""(row, column) of the neighbours, anticlockwise from the right; the k-th is bit k of a code."""


@lru_cache(maxsize=1)
def pattern_table() -> npt.NDArray[np.int64]:
    """Map a code 0..255 to its bin 0..58: uniform patterns first, the rest is 58.

    Uniform patterns are numbered as scikit-image's ``nri_uniform`` does: none, then by the number
    of bright neighbours and by how far they are turned back, then all.
    """
    table = np.full(256, PATTERNS - 1, np.int64)
    table[0], table[255] = 0, PATTERNS - 2
    for bright in range(1, 8):
        run = (1 << bright) - 1
        for turn in range(8):
            code = (run << turn | run >> (8 - turn)) & 255
            table[code] = 1 + (bright - 1) * 8 + (8 - turn) % 8
    return table


@lru_cache(maxsize=1)
def turned_table() -> npt.NDArray[np.float64]:
    """Return the 0/1 matrix (59, 10) that adds up patterns which are turns of each other."""
    matrix = np.zeros((PATTERNS, TURNED))
    for code, pattern in enumerate(pattern_table()):
        matrix[pattern, TURNED - 1 if pattern == PATTERNS - 1 else code.bit_count()] = 1
    return matrix


def lbp_codes(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the code of each pixel, uint8 (n, h, w); beyond the border everything is black."""
    n, h, w = grey.shape
    padded = np.zeros((n, h + 2, w + 2), np.uint8)
    padded[:, 1:-1, 1:-1] = grey
    along = padded * np.int32(ALONG)
    across = padded * np.int32(ACROSS)
    centre = grey * np.int32(2 * ALONG + ACROSS)

    def shifted(plane: npt.NDArray[Any], row: int, column: int) -> npt.NDArray[Any]:
        return plane[:, 1 + row : 1 + row + h, 1 + column : 1 + column + w]

    codes = np.zeros(grey.shape, np.uint8)
    for bit, (row, column) in enumerate(DIRECTIONS):
        if row and column:
            between = shifted(along, row, 0) + shifted(along, 0, column)
            between += shifted(across, row, column)
            bright = between >= centre
        else:
            bright = shifted(padded, row, column) >= grey
        codes |= bright.view(np.uint8) << np.uint8(bit)
    return codes


def lbp_counts(codes: npt.NDArray[np.uint8], cells: int) -> npt.NDArray[np.float64]:
    """Count patterns in each of cells x cells regions: float64 (n, cells, cells, 59)."""
    n, side, _ = codes.shape
    place = pattern_table().take(codes)
    place += _region_index(n, side, cells)
    total = np.bincount(place.ravel(), minlength=n * cells * cells * PATTERNS)
    return total.reshape(n, cells, cells, PATTERNS).astype(np.float64)


@lru_cache(maxsize=8)
def _region_index(n: int, side: int, cells: int) -> npt.NDArray[np.int64]:
    row = np.arange(side) // (side // cells)
    start = np.arange(n)[:, None, None] * cells * cells
    return (start + row[:, None] * cells + row) * PATTERNS


def pool_counts(counts: npt.NDArray[np.float64], cells: int) -> npt.NDArray[np.float64]:
    """Add up the counts of neighbouring regions until there are cells x cells of them."""
    n, fine, _, bins = counts.shape
    step = fine // cells
    return counts.reshape(n, cells, step, cells, step, bins).sum((2, 4)) if step > 1 else counts


def root_shares(counts: npt.NDArray[np.float64], total: int) -> npt.NDArray[np.float32]:
    """Return the square roots of shares, float32 (n, everything else), each in 0..1.

    Euclidean distance of roots is Hellinger's distance of the histograms, the better one for
    counts (Arandjelovic & Zisserman 2012).
    """
    return np.sqrt(counts / total).astype(np.float32).reshape(len(counts), -1)
