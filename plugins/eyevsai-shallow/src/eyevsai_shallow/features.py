"""From pictures to descriptors: HOG, LBP, colour and texture, many pictures at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np

from eyevsai_core.errors import ConfigError
from eyevsai_shallow import hog, lbp, texture
from eyevsai_shallow.colour import HsvBins, colour_codes, colour_counts, thumbnail
from eyevsai_shallow.planes import Geometry, grey_plane, halve, split_planes

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["FeatureConfig", "FeatureExtractor", "block_lengths"]

_CHUNK_PIXELS = 16 * 64 * 64
"""Pixels handled at once: the working arrays then stay in a core's own cache."""

_PARTS = (1, 2, 4, 8)

_WEIGHTS = {"lbp_turned": 0.25, "texture": 0.1}
"""How much a block should weigh for learners that measure distances; 1 where not named.

These two are few numbers that say little about shape; by cross-validation on six small data sets
they help most when they cannot outvote the blocks of hundreds.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureConfig:
    """Which descriptors are computed, and how finely.

    ``hog_colour``: each pixel's gradient is that of the channel where it is longest, else that of
    the grey picture. ``hog_cells``: cells a side, each a level of the pyramid; ``hog_signed``:
    those of them that tell dark-to-bright from bright-to-dark. ``lbp_cells`` and
    ``colour_cells``: regions a side, each a level. ``thumbnail``: side of the colour copy, 0 for
    none. All of them divide 8. ``colour_cells`` may be empty beside a thumbnail: no histogram.
    ``hue_bins``, ``saturation_bins`` and ``value_bins`` are bins of the joint colour histogram.
    """

    hog: bool = True
    lbp: bool = True
    colour: bool = True
    texture: bool = True
    hog_colour: bool = True
    hog_cells: tuple[int, ...] = (8, 4)
    hog_signed: tuple[int, ...] = (4,)
    lbp_cells: tuple[int, ...] = (4, 2)
    colour_cells: tuple[int, ...] = (2,)
    hue_bins: int = 12
    saturation_bins: int = 3
    value_bins: int = 3
    thumbnail: int = 8

    def __post_init__(self) -> None:
        """Raise `ConfigError` for no descriptor at all, or grids and bins out of range."""
        if not (self.hog or self.lbp or self.colour or self.texture):
            raise ConfigError(
                "at least one of hog, lbp, colour and texture must be on, but all are off; "
                "switch one on"
            )
        for name, least in (("hog_cells", 2), ("lbp_cells", 1), ("colour_cells", 1)):
            self._check_cells(name, least)
        if not set(self.hog_signed) <= set(self.hog_cells):
            raise ConfigError(
                f"hog_signed must name some of hog_cells {self.hog_cells!r}, "
                f"but got {self.hog_signed!r}"
            )
        if self.thumbnail not in (0, *_PARTS):
            raise ConfigError(f"thumbnail must be one of 0, 1, 2, 4, 8, but got {self.thumbnail!r}")
        for name, most in (("hue_bins", 36), ("saturation_bins", 16), ("value_bins", 16)):
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise ConfigError(f"{name} must be in 1..{most}, but got {value!r}")

    def _check_cells(self, name: str, least: int) -> None:
        cells = getattr(self, name)
        allowed = [part for part in _PARTS if part >= least]
        if name == "colour_cells" and not cells and self.thumbnail:
            return
        if not cells or len(set(cells)) < len(cells) or not set(cells) <= set(allowed):
            raise ConfigError(
                f"{name} must be one or more different numbers out of "
                f"{', '.join(map(str, allowed))}, but got {cells!r}"
            )

    @property
    def bins(self) -> HsvBins:
        """The division of the colour space."""
        return HsvBins(self.hue_bins, self.saturation_bins, self.value_bins)


def block_lengths(config: FeatureConfig) -> dict[str, int]:
    """Return the descriptor's blocks in their order and how many numbers each has."""
    lengths: dict[str, int] = {}
    if config.hog:
        for cells in config.hog_cells:
            signed = cells in config.hog_signed
            lengths[f"hog_{cells}"] = hog.hog_length(cells, signed=signed)
    if config.lbp:
        for cells in config.lbp_cells:
            lengths[f"lbp_{cells}"] = cells * cells * lbp.PATTERNS
        lengths["lbp_turned"] = lbp.TURNED
    if config.colour:
        for cells in config.colour_cells:
            lengths[f"colour_{cells}"] = cells * cells * config.bins.total
        if config.thumbnail:
            lengths["thumbnail"] = config.thumbnail**2 * 3
    if config.texture:
        lengths["texture"] = len(texture.OFFSETS) * len(texture.PROPERTIES)
    return lengths


class FeatureExtractor:
    """Turns pictures of one size into descriptors. Immutable; safe to share between threads."""

    def __init__(self, config: FeatureConfig, image_size: int) -> None:
        """Raises `ConfigError` for an image size below 8."""
        self.config = config
        self.image_size = image_size
        self.geometry = Geometry(image_size)

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where each block lies: name to columns, in their order."""
        lengths = block_lengths(self.config)
        ends = accumulate(lengths.values(), initial=0)
        return {name: slice(*ends) for name, ends in zip(lengths, pairwise(ends), strict=True)}

    @property
    def weights(self) -> dict[str, float]:
        """The share of total variance that each block should have where distances matter."""
        return {name: _WEIGHTS.get(name, 1.0) for name in self.slices}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """A name for each column, such as ``hog_8[17]``."""
        lengths = block_lengths(self.config)
        return tuple(f"{name}[{i}]" for name, length in lengths.items() for i in range(length))

    @cached_property
    def n_features(self) -> int:
        """How many numbers describe a picture."""
        return sum(block_lengths(self.config).values())

    def extract(
        self, images: npt.NDArray[np.uint8], *, threads: int = 1
    ) -> npt.NDArray[np.float32]:
        """Describe uint8 (n, size, size, 3), RGB: float32 (n, n_features).

        The result does not depend on `threads` nor on which pictures come together.
        Raises `ConfigError` when the pictures have another size or type.
        """
        size = self.image_size
        if images.dtype != np.uint8 or images.shape[1:] != (size, size, 3):
            raise ConfigError(
                f"features need uint8 pictures of shape (n, {size}, {size}, 3), "
                f"but got {images.dtype} {images.shape!r}; resize them first"
            )
        features = np.empty((len(images), self.n_features), np.float32)
        step = max(1, _CHUNK_PIXELS // (size * size))

        def fill(start: int) -> None:
            self._fill(images[start : start + step], features[start : start + step])

        starts = range(0, len(images), step)
        if threads > 1 and len(starts) > 1:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(fill, starts))
        else:
            for start in starts:
                fill(start)
        return features

    def _fill(self, images: npt.NDArray[np.uint8], into: npt.NDArray[np.float32]) -> None:
        planes = split_planes(images, self.geometry)
        small = halve(planes) if self.geometry.halved else planes
        blocks: list[npt.NDArray[np.float32]] = []
        if self.config.hog:
            blocks += self._hog(small if self.config.hog_colour else grey_plane(small)[None])
        if self.config.lbp:
            blocks += self._lbp(grey_plane(planes))
        if self.config.colour:
            blocks += self._colour(small)
        if self.config.texture:
            blocks.append(texture.texture_properties(texture.pair_counts(grey_plane(small))))
        for columns, block in zip(self.slices.values(), blocks, strict=True):
            into[:, columns] = block

    def _hog(self, planes: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.float32]]:
        finest = max(self.config.hog_cells)
        histograms = hog.cell_histograms(planes, finest)
        return [
            hog.hog_blocks(
                histograms,
                cells,
                (self.geometry.small // cells) ** 2,
                signed=cells in self.config.hog_signed,
            )
            for cells in self.config.hog_cells
        ]

    def _lbp(self, grey: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.float32]]:
        counts = lbp.lbp_counts(lbp.lbp_codes(grey), max(self.config.lbp_cells))
        pixels = self.geometry.side**2
        blocks = [
            lbp.root_shares(lbp.pool_counts(counts, cells), pixels // (cells * cells))
            for cells in self.config.lbp_cells
        ]
        turned = lbp.pool_counts(counts, 1) @ lbp.turned_table()
        return [*blocks, lbp.root_shares(turned, pixels)]

    def _colour(self, planes: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.float32]]:
        blocks = self._histograms(planes) if self.config.colour_cells else []
        if self.config.thumbnail:
            blocks.append(thumbnail(planes, self.config.thumbnail))
        return blocks

    def _histograms(self, planes: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.float32]]:
        bins, pixels = self.config.bins, self.geometry.small**2
        counts = colour_counts(colour_codes(planes, bins), max(self.config.colour_cells), bins)
        return [
            lbp.root_shares(lbp.pool_counts(counts, cells), pixels // (cells * cells))
            for cells in self.config.colour_cells
        ]
