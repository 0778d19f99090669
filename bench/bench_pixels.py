"""PixelCache: how fast an epoch reads, how decoding scales, and that memory stays flat.

    python bench/bench_pixels.py [--pictures 100000] [--side 64]

Pictures are made here: JPEG files, 500 x 375 for the scaling and 160 x 120 for the rest. Prints
ratios measured in one run, and exits with 1 if a promise is broken: reading a second epoch at over
1 GB/s, decoding 1.6x as fast with two threads as with one (where there are two idle cores), memory
that grows by less than 100 MB while 100 000 pictures are hashed and decoded.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from eyevsai_core.catalog import load_dataset
from eyevsai_core.dataset import Dataset
from eyevsai_core.parallel import core_count
from eyevsai_core.pixels import PixelCache

DECODED = 600  # pictures for the scaling
EPOCHS = 3
BATCH = 256
BUSY = 0.7  # load of the machine from which no scaling can be measured
SCALED = 1.6  # times
FLAT = 100  # MB
FAST = 1.0  # GB/s


def main() -> int:
    """Run all three and return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--side", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ["EYEVSAI_CACHE"] = str(Path(name) / "cache")
        root = Path(name) / "data"
        good = scaling(root, options.side)
        cache = flat_memory(root, options.pictures, options.side)
        good &= cache is not None
        good &= cache is not None and reading(cache)
    return 0 if good else 1


def make_pictures(root: Path, number: int, size: tuple[int, int]) -> None:
    """Write JPEG files that all differ: one picture with a changing comment."""
    noise = np.random.default_rng(0).integers(0, 256, (15, 20, 3), np.uint8)
    picture = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    for i in range(number):
        path = root / ("train", "test")[i % 10 == 0] / f"class{i % 7}" / f"{i}.jpg"
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
        picture.save(path, quality=85, comment=str(i).encode())


def scaling(root: Path, side: int) -> bool:
    """Decode with one thread, with two and with all cores."""
    load = os.getloadavg()[0]
    make_pictures(root, DECODED, (500, 375))
    dataset = load_dataset(root)
    rates = {}
    for threads in sorted({1, 2, core_count()}):
        folder = root.parent / f"cache-{threads}"
        started = time.perf_counter()
        PixelCache.open(dataset, side, folder=folder, threads=threads)
        rates[threads] = DECODED / (time.perf_counter() - started)
        shutil.rmtree(folder)
    for threads, rate in rates.items():
        print(f"decode, {threads} threads: {rate:7.0f} pictures/s, {rate / rates[1]:.2f}x of one")
    shutil.rmtree(root)
    if load > BUSY or core_count() == 1:
        print(f"(other work is running, load {load:.1f}: the scaling is not judged)")
        return True
    return rates[2] > SCALED * rates[1]


def flat_memory(root: Path, number: int, side: int) -> PixelCache | None:
    """Hash and decode many pictures; compare the peak of memory with what a few need."""
    make_pictures(root, number, (160, 120))
    started = time.perf_counter()
    dataset = load_dataset(root)
    first = time.perf_counter() - started
    few = Dataset("few", root, dataset.classes, dataset.samples[:: max(1, number // 1000)])
    PixelCache.open(few, side)
    before = peak()
    started = time.perf_counter()
    cache = PixelCache.open(dataset, side)
    decoded = time.perf_counter() - started
    grown = peak() - before
    started = time.perf_counter()
    load_dataset(root)
    second = time.perf_counter() - started
    print(f"open {number} pictures: {first:.1f} s the first time, {second:.1f} s after")
    size = number * side * side * 3 / 1e6
    print(f"decode {number}: {number / decoded:.0f} pictures/s, +{grown:.0f} MB for {size:.0f} MB")
    return cache if grown < FLAT else None


def peak() -> float:
    """Return the largest memory that this process ever had, in MB."""
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def reading(cache: PixelCache) -> bool:
    """Read every row in batches, in order and shuffled, several times."""
    images = cache.images("train")
    order = np.random.default_rng(0).permutation(len(images))
    batches = {
        "in order (views)": [slice(i, i + BATCH) for i in range(0, len(images), BATCH)],
        "shuffled (copies)": [np.sort(order[i : i + BATCH]) for i in range(0, len(order), BATCH)],
    }
    rates = {}
    for name, picks in batches.items():
        for _ in range(EPOCHS):
            started = time.perf_counter()
            total = sum(int(images[pick].max()) for pick in picks)
            rates[name] = images.nbytes / (time.perf_counter() - started) / 1e9
        print(f"epoch {EPOCHS} {name}: {rates[name]:.2f} GB/s (check {total})")
    return min(rates.values()) > FAST


if __name__ == "__main__":
    sys.exit(main())
