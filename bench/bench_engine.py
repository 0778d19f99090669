"""Training speed of the torch engine, beside a minimal loop and beside Keras, in one run.

    python bench/bench_engine.py [--size 32] [--pictures 2560] [--rounds 3] [--keras]

The minimal loop is what one would write by hand: the same net and optimizer, the same precision and
batch, on float tensors that are in memory already, without augmentation, validation, averages or
checkpoints. The engine trains through `TorchTrainer.fit`, from bytes, with its default
augmentation and moving average; its figure is that of its history. Both run in turn, and the
best round of each counts. ``--keras`` times the same layers under Keras (TensorFlow has to be
installed), in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from eyevsai_core.families import get_family
from eyevsai_core.family import TrainData
from eyevsai_torch.device import choose_device, choose_precision, tune_malloc
from eyevsai_torch.normalise import NormalisedNet, pixel_statistics

if TYPE_CHECKING:
    from eyevsai_torch.classifier import NetBuilder
    from eyevsai_torch.trainer import TorchTrainer

BATCH, CLASSES = 128, 10
WIDTHS = (32, 64, 128, 256)


class Context:
    """A run that keeps only its history."""

    def __init__(self, folder: str, threads: int) -> None:
        self.directory, self.threads, self.start = Path(folder), threads, None
        self.rows: list[dict[str, float]] = []

    def report(self, _step: int, _total: int, metrics: dict[str, float]) -> None:
        """Keep a line."""
        self.rows.append(metrics)

    def progress(self, *_: Any) -> None:
        """Draw nothing."""

    def note(self, text: str) -> None:
        """Print it."""
        print(text)


def pictures(n: int, size: int) -> TrainData:
    """Make pictures of noise: what they show does not change how long they take."""
    dice = np.random.default_rng(0)
    return TrainData(
        images=dice.integers(0, 256, (n, size, size, 3), dtype=np.uint8),
        labels=dice.integers(0, CLASSES, n),
        classes=tuple(map(str, range(CLASSES))),
    )


def engine(trainer: TorchTrainer, data: TrainData, held_out: TrainData, threads: int) -> float:
    """Return pictures per second of the engine's second epoch."""
    with tempfile.TemporaryDirectory() as folder:
        context = Context(folder, threads)
        trainer.fit(data, held_out, context)
    return context.rows[-1]["pictures_per_s"]


def minimal(build: NetBuilder, config: Any, data: TrainData) -> float:
    """Return pictures per second of the second epoch of a loop written by hand."""
    device = choose_device("auto")
    precision = choose_precision("auto", device)
    size = data.images.shape[1]
    torch.manual_seed(0)
    inner = build(config, n_classes=CLASSES, image_size=size)
    net = NormalisedNet(inner, *pixel_statistics(data.images)).to(device)
    net = net.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, nesterov=True)
    x = torch.from_numpy(data.images).to(device).permute(0, 3, 1, 2).float()
    y = torch.from_numpy(data.labels).to(device)
    for _ in range(2):
        started = time.perf_counter()
        for start in range(0, len(y) - BATCH + 1, BATCH):
            with precision.autocast():
                scores = net(x[start : start + BATCH])
            loss = functional.cross_entropy(scores.float(), y[start : start + BATCH])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - started
    return len(y) // BATCH * BATCH / seconds


def keras(n: int, size: int) -> None:
    """Print pictures per second of the same layers as deep-v1/standard under Keras."""
    import tensorflow as tf  # noqa: PLC0415  only when asked for

    layers = tf.keras.layers
    x = inputs = tf.keras.Input((size, size, 3))
    x = layers.Rescaling(1 / 64, -2)(x)
    for number, width in enumerate(WIDTHS):
        for _ in range(2):
            x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
            x = layers.ReLU()(layers.BatchNormalization()(x))
        if number < len(WIDTHS) - 1:
            x = layers.MaxPooling2D()(x)
    x = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))
    model = tf.keras.Model(inputs, layers.Dense(CLASSES)(x))
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf.keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True), loss)
    data = pictures(n, size)
    x_all = data.images.astype(np.float32)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        model.fit(x_all, data.labels, batch_size=BATCH, epochs=1, verbose=0)
        seconds.append(time.perf_counter() - started)
    print(json.dumps(n / min(seconds)))


def main() -> int:
    """Measure, print ratios, and fail below the limit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--pictures", type=int, default=2560)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--models", default="deep-v1/standard,deep-v2/resnet")
    parser.add_argument("--keras", action="store_true")
    parser.add_argument("--only-keras", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.only_keras:
        keras(wanted.pictures, wanted.size)
        return 0
    torch.set_num_threads(wanted.threads)
    tune_malloc()  # both loops profit
    data, held_out = pictures(wanted.pictures, wanted.size), pictures(256, wanted.size)
    worst = float("inf")
    for model in wanted.models.split(","):
        name, variant = model.split("/")
        family = get_family(name)
        config = family.make_config(variant, epochs=2, batch_size=BATCH, image_size=wanted.size)
        trainer: Any = family.make_trainer(config)
        rates = [
            (engine(trainer, data, held_out, wanted.threads), minimal(trainer.build, config, data))
            for _ in range(wanted.rounds)
        ]
        ours, theirs = (max(column) for column in zip(*rates, strict=True))
        worst = min(worst, ours / theirs)
        print(f"{model:18} engine {ours:7.0f}/s  minimal {theirs:7.0f}/s  {ours / theirs:.2f}x")
        if wanted.keras and model == "deep-v1/standard":
            own = [sys.executable, __file__, "--only-keras", f"--size={wanted.size}"]
            told = subprocess.run(
                [*own, f"--pictures={wanted.pictures}"], check=True, capture_output=True, text=True
            )
            rate = json.loads(told.stdout.splitlines()[-1])
            print(f"{'':18} Keras  {rate:7.0f}/s  engine {ours / rate:.2f}x")
    return 0 if worst >= 0.95 else 1  # noqa: PLR2004  the promise


if __name__ == "__main__":
    sys.exit(main())
