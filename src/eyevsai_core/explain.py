"""Heat maps: which part of a picture an answer rests on. Works on the artefact, for every family.

Occlusion (Zeiler & Fergus 2014) covers one place after another and sees how much the label's
probability falls. RISE (Petsiuk et al. 2018) averages thousands of random half-covered pictures,
each weighted by the probability that is left. What is covered takes the picture's median colour,
paper under a drawing: a grey or black cover is itself something to see, with edges of its own.
(Covered in black, as published, a drawing got the same answer from an SVM on HOG features 64 times
out of 64, and the heat map was noise.)
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image

from eyevsai_core.errors import ConfigError, did_you_mean
from eyevsai_core.files import write_atomic
from eyevsai_core.images import as_image
from eyevsai_core.resize import resize_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from eyevsai_core.images import ImageLike

    Ask = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
    Progress = Callable[[int, int], None] | None

__all__ = ["METHODS", "Explanation", "explain_image", "overlay"]

METHODS = ("occlusion", "rise")
_RISE_CELLS, _RISE_KEEP = 7, 0.5
_BATCH = 64
_BATCH_PIXELS = 4_000_000  # of large pictures fewer at a time: memory stays below 300 MB
_KEPT_SIDE = 1024
_NOTHING = 1e-3  # of probability: what no place changes by more is not coloured as if it mattered
_ORANGE, _BLUE = (230.0, 97.0, 1.0), (44.0, 103.0, 178.0)


class _Answers(Protocol):
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def image_size(self) -> int: ...
    def predict_proba(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]: ...


@dataclass(frozen=True, eq=False)
class Explanation:
    """A heat map, float32 (size, size), for one label of one picture.

    It covers the whole picture, at the size that the model looks at. Positive places speak for
    the label, negative ones against it, in units of probability; `image` is the picture itself,
    uint8 (h, w, 3), no side longer than 1024 pixels.
    """

    label: str
    probability: float
    heatmap: npt.NDArray[np.float32]
    image: npt.NDArray[np.uint8]
    method: str

    def picture(self, side: int = 384) -> npt.NDArray[np.uint8]:
        """Return the picture, its longer side `side`, with the heat map laid over it."""
        return overlay(self.image, self.heatmap, side=side)

    def save(self, path: Path, *, side: int = 384) -> None:
        """Write `picture` as PNG. Raises `OutputError`."""
        write_atomic(path, _png(self.picture(side)))

    def _repr_png_(self) -> bytes:
        """Show the picture in a notebook."""
        return _png(self.picture())


def explain_image(
    classifier: _Answers,
    image: ImageLike,
    *,
    label: str | None = None,
    method: str = "occlusion",
    samples: int = 1000,
    seed: int = 0,
    progress: Progress = None,
) -> Explanation:
    """Explain the probability of `label` (the best one if none) for one picture.

    `samples` is the number of random masks of RISE, drawn from `seed`; `progress` is called with
    (pictures asked, of how many). Raises `ConfigError` for an unknown label or method, or a number
    out of range.
    """
    if method not in METHODS:
        raise ConfigError(
            f"method must be one of {', '.join(METHODS)}, but got {method!r}."
            + did_you_mean(method, METHODS)
        )
    if samples < 1 or seed < 0:
        raise ConfigError(
            f"samples must be at least 1 and seed at least 0, but got {samples!r} and {seed!r}"
        )
    original = as_image(image)
    small = resize_image(original, classifier.image_size)
    base = classifier.predict_proba(small[None])[0]
    if label is None:
        label = classifier.classes[int(base.argmax())]
    if label not in classifier.classes:
        known = ", ".join(classifier.classes)
        raise ConfigError(
            f"the model does not know the label {label!r}; it knows {known}."
            + did_you_mean(label, classifier.classes)
        )
    column = classifier.classes.index(label)

    def ask(masked: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return classifier.predict_proba(masked)[:, column]

    if method == "occlusion":
        heat = _occlusion(ask, small, float(base[column]), progress)
    else:
        heat = _rise(ask, small, samples, seed, progress)
    kept = Image.fromarray(original)
    kept.thumbnail((_KEPT_SIDE, _KEPT_SIDE), Image.Resampling.LANCZOS)
    return Explanation(label, float(base[column]), heat, np.asarray(kept), method)


def _batch(size: int) -> int:
    return max(1, min(_BATCH, _BATCH_PIXELS // size**2))


def _background(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the median colour, float32 (3,)."""
    return np.asarray(np.median(image.reshape(-1, 3), axis=0), np.float32)


def _occlusion(
    ask: Ask,
    image: npt.NDArray[np.uint8],
    base: float,
    progress: Progress,
) -> npt.NDArray[np.float32]:
    """Cover squares of a quarter of the side, a sixteenth of it apart."""
    size = image.shape[0]
    window, stride = max(size // 4, 1), max(size // 16, 1)
    cover = _background(image).astype(np.uint8)
    starts = range(-window // 2, size - window // 2 + 1, stride)
    places = [(y, x) for y in starts for x in starts]
    total = np.zeros((size, size))
    seen = np.zeros((size, size))
    batch = _batch(size)
    for begin in range(0, len(places), batch):
        chunk = places[begin : begin + batch]
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
    ask: Ask,
    image: npt.NDArray[np.uint8],
    samples: int,
    seed: int,
    progress: Progress,
) -> npt.NDArray[np.float32]:
    """Weigh random smooth masks by the probability that they leave, minus their mean."""
    dice = np.random.default_rng(seed)
    size = image.shape[0]
    cover = _background(image)
    cell = -(-size // _RISE_CELLS)
    grown = (_RISE_CELLS + 1) * cell
    weighted = np.zeros((size, size))
    kept = np.zeros((size, size))
    total = 0.0
    batch = _batch(size)
    for begin in range(0, samples, batch):
        n = min(batch, samples - begin)
        masks = np.empty((n, size, size), np.float32)
        for k in range(n):
            grid = (dice.random((_RISE_CELLS + 1, _RISE_CELLS + 1)) < _RISE_KEEP).astype(np.float32)
            smooth = Image.fromarray(grid).resize((grown, grown), Image.Resampling.BILINEAR)
            y, x = dice.integers(0, cell, 2)
            masks[k] = np.asarray(smooth)[y : y + size, x : x + size]
        masked = cover + (image - cover) * masks[..., None]
        left = ask(masked.round().astype(np.uint8)).astype(np.float64)
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
    """Lay a heat map over the whole of a picture (h, w, 3): orange speaks for, blue against.

    The result's longer side is `side`. The strongest place has full colour; the picture stays
    visible in grey beneath.
    """
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    strongest = max(float(np.abs(heatmap).max()), _NOTHING)
    share = Image.fromarray((heatmap / strongest).astype(np.float32))
    strength = np.asarray(share.resize(size, Image.Resampling.BICUBIC)).clip(-1, 1)[..., None]
    grey = Image.fromarray(image).convert("L").resize(size, Image.Resampling.BICUBIC)
    base = 70 + np.asarray(grey, np.float32)[..., None] * (185 / 255)
    alpha = np.abs(strength) * 0.75
    colour = np.where(strength > 0, _ORANGE, _BLUE)
    return np.asarray((base * (1 - alpha) + colour * alpha).round().clip(0, 255), np.uint8)


def _png(image: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
