"""The points of the grid that training compares on the validation split, and how it chooses."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from eyevsai_shallow.config import ShallowConfig

__all__ = ["DEFAULT_C", "MANY", "Candidate", "candidates_for", "clearly_best", "is_shifted"]

DEFAULT_C = 10.0
_DECISIVE = 1000
MANY = 20_000
"""Pictures above which more principal components cost more than they give."""
_MIRRORED = 100_000  # pictures above which mirror images do
_SHIFTED, _SHIFTED_OF_CLASS = (
    5_000,
    64,
)  # pictures, in all and of a class, above which moved ones do

# The first of each is the default, and stays unless another is clearly better.
_GRID: dict[str, dict[str, tuple[float | None, ...]]] = {
    "svm": {"c": (DEFAULT_C,), "gamma": (1.0, 0.5, 2.0, 4.0)},
    "lr": {"c": (DEFAULT_C, 1.0, 0.1, 100.0), "gamma": (None,)},
    "rf": {"c": (None,), "gamma": (None,)},
}


@dataclass(frozen=True)
class Candidate:
    """One point of the grid."""

    flip: bool
    c: float | None
    gamma: float | None

    @property
    def key(self) -> str:
        """A name for the file of finished candidates."""
        return f"flip={self.flip} c={self.c} gamma={self.gamma}"


def candidates_for(config: ShallowConfig, n: int) -> list[Candidate]:
    """Return the grid for `n` pictures, the default candidate first."""
    grid = _GRID[config.classifier]
    flips: tuple[bool, ...] = (True, False) if n <= _MIRRORED else (False,)
    if config.flip is not None:
        flips = (config.flip,)
    cs = grid["c"] if config.c is None else (config.c,)
    gammas = grid["gamma"] if config.gamma is None else (config.gamma,)
    if config.kernel == "linear":
        gammas = (None,)
    return [Candidate(*point) for point in product(flips, cs, gammas)]


def is_shifted(config: ShallowConfig, n: int, n_classes: int) -> bool:
    """Return whether moved pictures go with mirrored ones, of `n` to learn from.

    For forests with few pictures of each class: by cross-validation they raised food10 (25 of each)
    from 0.23 to 0.32, vegetables15 (42) from 0.85 to 0.91, instruments30 (20) from 0.43 to 0.45 and
    doodles20 (70) from 0.63 to 0.66, and lowered pets_cats_dogs (100) from 0.70 to 0.67. An SVM's
    kernel is smooth already, and its cost grows with the square.
    """
    if config.shift is not None:
        return config.shift
    return config.classifier == "rf" and n <= min(_SHIFTED, _SHIFTED_OF_CLASS * n_classes)


def clearly_best(
    candidates: list[Candidate], done: dict[str, dict[str, float]], n: int
) -> Candidate:
    """Return the default unless another beats it on `n` pictures by more than a standard error.

    Thirty validation pictures otherwise choose noise (the rule of Breiman et al. 1984, section
    3.4.3, turned round: the default is the simple choice). From a thousand on, the best is it.
    """
    default = done[candidates[0].key]["validation_accuracy"]
    error = float(np.sqrt(max(default * (1 - default), 1e-9) / n)) if n < _DECISIVE else 0.0
    best = max(
        candidates,
        key=lambda c: (done[c.key]["validation_accuracy"], -done[c.key]["validation_log_loss"]),
    )
    better = done[best.key]["validation_accuracy"] > default + error
    return best if better else candidates[0]
