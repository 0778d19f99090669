from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import torch
from making_nets import CPU, Context, build_net, data, make_learner

from eyevsai_torch import range_test as module
from eyevsai_torch.config import TorchConfig
from eyevsai_torch.feed import Feed
from eyevsai_torch.range_test import RangeSchedule, range_test
from eyevsai_torch.trainer import TorchTrainer

if TYPE_CHECKING:
    from pathlib import Path


def test_rates_grow_by_the_same_factor() -> None:
    schedule = RangeSchedule(10.0, 0.9, 7)
    rates = [schedule.at(step)[0] for step in range(7)]
    assert rates[0] == pytest.approx(1e-5)
    assert rates[-1] == pytest.approx(10)
    assert rates[3] == pytest.approx(1e-2)


def test_first_loss_is_the_loss(tmp_path: Path) -> None:
    """The average has no bias to zero: after one step it is that step's loss."""
    learner = make_learner(norm=False, dropout=0.0, flip=False, shift=0.0)
    feed = Feed([data(16)], torch.device("cpu"))
    pictures = torch.from_numpy(data(16).images).permute(0, 3, 1, 2).float()
    expected = torch.nn.functional.cross_entropy(
        learner.net(pictures), torch.from_numpy(data(16).labels)
    )
    (rate, loss), *_ = range_test(learner, feed, Context(tmp_path), steps=3)
    assert rate == pytest.approx(1e-5)
    assert loss == pytest.approx(expected.item(), rel=1e-5)


def test_curve_falls_then_rises_and_ends_early(tmp_path: Path) -> None:
    learner = make_learner(norm=False, dropout=0.0)
    context = Context(tmp_path)
    found = range_test(learner, Feed([data(64)], CPU.device), context, steps=120)
    losses = [loss for _, loss in found]
    least = losses.index(min(losses))
    assert losses[least] < 0.7 * losses[0]
    assert len(context.moves) == len(found)
    assert all(rate < later for (rate, _), (later, _) in pairwise(found))


def test_divergence_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module._HIGHEST, "sgd", 1e12)
    learner = make_learner(norm=False, dropout=0.0)
    found = range_test(learner, Feed([data(64)], CPU.device), Context(tmp_path), steps=60)
    assert 10 < len(found) < 60


def test_trainer_offers_it(tmp_path: Path) -> None:
    trainer = TorchTrainer(TorchConfig(batch_size=16, precision="float32"), build_net)
    found = trainer.find_learning_rate(data(32), Context(tmp_path))
    assert len(found) > 10
    assert not list(tmp_path.iterdir())
