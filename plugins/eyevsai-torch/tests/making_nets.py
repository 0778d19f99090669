"""What the engine's tests share: a small net, pictures, and a context that remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from eyevsai_core.family import TrainData
from eyevsai_core.testing import tiny_pictures
from eyevsai_torch.batchnorm import BatchNorm2d
from eyevsai_torch.config import TorchConfig
from eyevsai_torch.device import Precision
from eyevsai_torch.dropout import Dropout, number_dropouts
from eyevsai_torch.learner import Learner
from eyevsai_torch.normalise import NormalisedNet
from eyevsai_torch.trainer import TorchTrainer

if TYPE_CHECKING:
    from pathlib import Path

    from eyevsai_torch.classifier import TorchClassifier

CLASSES = ("across", "down")
SIDE = 16
CPU = Precision("float32", torch.device("cpu"))


class Net(nn.Module):
    """Two convolutions, with batch norm or without, dropout, and a head: what the engine needs."""

    def __init__(self, n_classes: int, *, norm: bool = True, dropout: float = 0.25) -> None:
        super().__init__()
        self.checkpointed = False
        self.frozen = 0
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=not norm),
            BatchNorm2d(8) if norm else nn.Identity(),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, 2, 1, bias=not norm),
            BatchNorm2d(8) if norm else nn.Identity(),
            nn.ReLU(),
        )
        self.drop = Dropout(dropout)
        self.head = nn.Linear(8, n_classes)
        number_dropouts(self)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.drop(self.body(pixels).mean((2, 3))))
        return scores

    def freeze(self, n_stages: int) -> None:
        self.frozen = n_stages
        self.body[0].requires_grad_(False)


def build_net(config: Any, *, n_classes: int, image_size: int) -> Net:
    return Net(n_classes, dropout=config.dropout)


def build_plain(config: Any, *, n_classes: int, image_size: int) -> Net:
    return Net(n_classes, norm=False, dropout=config.dropout)


def data(n: int, seed: int = 0) -> TrainData:
    images, labels = tiny_pictures(n, seed=seed, side=SIDE)
    return TrainData(images=images, labels=labels, classes=CLASSES)


class Context:
    """A run's context that keeps what it is told."""

    def __init__(self, directory: Path, start: Any = None) -> None:
        self.directory = directory
        self.threads = 1
        self.start = start
        self.rows: list[tuple[int, int, dict[str, float]]] = []
        self.moves: list[tuple[float, int]] = []
        self.notes: list[str] = []

    def report(self, step: int, total: int, metrics: dict[str, float]) -> None:
        self.rows.append((step, total, metrics))

    def progress(self, done: float, total: int, metrics: dict[str, float]) -> None:
        self.moves.append((done, total))

    def note(self, text: str) -> None:
        self.notes.append(text)


def fit(
    directory: Path, *, build: Any = build_net, start: Any = None, n: int = 64, **options: Any
) -> tuple[TorchClassifier, Context]:
    """Train the small net for a moment."""
    asked = {"epochs": 2, "batch_size": 16, "precision": "float32", **options}
    context = Context(directory, start)
    trainer = TorchTrainer(TorchConfig(**asked), build)
    return trainer.fit(data(n), data(32, seed=1), context), context


def make_learner(
    *, norm: bool = True, total: int = 10, n_classes: int = 2, **options: Any
) -> Learner:
    """A learner of the small net on the CPU, with weights that depend on nothing."""
    config = TorchConfig(**{"learning_rate": 0.05, "epochs": 1, "batch_size": 16, **options})
    torch.manual_seed(0)
    net = NormalisedNet(
        Net(n_classes, norm=norm, dropout=config.dropout),
        torch.full((3,), 90),
        torch.full((3,), 60),
    )
    return Learner(config, net, CPU, total, n_classes=n_classes)


def weights(learner: Learner) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in learner.net.state_dict().items()}
