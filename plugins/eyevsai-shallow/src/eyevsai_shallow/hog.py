"""Histograms of oriented gradients (Dalal & Triggs 2005), hard bins, L2-Hys blocks of 2 x 2 cells.

A picture has integer pixels, so a gradient is one of 511 x 511 integer pairs: its bin and its
length come from tables. Lengths are multiples of 2**-15, so cell sums are exact in whatever order
they are made, and every later sum is either exact too or made in one fixed order. That is why
the array code here and the graph in `hog_graph` give the same bits.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "BINS",
    "CLIP",
    "EPS2",
    "LENGTH_UNIT",
    "REACH",
    "ROUNDING",
    "cell_histograms",
    "gradient_tables",
    "hog_blocks",
    "hog_length",
]

BINS = 18
"""Orientations of 20 degrees over the full circle; folded to 9 where direction is left out."""

REACH = 511
"""How many values a difference of two pixels can have: -255..255."""

CLIP = 0.2
EPS2 = 1e-10
ROUNDING = 2.0**24
"""Clipped values are rounded to multiples of 2**-24: a float64 sum of their squares is exact."""

LENGTH_UNIT = 2.0**15
"""Lengths are rounded to multiples of 2**-15; below 361 they are exact in float32 as well."""


@lru_cache(maxsize=1)
def gradient_tables() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Return bin (0..17) and length (0..361) of each gradient, both (511 * 511,).

    The index is ``(gy + 255) * 511 + gx + 255``.
    """
    steps = np.arange(-255, 256)
    gy, gx = np.meshgrid(steps, steps, indexing="ij")
    # Which of the eight lines at 20..160 degrees has the gradient passed? Exact: no integer
    # gradient but zero lies on one of them.
    tilts = np.deg2rad(20 * np.arange(1, BINS // 2))
    below = (gy < 0) | ((gy == 0) & (gx < 0))
    up_y, up_x = np.where(below, -gy, gy), np.where(below, -gx, gx)
    bins = BINS // 2 * below
    for tilt in tilts:
        bins = bins + (np.cos(tilt) * up_y - np.sin(tilt) * up_x > 0)
    length = np.rint(np.sqrt(gx * gx + gy * gy) * LENGTH_UNIT) / LENGTH_UNIT
    return bins.ravel().astype(np.uint8), length.ravel().astype(np.float32)


def cell_histograms(planes: npt.NDArray[np.uint8], cells: int) -> npt.NDArray[np.float64]:
    """Return summed gradient lengths, float64 (n, 18, cells, cells), of uint8 (k, n, side, side).

    `cells` divides the side. Of k planes, each pixel's longest gradient counts, the first of
    equally long ones. Differences across the border count as zero.
    """
    _, n, side, _ = planes.shape
    bins, lengths = _flat_tables(cells)
    index = _gradient_index(planes)
    place = bins.take(index)
    place += _cell_index(n, side, cells)
    added = lengths.take(index.ravel())
    total = np.bincount(place.ravel(), added, n * BINS * cells * cells)
    return total.astype(np.float64, copy=False).reshape(n, BINS, cells, cells)


def _gradient_index(planes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Return each pixel's place in `gradient_tables`, int32 (n, h, w)."""
    pixels = planes.astype(np.int16)
    gx, gy = np.zeros((2, *planes.shape), np.int16)
    np.subtract(pixels[..., 2:], pixels[..., :-2], out=gx[..., 1:-1])
    np.subtract(pixels[..., 2:, :], pixels[..., :-2, :], out=gy[..., 1:-1, :])
    best_x, best_y = gx[0], gy[0]
    if len(planes) > 1:
        squares = np.multiply(gx, gx, dtype=np.int32)
        squares += np.multiply(gy, gy, dtype=np.int32)
        longest = squares[0]
        for x, y, square in zip(gx[1:], gy[1:], squares[1:], strict=True):
            longer = square > longest
            np.copyto(best_x, x, where=longer)
            np.copyto(best_y, y, where=longer)
            np.maximum(longest, square, out=longest)
    index: npt.NDArray[np.int32] = best_y * np.int32(REACH)
    index += best_x
    index += np.int32(255 * REACH + 255)
    return index


@lru_cache(maxsize=8)
def _flat_tables(cells: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    bins, lengths = gradient_tables()
    return bins.astype(np.int64) * (cells * cells), lengths.astype(np.float64)


@lru_cache(maxsize=8)
def _cell_index(n: int, side: int, cells: int) -> npt.NDArray[np.int64]:
    row = np.arange(side) // (side // cells)
    start = np.arange(n)[:, None, None] * (BINS * cells * cells)
    return start + row[:, None] * cells + row


def hog_length(cells: int, *, signed: bool) -> int:
    """Return how many numbers `hog_blocks` gives for a picture."""
    return (cells - 1) ** 2 * 4 * (BINS if signed else BINS // 2)


def hog_blocks(
    histograms: npt.NDArray[np.float64], cells: int, area: int, *, signed: bool
) -> npt.NDArray[np.float32]:
    """Normalise histograms (n, 18, fine, fine) at `cells` cells a side, which divides fine.

    `area` is the pixels of one such cell. Returns float32 (n, (cells - 1)**2 * 4 * bins) in the
    order block row, block column, cell row, cell column, orientation; each is in 0..1.
    """
    n, _, fine, _ = histograms.shape
    step = fine // cells
    if step > 1:
        histograms = histograms.reshape(n, BINS, cells, step, cells, step).sum((3, 5))
    if not signed:
        histograms = histograms[:, : BINS // 2] + histograms[:, BINS // 2 :]
    mean = histograms / area
    blocks = cells - 1
    corners = [(r, c) for r in (0, 1) for c in (0, 1)]
    energy = _ordered_energy(mean)
    near = [energy[:, r : r + blocks, c : c + blocks] for r, c in corners]
    scale = np.sqrt(((near[0] + near[1]) + near[2]) + near[3] + EPS2)[:, None]
    stack = np.stack(
        [mean[:, :, r : r + blocks, c : c + blocks] / scale for r, c in corners], axis=1
    )
    np.minimum(stack, CLIP, out=stack)
    stack *= ROUNDING
    np.rint(stack, out=stack)
    stack /= ROUNDING
    stack /= np.sqrt((stack * stack).sum((1, 2)) + EPS2)[:, None, None]
    return stack.transpose(0, 3, 4, 1, 2).astype(np.float32).reshape(n, -1)


def _ordered_energy(mean: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Sum the squares over axis 1 from first to last: float64 sums depend on their order."""
    squares = mean * mean
    total = squares[:, 0].copy()
    for i in range(1, squares.shape[1]):
        total += squares[:, i]
    return total
