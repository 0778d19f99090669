"""How the learning rate moves: a function of the step, except where validation has a say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyevsai_torch.config import TorchConfig

__all__ = ["Schedule"]

_START, _END = 0.04, 1e-4  # shares of the largest rate
_SWING = 0.05  # of the momentum, down and up again
_PLATEAU_FACTOR, _PLATEAU_PATIENCE, _BETTER = 0.3, 3, 1e-4


@dataclass
class Schedule:
    """Learning rate and momentum of each of `total` steps.

    - ``one_cycle`` (Smith & Topin 2018): up from 1/25 to the largest rate in the first
      ``warmup`` share of the steps and down to 1/10000 in the others, along half cosines;
      momentum moves against it, by 0.05 to both sides.
    - ``cosine`` (Loshchilov & Hutter 2017): a linear warm-up (Goyal et al. 2017), then down to
      nothing along half a cosine.
    - ``plateau``: a linear warm-up, then constant; times 0.3 whenever the validation loss has
      not become better for three epochs.
    - ``constant``: a linear warm-up, then constant.
    """

    name: str
    largest: float
    momentum: float
    warmup: float
    total: int
    factor: float = 1.0
    best: float = math.inf
    stale: int = 0

    @classmethod
    def of(cls, config: TorchConfig, total: int) -> Schedule:
        """Make the schedule of a resolved config for `total` steps."""
        return cls(
            config.schedule, config.learning_rate or 0.0, config.momentum, config.warmup, total
        )

    def at(self, step: int) -> tuple[float, float]:
        """Return learning rate and momentum of a step, counted from 0."""
        rising = max(round(self.warmup * self.total), 1)
        falling = max(self.total - rising, 1)
        if self.name == "one_cycle":
            height = (
                _cosine(step / rising)
                if step < rising
                else _cosine(1 - _part(step, rising, falling))
            )
            low = _START if step < rising else _END
            share = low + (1 - low) * height
            swing = max(min(_SWING, 1 - self.momentum - 1e-3, self.momentum), 0.0)
            return self.largest * share, self.momentum + swing * (1 - 2 * height)
        share = min((step + 1) / rising, 1.0)
        if self.name == "cosine" and step >= rising:
            share = _cosine(1 - _part(step, rising, falling))
        return self.largest * share * self.factor, self.momentum

    def epoch_ended(self, validation_loss: float) -> None:
        """Let ``plateau`` see how the validation went."""
        if validation_loss < self.best * (1 - _BETTER):
            self.best, self.stale = validation_loss, 0
            return
        self.stale += 1
        if self.name == "plateau" and self.stale >= _PLATEAU_PATIENCE:
            self.factor *= _PLATEAU_FACTOR
            self.stale = 0

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs: all JSON types."""
        best = None if math.isinf(self.best) else self.best
        return {"factor": self.factor, "best": best, "stale": self.stale}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""
        self.factor, self.stale = float(state["factor"]), int(state["stale"])
        self.best = math.inf if state["best"] is None else float(state["best"])


def _part(step: int, rising: int, falling: int) -> float:
    return min((step - rising) / falling, 1.0)


def _cosine(share: float) -> float:
    """Rise from 0 to 1 along half a cosine."""
    return (1 - math.cos(math.pi * share)) / 2
