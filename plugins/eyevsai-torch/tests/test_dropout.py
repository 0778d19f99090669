from __future__ import annotations

import pytest
import torch
from torch import nn

from eyevsai_torch.dropout import Dropout, dropout_rows, number_dropouts


def test_a_part_drops_what_the_whole_would() -> None:
    layer = Dropout(0.5)
    values = torch.ones(10, 6)
    with dropout_rows(3, 0, 10, 10):
        whole = layer(values)
    with dropout_rows(3, 4, 7, 10):
        part = layer(values[4:7])
    torch.testing.assert_close(part, whole[4:7], rtol=0, atol=0)
    assert set(whole.flatten().tolist()) == {0.0, 2.0}


def test_the_share_that_is_left_and_its_scale() -> None:
    layer = Dropout(0.3)
    with dropout_rows(1, 0, 1000, 1000):
        found = layer(torch.ones(1000, 100))
    assert (found == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert found.mean().item() == pytest.approx(1, abs=0.01)


def test_whole_channels_of_maps() -> None:
    layer = Dropout(0.5)
    with dropout_rows(1, 0, 4, 4):
        found = layer(torch.ones(4, 8, 3, 3))
    assert ((found == found[:, :, :1, :1]).all()).item()
    assert 0 < (found[:, :, 0, 0] == 0).sum() < 32


def test_each_layer_and_each_step_draws_its_own() -> None:
    net = nn.Sequential(Dropout(0.5), nn.Linear(3, 3), Dropout(0.5))
    number_dropouts(net)
    first, _, second = net
    values = torch.ones(8, 8)
    with dropout_rows(1, 0, 8, 8):
        assert not torch.equal(first(values), second(values))
        one = first(values)
    with dropout_rows(2, 0, 8, 8):
        assert not torch.equal(first(values), one)


def test_alone_it_draws_from_the_generator_of_pytorch() -> None:
    layer = Dropout(0.5)
    torch.manual_seed(0)
    first = layer(torch.ones(4, 4))
    torch.manual_seed(0)
    torch.testing.assert_close(layer(torch.ones(4, 4)), first)


def test_in_evaluation_and_at_zero_nothing_is_dropped() -> None:
    values = torch.ones(4, 4)
    assert Dropout(0.5).eval()(values) is values
    assert Dropout(0.0)(values) is values
    assert repr(Dropout(0.25)) == "Dropout(p=0.25)"
