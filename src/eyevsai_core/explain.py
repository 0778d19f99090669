"""Heat maps: which part of a picture an answer rests on. Works on the artefact, for every family.

Occlusion (Zeiler & Fergus 2014) covers one place after another and sees how much the label's
probability falls. RISE (Petsiuk et al. 2018) averages thousands of random half-covered pictures,
each weighted by the probability that is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image

from eyevsai_core.errors import ConfigError
from eyevsai_core.images import as_image
from eyevsai_core.resize import resize_image

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from eyevsai_core.images import ImageLike

__all__ = ["METHODS", "Explanation", "explain_image", "overlay"]

METHODS = ("occlusion", "rise")
_RISE_CELLS, _RISE_KEEP = 7, 0.5
_BATCH = 64


class _Answers(Protocol):
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def image_size(self) -> int: ...
    def predict_proba(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]: ...


@dataclass(frozen=True)
class Explanation:
    """A heat map, float32 (size, size), for one label of one picture.

    Positive places speak for the label, negative ones against it, in units of probability;
    `image` is uint8 (size, size, 3), what the model looked at.
    """

    label: str
    probability: float
    heatmap: npt.NDArray[np.float32]
    image: npt.NDArray[np.uint8]
    method: str

    def picture(self, side: int = 384) -> npt.NDArray[np.uint8]:
        """Return the picture with the heat map laid over it, uint8 (side, side, 3)."""
        return overlay(self.image, self.heatmap, side=side)


def explain_image(
    classifier: _Answers,
    image: ImageLike,
    *,
    label: str | None = None,
    method: str = "occlusion",
    samples: int = 1000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Explanation:
    """Explain the probability of `label` (the best one if none) for one picture.

    `samples` is the number of random masks of RISE. Raises `ConfigError` for an unknown label
    or method.
    """
    if method not in METHODS:
        raise ConfigError(f"method must be one of {', '.join(METHODS)}, but got {method!r}")
    small = resize_image(as_image(image), classifier.image_size)
    base = classifier.predict_proba(small[None])[0]
    if label is None:
        label = classifier.classes[int(base.argmax())]
    if label not in classifier.classes:
        raise ConfigError(
            f"the model does not know the label {label!r}; it knows {', '.join(classifier.classes)}"
        )
    column = classifier.classes.index(label)

    def ask(masked: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return classifier.predict_proba(masked)[:, column]

    if method == "occlusion":
        heat = _occlusion(ask, small, float(base[column]), progress)
    else:
        heat = _rise(ask, small, samples, seed, progress)
    return Explanation(label, float(base[column]), heat, small, method)


def _occlusion(
    ask: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]],
    image: npt.NDArray[np.uint8],
    base: float,
    progress: Callable[[int, int], None] | None,
) -> npt.NDArray[np.float32]:
    """Cover squares of a quarter of the side, an eighth of it apart, with the mean colour."""
    size = image.shape[0]
    window, stride = max(size // 4, 1), max(size // 16, 1)
    cover = image.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    starts = range(-window // 2, size - window // 2 + 1, stride)
    places = [(y, x) for y in starts for x in starts]
    total = np.zeros((size, size))
    seen = np.zeros((size, size))
    for begin in range(0, len(places), _BATCH):
        chunk = places[begin : begin + _BATCH]
        masked = np.repeat(image[None], len(chunk), axis=0)
        areas = [np.s_[max(y, 0) : y + window, max(x, 0) : x + window] for y, x in chunk]
        for picture, area in zip(masked, areas, strict=True):
            picture[area] = cover
        for area, left in zip(areas, ask(masked), strict=True):
            total[area] += base - left
            seen[area] += 1
        if progress:
            progress(begin + len(chunk), len(places))
    return (total / np.maximum(seen, 1)).astype(np.float32)


def _rise(
    ask: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]],
    image: npt.NDArray[np.uint8],
    samples: int,
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> npt.NDArray[np.float32]:
    """Weigh random smooth masks by the probability that they leave, minus their mean."""
    dice = np.random.default_rng(seed)
    size = image.shape[0]
    cell = -(-size // _RISE_CELLS)
    grown = (_RISE_CELLS + 1) * cell
    weighted = np.zeros((size, size))
    kept = np.zeros((size, size))
    total = 0.0
    for begin in range(0, samples, _BATCH):
        n = min(_BATCH, samples - begin)
        masks = np.empty((n, size, size))
        for k in range(n):
            grid = (dice.random((_RISE_CELLS + 1, _RISE_CELLS + 1)) < _RISE_KEEP).astype(np.float32)
            smooth = Image.fromarray(grid).resize((grown, grown), Image.Resampling.BILINEAR)
            y, x = dice.integers(0, cell, 2)
            masks[k] = np.asarray(smooth)[y : y + size, x : x + size]
        left = ask((image * masks[..., None]).round().astype(np.uint8)).astype(np.float64)
        weighted += np.tensordot(left, masks, 1)
        kept += masks.sum(axis=0)
        total += float(left.sum())
        if progress:
            progress(begin + n, samples)
    mean = total / samples
    return (weighted / np.maximum(kept, 1e-9) - mean).astype(np.float32)


def overlay(
    image: npt.NDArray[np.uint8], heatmap: npt.NDArray[np.float32], *, side: int = 384
) -> npt.NDArray[np.uint8]:
    """Lay a heat map (h, w) over a picture (h, w, 3): orange speaks for, blue against.

    The strongest place has full colour; the picture stays visible in grey beneath.
    """
    strongest = float(np.abs(heatmap).max()) or 1.0
    share = Image.fromarray((heatmap / strongest).astype(np.float32))
    strength = np.asarray(share.resize((side, side), Image.Resampling.BICUBIC)).clip(-1, 1)
    grey = Image.fromarray(image).convert("L").resize((side, side), Image.Resampling.BICUBIC)
    base = 70 + np.asarray(grey, np.float32)[..., None].repeat(3, axis=2) * (185 / 255)
    colour = np.where(strength[..., None] > 0, (230.0, 97.0, 1.0), (44.0, 103.0, 178.0))
    alpha = np.abs(strength)[..., None] * 0.75
    return np.asarray((base * (1 - alpha) + colour * alpha).round().clip(0, 255), np.uint8)
