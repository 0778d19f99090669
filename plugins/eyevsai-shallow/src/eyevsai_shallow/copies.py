"""Changed copies of pictures that show the same: more to learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["SHIFTS", "changed"]

SHIFTS = ("down-right", "up-left", "down-left", "up-right")
"""The ways in which a picture is moved."""

_PART = 32


def changed(images: npt.NDArray[np.uint8], kind: str) -> npt.NDArray[np.uint8]:
    """Return pictures mirrored, or moved by a thirty-second of their side.

    `images` is uint8 (n, side, side, 3); `kind` is ``plain``, ``mirrored`` or one of `SHIFTS`. What
    a move uncovers repeats the border.
    """
    if kind == "plain":
        return images
    if kind == "mirrored":
        return np.ascontiguousarray(images[:, :, ::-1])
    side = images.shape[1]
    step = max(1, side // _PART)
    place = np.arange(side)
    rows = np.clip(place - step if "down" in kind else place + step, 0, side - 1)
    columns = np.clip(place - step if "right" in kind else place + step, 0, side - 1)
    return np.ascontiguousarray(images[:, rows[:, None], columns])
