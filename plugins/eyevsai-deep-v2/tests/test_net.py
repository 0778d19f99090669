from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from eyevsai_deep_v2.config import DeepV2Config
from eyevsai_deep_v2.net import build_net
from eyevsai_torch.attention import CBAM, SelfAttention2d, SqueezeExcite
from eyevsai_torch.classifier import TorchClassifier, fitted
from eyevsai_torch.dropout import Dropout
from eyevsai_torch.graph import classifier_graph
from eyevsai_torch.normalise import NormalisedNet

NETS = ["resnet", "densenet", "hybrid"]


@pytest.mark.parametrize("size", [16, 28, 32, 40, 64, 96, 128, 224])
@pytest.mark.parametrize("kind", NETS)
def test_scores_of_every_size(kind: str, size: int) -> None:
    net = build_net(DeepV2Config(net=kind, width=4), n_classes=7, image_size=size)
    values = torch.zeros(2, 3, size, size)
    assert net(values).shape == (2, 7)
    last = net.stem(values)
    for stage in net.stages:
        last = stage(last)
    assert last.shape[1] == 32
    assert 4 <= last.shape[2] <= 7


@pytest.mark.parametrize(
    ("kind", "most"), [("resnet", 1.4e6), ("densenet", 0.5e6), ("hybrid", 0.6e6)]
)
def test_four_stages_of_twice_the_channels(kind: str, most: float) -> None:
    net = build_net(DeepV2Config(net=kind), n_classes=10, image_size=32)
    assert net.head.in_features == 256
    assert 0.3e6 < sum(weight.numel() for weight in net.parameters()) < most


@pytest.mark.parametrize(("kind", "excited"), [("resnet", 4), ("densenet", 0), ("hybrid", 2)])
def test_attention_is_where_it_belongs(kind: str, excited: int) -> None:
    """Squeeze-and-excitation in each residual block, CBAM after each stage."""
    net = build_net(DeepV2Config(net=kind, depth=1), n_classes=3, image_size=32)
    kinds = [type(module) for module in net.modules()]
    assert kinds.count(SqueezeExcite) == excited
    assert kinds.count(CBAM) == 4
    assert kinds.count(SelfAttention2d) == 0
    attentive = build_net(DeepV2Config(net=kind, self_attention=True), n_classes=3, image_size=32)
    found = [name for name, m in attentive.named_modules() if isinstance(m, SelfAttention2d)]
    assert [name.split(".")[:2] for name in found] == [["stages", "3"]]


def test_dropout_rises_towards_the_head() -> None:
    net = build_net(DeepV2Config(dropout=0.4), n_classes=3, image_size=32)
    shares = [module.p for module in net.modules() if isinstance(module, Dropout)]
    assert shares == [0.1, 0.2, 0.4]


def test_deeper_and_wider() -> None:
    small = build_net(DeepV2Config(width=8), n_classes=3, image_size=32)
    deep = build_net(DeepV2Config(width=8, depth=2), n_classes=3, image_size=32)
    assert len(deep.stages[0]) == len(small.stages[0]) + 1
    assert deep(torch.zeros(2, 3, 32, 32)).shape == (2, 3)


@pytest.mark.parametrize("kind", NETS)
def test_gradient_reaches_every_weight(kind: str) -> None:
    net = build_net(DeepV2Config(net=kind, width=4), n_classes=3, image_size=16)
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if weight.ndim == 1 and name.endswith("weight"):
                weight.fill_(1)  # a residual block's last scale begins at 0
    net(torch.randn(4, 3, 16, 16)).square().sum().backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


@pytest.mark.parametrize("kind", NETS)
def test_the_graph_gives_the_scores(kind: str) -> None:
    config = DeepV2Config(net=kind, width=4)
    torch.manual_seed(0)
    net = NormalisedNet(
        build_net(config, n_classes=5, image_size=40),
        torch.full((3,), 99.0),
        torch.full((3,), 50.0),
    )
    classifier = TorchClassifier(config, tuple("abcde"), 40, fitted(net))
    session = onnxruntime.InferenceSession(classifier_graph(classifier).SerializeToString())
    dice = np.random.default_rng(0)
    for n in (1, 2, 7):
        images = dice.integers(0, 256, (n, 40, 40, 3), dtype=np.uint8)
        (scores,) = session.run(None, {"pixels": images})
        np.testing.assert_allclose(scores, classifier.predict_scores(images), atol=1e-5)
