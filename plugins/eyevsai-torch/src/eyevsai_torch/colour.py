"""Changing a picture's colours: brightness, contrast, saturation; and covering a rectangle."""

from __future__ import annotations

import torch

__all__ = ["covered", "jittered"]

# ITU-R BT.601, as PIL's conversion to "L".
_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114


def jittered(pictures: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Change brightness, then contrast, then saturation, each by a factor (1 changes nothing).

    With brightness b, a picture x becomes bx; with contrast c, it becomes cx + (1 - c)m, where m
    is the mean of its grey values; with saturation s, it becomes sx + (1 - s)g, where g are its
    grey values. As each step is linear, all three are done at once, and the result is clamped to
    0..255 once, at the end. A grey picture stays grey, whatever the saturation.

    `pictures` is float32 (n, 3, side, side), 0..255; `factors` is float32 (n, 3), one row a
    picture: brightness, contrast, saturation. Returns the same shape, a new tensor.
    """
    brightness, contrast, saturation = factors[:, :, None, None, None].unbind(1)
    red, green, blue = pictures.unbind(1)
    grey = (red * _RED).add_(green, alpha=_GREEN).add_(blue, alpha=_BLUE)[:, None]
    level = grey.mean((2, 3), keepdim=True)
    both = brightness * contrast
    shared = grey.mul_((1 - saturation) * both).add_((1 - contrast) * brightness * level)
    return (pictures * (saturation * both)).add_(shared).clamp_(0, 255)


def covered(pictures: torch.Tensor, box: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """Cover a rectangle of each picture by one grey level.

    `pictures` is float32 (n, 3, side, side); `box` is int64 (n, 4): left, top, right, bottom in
    pixels, the last two not included, all equal where nothing is covered; `level` is float32
    (n,), 0..255. Returns the same shape, a new tensor.
    """
    place = torch.arange(pictures.shape[-1], device=pictures.device)
    left, top, right, bottom = box[:, :, None].unbind(1)
    columns = (left <= place) & (place < right)
    rows = (top <= place) & (place < bottom)
    # As numbers, 0 or 1, for which lerp is exact: four times as fast as torch.where.
    inside = rows[:, None, :, None].float() * columns[:, None, None, :].float()
    return pictures.lerp(level[:, None, None, None], inside)
