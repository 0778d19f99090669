from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from eyevsai_core.errors import ConfigError
from eyevsai_torch.batchnorm import BatchNorm2d
from eyevsai_torch.dropout import Dropout, dropout_rows
from eyevsai_torch.layers import ResidualBlock, conv_norm_relu, strided_stem
from eyevsai_torch.staged import StagedNet, halvings


def net(dropout: float = 0.5) -> StagedNet:
    stages = [
        nn.Sequential(ResidualBlock(8, 8), Dropout(0.2)),
        ResidualBlock(8, 16, 2),
        ResidualBlock(16, 16, 2),
    ]
    torch.manual_seed(0)
    return StagedNet(strided_stem(0, 8), stages, channels=16, n_classes=3, dropout=dropout)


def pictures(n: int = 6) -> torch.Tensor:
    return torch.randn(n, 3, 12, 12, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("size", "stem", "strides", "last"),
    [
        (8, 0, (1, 2, 1, 1), 4),
        (28, 0, (1, 2, 2, 2), 4),
        (32, 0, (1, 2, 2, 2), 4),
        (40, 0, (1, 2, 2, 2), 5),
        (64, 1, (1, 2, 2, 2), 4),
        (96, 1, (1, 2, 2, 2), 6),
        (128, 2, (1, 2, 2, 2), 4),
        (224, 2, (1, 2, 2, 2), 7),
    ],
)
def test_sizes_follow_the_pictures(
    size: int, stem: int, strides: tuple[int, ...], last: int
) -> None:
    assert halvings(size, 4) == (stem, strides)
    module = nn.Sequential(
        strided_stem(stem, 8), *(conv_norm_relu(8, 8, stride=stride) for stride in strides)
    )
    assert module(torch.zeros(2, 3, size, size)).shape == (2, 8, last, last)


def test_shapes() -> None:
    staged = net()
    assert staged(pictures()).shape == (6, 3)
    assert staged.features(pictures()).shape == (6, 16)


def test_new_residual_blocks_are_their_shortcut() -> None:
    """Goyal et al. 2017: the last scale begins at 0."""
    block = net().stages[0][0]
    assert isinstance(block, ResidualBlock)
    values = torch.rand(2, 8, 6, 6)
    torch.testing.assert_close(block(values), values)


def test_all_classes_begin_alike() -> None:
    shares = torch.softmax(net().eval()(pictures()), dim=1)
    torch.testing.assert_close(shares, torch.full_like(shares, 1 / 3), rtol=0.2, atol=0.05)


def test_what_is_frozen_stays_and_its_statistics_too() -> None:
    staged = net()
    staged.freeze(2)
    before = {name: value.clone() for name, value in staged.state_dict().items()}
    staged.train()
    optimizer = torch.optim.SGD([w for w in staged.parameters() if w.requires_grad], 1.0)
    staged(pictures()).square().sum().backward()
    optimizer.step()
    changed = {n for n, v in staged.state_dict().items() if not torch.equal(v, before[n])}
    assert changed
    assert all(name.startswith(("stages.2", "head")) for name in changed)
    assert not staged.stem.training
    assert staged.stages[2].training


def test_more_stages_than_there_are_cannot_be_frozen() -> None:
    with pytest.raises(ConfigError, match="'freeze' must be at most 3, the stages of this net"):
        net().freeze(4)


def test_activations_computed_twice_give_the_same_gradients_and_statistics() -> None:
    plain = net()
    with torch.no_grad():
        for module in plain.modules():
            if isinstance(module, ResidualBlock):
                module.last_norm.weight.fill_(1)
    twice = copy.deepcopy(plain)
    twice.checkpointed = True
    for module in (plain, twice):
        with dropout_rows(5, 0, 6, 6):
            module(pictures()).square().sum().backward()
    for (name, mine), theirs in zip(twice.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=0, atol=0, msg=name)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(twice.state_dict()[name], value, rtol=0, atol=0, msg=name)


def test_every_norm_is_one_over_all_processes() -> None:
    norms = [m for m in net().modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert norms
    assert all(isinstance(norm, BatchNorm2d) for norm in norms)


def test_no_convolution_before_a_norm_has_a_bias() -> None:
    convolutions = [module for module in net().modules() if isinstance(module, nn.Conv2d)]
    assert all(convolution.bias is None for convolution in convolutions)


@pytest.mark.parametrize("side", [5, 6, 7])
def test_shortcut_and_correction_have_one_size(side: int) -> None:
    assert ResidualBlock(4, 8, 2)(torch.zeros(2, 4, side, side)).shape[2] == (side + 1) // 2
