"""The learning rate range test: how the loss answers to ever larger steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from eyevsai_torch.dice import epoch_order
from eyevsai_torch.learner import Batch
from eyevsai_torch.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eyevsai_core.family import FitContext
    from eyevsai_torch.feed import Feed
    from eyevsai_torch.learner import Learner

__all__ = ["RangeSchedule", "range_test"]

_STEPS = 120
_LOWEST, _HIGHEST = 1e-5, {"sgd": 10.0, "adam": 1.0, "adamw": 1.0}
_MEMORY = 0.9
_DIVERGED, _CERTAIN = 4.0, 10  # times the least loss; steps before that is believed


class RangeSchedule(Schedule):
    """Learning rates from the lowest to the highest, each step larger by the same factor."""

    def __init__(self, highest: float, momentum: float, steps: int = _STEPS) -> None:
        super().__init__("range", highest, momentum, 0.0, steps)
        self.growth = (highest / _LOWEST) ** (1 / max(steps - 1, 1))

    def at(self, step: int) -> tuple[float, float]:
        """Return learning rate and momentum of a step, counted from 0."""
        return _LOWEST * self.growth**step, self.momentum


def range_test(
    learner: Learner, feed: Feed, context: FitContext, steps: int = _STEPS
) -> list[tuple[float, float]]:
    """Train for `steps` steps at growing rates; return (learning rate, smoothed loss) of each.

    The range test of Smith (2017), with exponentially growing rates. It ends early when the
    loss is four times its least. The loss is an exponential average without its bias to zero.
    """
    config = learner.config
    schedule = RangeSchedule(_HIGHEST[config.optimizer], config.momentum, steps)
    learner.schedule = schedule
    learner.net.train()
    found: list[tuple[float, float]] = []
    average, least = 0.0, math.inf
    for batch in _batches(feed, learner, steps):
        learner.sums.zero_()
        learner.step(batch)
        loss, _, weight, _ = learner.sums.tolist()
        if not math.isfinite(loss):
            break
        average = _MEMORY * average + (1 - _MEMORY) * loss / weight
        smooth = average / (1 - _MEMORY ** (len(found) + 1))
        least = min(least, smooth)
        found.append((schedule.at(batch.step)[0], smooth))
        context.progress(len(found), steps, {"train_loss": smooth})
        if len(found) > _CERTAIN and smooth > _DIVERGED * least:
            break
    return found


def _batches(feed: Feed, learner: Learner, steps: int) -> Iterator[Batch]:
    """Yield so many batches, epoch after epoch."""
    config = learner.config
    size = min(config.batch_size or 1, len(feed))
    per_epoch = len(feed) // size
    for step in range(steps):
        epoch, place = divmod(step, per_epoch)
        row = epoch_order(config.seed, epoch, len(feed))[place * size : (place + 1) * size]
        labels = torch.from_numpy(feed.labels[row])
        yield Batch(feed.pictures(row), labels, epoch, step)
