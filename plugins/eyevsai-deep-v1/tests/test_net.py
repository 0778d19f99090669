from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from eyevsai_deep_v1.config import DeepV1Config
from eyevsai_deep_v1.net import build_net
from eyevsai_torch.classifier import TorchClassifier, fitted
from eyevsai_torch.graph import classifier_graph
from eyevsai_torch.normalise import NormalisedNet

BLOCKS = ["standard", "residual"]


@pytest.mark.parametrize("size", [16, 28, 32, 40, 64, 96, 128, 224])
@pytest.mark.parametrize("block", BLOCKS)
def test_scores_of_every_size(block: str, size: int) -> None:
    net = build_net(DeepV1Config(block=block, width=4), n_classes=7, image_size=size)
    values = torch.zeros(2, 3, size, size)
    assert net(values).shape == (2, 7)
    last = net.stem(values)
    for stage in net.stages:
        last = stage(last)
    assert last.shape[1] == 32
    assert 4 <= last.shape[2] <= 7


@pytest.mark.parametrize(
    ("block", "least", "most"), [("standard", 1.1e6, 1.3e6), ("residual", 1.1e6, 1.4e6)]
)
def test_four_blocks_of_twice_the_channels(block: str, least: float, most: float) -> None:
    net = build_net(DeepV1Config(block=block), n_classes=10, image_size=32)
    weights = [w.shape[0] for n, w in net.named_parameters() if w.ndim == 4 and w.shape[2] == 3]
    assert sorted(set(weights)) == [32, 64, 128, 256]
    assert least < sum(weight.numel() for weight in net.parameters()) < most


@pytest.mark.parametrize("block", BLOCKS)
def test_gradient_reaches_every_weight(block: str) -> None:
    net = build_net(DeepV1Config(block=block, width=4), n_classes=3, image_size=16)
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if weight.ndim == 1 and name.endswith("weight"):
                weight.fill_(1)  # a residual block's last scale begins at 0
    net(torch.randn(4, 3, 16, 16)).square().sum().backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


@pytest.mark.parametrize("block", BLOCKS)
def test_the_graph_gives_the_scores(block: str) -> None:
    config = DeepV1Config(block=block, width=4)
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
