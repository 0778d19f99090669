"""Augmentation on one core, as a ratio to doing nothing but bytes to floats.

    python bench/bench_augment.py [--pictures 256] [--rounds 9]

A batch of pictures that are in memory becomes what a net learns from: float32, channels last. CPU
time, the best of several rounds, alternating. `plain` only converts; every other row adds its
techniques to that, its numbers drawn anew in each round. Exits with 1 if flip and shift take on
fewer than 40 000 pictures of 32 x 32 a second.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

# Before torch is imported: one core is what is measured.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from eyevsai_torch.augment import AugmentSettings, augment, draw_mixup, draw_plan, mix
from eyevsai_torch.device import tune_malloc

WANTED = 40_000
PARTS = {
    "plain": AugmentSettings(),
    "flip + shift": AugmentSettings(flip=True, shift=0.125),
    "flip + shift + erase": AugmentSettings(flip=True, shift=0.125, erase=0.5),
    "rotate + scale": AugmentSettings(rotate=15, scale=0.1),
    "colour": AugmentSettings(colour=0.4),
    "all": AugmentSettings(flip=True, shift=0.125, rotate=15, scale=0.1, colour=0.4, erase=0.5),
    "all + mixup": AugmentSettings(
        flip=True, shift=0.125, rotate=15, scale=0.1, colour=0.4, erase=0.5
    ),
}


def seconds(name: str, pictures: torch.Tensor, dice: torch.Generator) -> float:
    """Return the CPU time of one batch, drawing included."""
    started = time.process_time()
    n, side = pictures.shape[:2]
    changed = augment(pictures, draw_plan(PARTS[name], n, side, dice))
    if "mixup" in name:
        mix(changed, draw_mixup(0.2, n, dice))
    return time.process_time() - started


def measure(pictures: torch.Tensor, rounds: int) -> dict[str, float]:
    """Return the pictures a second of each part, the best round of each."""
    dice = torch.Generator().manual_seed(0)
    best = dict.fromkeys(PARTS, float("inf"))
    for _ in range(rounds):
        for name in PARTS:
            best[name] = min(best[name], seconds(name, pictures, dice))
    return {name: len(pictures) / spent for name, spent in best.items()}


def main() -> int:
    """Measure every part at three sizes and return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(1)
    tune_malloc()  # as training does
    good = True
    print("pictures a second on one core; time as a multiple of converting alone")
    print(f"{'size':>5s}  {'part':22s} {'pictures/s':>10s} {'time':>8s}")
    for side in (32, 64, 128):
        dice = torch.Generator().manual_seed(side)
        shape = (options.pictures, side, side, 3)
        pictures = torch.randint(256, shape, dtype=torch.uint8, generator=dice)
        speeds = measure(pictures, options.rounds)
        for name, speed in speeds.items():
            print(f"{side:5d}  {name:22s} {speed:10.0f} {speeds['plain'] / speed:7.1f}x")
        if side == 32:  # noqa: PLR2004  the promised size
            good = speeds["flip + shift"] >= WANTED
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
