"""Test accuracy of the shallow variants on real data sets, beside a plain HOG + SVM.

    EYEVSAI_TEST_DATA=... python bench/bench_accuracy.py [--sets a,b] [--models svm_hog_lbp,...]

Each set is unpacked, and each variant trained with its defaults and seed 0, through `train_model`:
what is measured is the registered artefact on the test split. The last column is the ratio of the
errors, ours to the reference's: below 1 is better. Fashion-MNIST is the complete one, 60 000
pictures to learn from and 10 000 to test, written as PNG files first (not timed).
"""

from __future__ import annotations

import argparse
import gzip
import os
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from eyevsai_core.model_registry import ModelRegistry
from eyevsai_core.training import train_model

# Reference accuracies of simple models on the same files: HOG 64 x 64 + 8 x 8 colour thumbnail
# with an RBF SVM (C = 3), and a random forest on the same features. Fashion-MNIST: the best
# HOG + SVM in the table of its own README.
REFERENCE = {
    "pets_cats_dogs": (0.66, 0.68),
    "vegetables15": (0.41, 0.42),
    "instruments30": (0.58, 0.51),
    "food10": (0.16, 0.21),
    "cifar10_subset": (0.61, 0.50),
    "doodles20": (0.70, 0.68),
    "fashion-mnist": (0.926, 0.877),
}
COLUMN = {"svm_hog_lbp": 0, "rf_hog_lbp": 1, "lr_hog_lbp": 0}
FASHION = (
    "tshirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "boot",
)


def unpack(source: Path, name: str, folder: Path) -> Path:
    """Write one data set as ``folder/<split>/<label>/<picture>`` and return the folder."""
    if name != "fashion-mnist":
        with zipfile.ZipFile(source / f"{name}.zip") as archive:
            archive.extractall(folder)
        return folder / name
    root = folder / name
    for split, stem in (("train", "train"), ("test", "t10k")):
        pixels = _idx(source / name / f"{stem}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
        labels = _idx(source / name / f"{stem}-labels-idx1-ubyte.gz", 8)
        for label in FASHION:
            (root / split / label).mkdir(parents=True)
        for number, (picture, label) in enumerate(zip(pixels, labels, strict=True)):
            path = root / split / FASHION[label] / f"{number:05d}.png"
            Image.fromarray(picture).save(path, compress_level=1)
    return root


def _idx(path: Path, header: int) -> np.ndarray:
    return np.frombuffer(gzip.decompress(path.read_bytes())[header:], np.uint8)


def main() -> None:
    """Train, measure, print one line a model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", default=",".join(REFERENCE))
    parser.add_argument("--models", default=",".join(COLUMN))
    wanted = parser.parse_args()
    source = Path(os.environ["EYEVSAI_TEST_DATA"])
    head = ("data set", "model", "n", "accuracy", "reference", "errors", "time")
    print("{:16} {:12} {:>6} {:22} {:>9} {:>7} {:>7}".format(*head))
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["EYEVSAI_HOME"] = f"{temporary}/home"
        os.environ["EYEVSAI_CACHE"] = f"{temporary}/cache"
        for name in wanted.sets.split(","):
            data = unpack(source, name, Path(temporary))
            for variant in wanted.models.split(","):
                started = time.monotonic()
                trained = train_model(
                    f"shallow/{variant}", data, registry=ModelRegistry(Path(temporary, "models"))
                )
                found = trained.evaluation.metrics["accuracy"]
                reference = REFERENCE[name][COLUMN[variant]]
                print(
                    f"{name:16} {variant:12} {found.n:6} {found!s:22} {reference:9.3f} "
                    f"{(1 - found.value) / (1 - reference):7.2f} "
                    f"{time.monotonic() - started:6.0f}s",
                    flush=True,
                )


if __name__ == "__main__":
    sys.exit(main())
