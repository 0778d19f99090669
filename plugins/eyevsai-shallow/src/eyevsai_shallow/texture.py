"""Grey-level co-occurrence texture (Haralick, Shanmugam & Dinstein 1973), 16 levels.

Which grey levels stand next to each other, in four directions; six numbers sum up each table.
Counts are integers and so are all sums here, but for those of 1 / (1 + d**2), which is rounded to
a multiple of 2**-32: exact in any order.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "LEVELS",
    "OFFSETS",
    "PROPERTIES",
    "SUMS",
    "pair_counts",
    "property_sums",
    "texture_properties",
]

LEVELS = 16
OFFSETS = ((0, 1), (1, 1), (1, 0), (1, -1))
"""(row, column) from a pixel to its partner: at 0, 45, 90 and 135 degrees as scikit-image
counts them, downwards."""

PROPERTIES = ("contrast", "dissimilarity", "homogeneity", "asm", "energy", "correlation")
SUMS = 8


@lru_cache(maxsize=1)
def property_sums() -> npt.NDArray[np.float64]:
    """Return the weights (256, 8) of the sums over a table that all properties are made of.

    Columns: 1, (i-j)**2, |i-j|, 1/(1+(i-j)**2), i, j, i**2, j**2, in that order; the product
    i * j follows from the second and the last two.
    """
    i, j = (a.ravel().astype(np.float64) for a in np.mgrid[:LEVELS, :LEVELS])
    apart = i - j
    near = np.rint(2.0**32 / (1 + apart * apart)) / 2.0**32
    columns = [np.ones_like(i), apart * apart, np.abs(apart), near, i, j, i * i, j * j]
    return np.stack(columns, axis=1)


def pair_counts(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Count level pairs of uint8 (n, h, w): float64 (n, 4, 256), index ``first * 16 + second``."""
    n, h, w = grey.shape
    level = (grey >> 4).astype(np.int64)
    first = level * LEVELS
    first += np.arange(n)[:, None, None] * (LEVELS * LEVELS)
    tables = []
    for row, column in OFFSETS:
        left, right = max(0, -column), w - max(0, column)
        place = first[:, : h - row, left:right]
        place = place + level[:, row:, left + column : right + column]
        tables.append(np.bincount(place.ravel(), minlength=n * LEVELS * LEVELS))
    counts = np.stack(tables).reshape(len(OFFSETS), n, LEVELS * LEVELS)
    return counts.transpose(1, 0, 2).astype(np.float64)


def texture_properties(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Turn counts (n, 4, 256) into float32 (n, 24): six properties for each direction.

    As scikit-image's ``graycoprops`` has them; the correlation of a flat picture is 1.
    """
    sums = counts @ property_sums()
    total, contrast, apart, near, i, j, ii, jj = (sums[..., k] for k in range(SUMS))
    squares = (counts * counts).sum(axis=2)
    asm = squares / (total * total)
    # Integers below 2**53 up to here; with N pairs, N**2 times the covariance and the variances.
    both = (ii + jj - contrast) / 2
    covariance = total * both - i * j
    spread = np.sqrt(total * ii - i * i) * np.sqrt(total * jj - j * j)
    # Zero, or at least one: it comes from integers.
    flat = spread < 0.5  # noqa: PLR2004
    correlation = np.where(flat, 1.0, covariance / np.where(flat, 1.0, spread))
    columns = [contrast / total, apart / total, near / total, asm, np.sqrt(asm), correlation]
    return np.stack(columns, axis=2).astype(np.float32).reshape(len(counts), -1)
