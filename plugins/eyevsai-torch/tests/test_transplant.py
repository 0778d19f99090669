from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from making_nets import CLASSES, Net, data, fit

from eyevsai_core.errors import ConfigError
from eyevsai_torch.normalise import NormalisedNet
from eyevsai_torch.transplant import transplant

if TYPE_CHECKING:
    from pathlib import Path


def net(n_classes: int, *, norm: bool = True, seed: int = 0) -> NormalisedNet:
    torch.manual_seed(seed)
    return NormalisedNet(Net(n_classes, norm=norm), torch.full((3,), float(seed)), torch.ones(3))


def test_rows_of_known_labels_are_copied() -> None:
    start = SimpleNamespace(net=net(3, seed=1), classes=("a", "b", "c"))
    new = net(3, seed=2)
    drawn = new.net.head.weight.detach().clone()
    transplant(start, new, ("c", "new", "a"))
    head = start.net.net.head.weight
    assert torch.equal(new.net.head.weight[0], head[2])
    assert torch.equal(new.net.head.weight[1], drawn[1])
    assert torch.equal(new.net.head.weight[2], head[0])
    assert torch.equal(new.net.body[0].weight, start.net.net.body[0].weight)
    assert torch.equal(new.mean, start.net.mean)


def test_another_number_of_classes() -> None:
    start = SimpleNamespace(net=net(2, seed=1), classes=("a", "b"))
    new = net(4, seed=2)
    transplant(start, new, ("w", "x", "b", "z"))
    assert torch.equal(new.net.head.weight[2], start.net.net.head.weight[1])
    assert torch.equal(new.net.head.bias[2], start.net.net.head.bias[1])


def test_another_net_is_an_error() -> None:
    start = SimpleNamespace(net=net(2, norm=False), classes=CLASSES)
    with pytest.raises(
        ConfigError, match=r"differ, such as 'net\.body.*same|must have the same net"
    ):
        transplant(start, net(2), CLASSES)


def test_training_goes_on_from_a_model(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first, _ = fit(tmp_path / "one", epochs=6)
    _, context = fit(tmp_path / "two", epochs=1, start=first, learning_rate=1e-6)
    assert context.rows[0][2]["validation_accuracy"] > 0.9


def test_frozen_stages_keep_the_weights_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first, _ = fit(tmp_path / "one")
    second, _ = fit(tmp_path / "two", start=first, freeze=1, seed=3)
    frozen, learned = "net.body.0.weight", "net.body.3.weight"
    before, after = first.net.state_dict(), second.net.state_dict()
    assert torch.equal(after[frozen], before[frozen])
    assert not torch.equal(after[learned], before[learned])
    assert np.isfinite(second.predict_scores(data(4).images)).all()
