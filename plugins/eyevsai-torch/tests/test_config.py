from __future__ import annotations

import pytest

from eyevsai_core.errors import ConfigError
from eyevsai_torch.config import TorchConfig


@pytest.mark.parametrize(
    ("n", "epochs", "batch"),
    [(10, 200, 16), (1200, 182, 32), (5000, 89, 128), (45_000, 30, 128), (10**6, 15, 128)],
)
def test_numbers_follow_the_pictures(n: int, epochs: int, batch: int) -> None:
    config = TorchConfig().resolved(n)
    assert (config.epochs, config.batch_size) == (epochs, batch)
    assert config.patience == -(-epochs // 3)


def test_what_was_asked_stays() -> None:
    asked = TorchConfig(epochs=7, batch_size=48, learning_rate=0.5, patience=2)
    assert asked.resolved(10**6) == asked


@pytest.mark.parametrize(("name", "rate"), [("sgd", 0.1), ("adam", 2e-3), ("adamw", 3e-3)])
def test_learning_rate_follows_the_optimizer(name: str, rate: float) -> None:
    assert TorchConfig(optimizer=name).resolved(100).learning_rate == rate


def test_memory_efficient_works_in_small_parts() -> None:
    assert TorchConfig().parts(128) == 1
    assert TorchConfig(accumulate=3).parts(128) == 3
    assert TorchConfig(memory_efficient=True).parts(128) == 4
    assert TorchConfig(memory_efficient=True, accumulate=8).parts(128) == 8


def test_fp16_on_a_cpu_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="'precision' must be auto, float32 or bf16 on a CPU"):
        TorchConfig(precision="fp16", device="cpu")


def test_augmentation_is_what_was_asked() -> None:
    config = TorchConfig(flip=False, shift=0.2, rotate=15.0, zoom=0.1, colour=0.3, erase=0.5)
    settings = config.augmentation()
    assert not settings.flip
    assert (settings.shift, settings.rotate, settings.scale) == (0.2, 15.0, 0.1)
    assert (settings.colour, settings.erase) == (0.3, 0.5)
