"""Test accuracy and time of the torch families on real data sets, over seeds.

    EYEVSAI_TEST_DATA=... python bench/bench_deep.py [--rows fashion-mnist:deep-v1] [--seeds 0,1,2]

Each set is unpacked, and each model trained through `train_model` with the options of its row:
what is measured is the registered artefact on the test split. The time is that of training,
calibration, proof and evaluation together, without writing the files. ``--curves FILE`` draws the
validation accuracy of each epoch over the seconds that had passed. Exits with 1 when a mean over
the seeds is below its goal, or a run took longer than its limit.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench_accuracy import unpack

from eyevsai_core.charts import line_chart
from eyevsai_core.model_registry import ModelRegistry
from eyevsai_core.training import train_model

STYLE = (
    "svg{font:11px system-ui,sans-serif;fill:#333;background:#fff}"
    ".grid{stroke:#ddd}.axis{stroke:#888}.line{fill:none;stroke-width:2}"
    ".line0{stroke:#2c67b2}.line1{stroke:#d9600a}.line2{stroke:#3a8a3a}.line3{stroke:#8a5ab5}"
)


@dataclass(frozen=True)
class Row:
    """A model, a data set, the options, and what is to be reached: accuracy, minutes."""

    data: str
    model: str
    goal: float
    minutes: float
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What ``--rows`` calls it."""
        return f"{self.data}:{self.model.partition('/')[0]}"


ROWS = (
    Row("fashion-mnist", "deep-v1/standard", 0.935, 10, {"image_size": 28, "epochs": 13}),
    Row("fashion-mnist", "deep-v2/resnet", 0.950, 45, {"image_size": 28, "epochs": 25}),
    Row("cifar10_subset", "deep-v1/standard", 0.68, 60),
    Row("cifar10_subset", "deep-v2/resnet", 0.74, 90),
    # Above the shallow family's best, 0.727 (see docs/families.md).
    Row("doodles20", "deep-v1/standard", 0.73, 60),
    Row("doodles20", "deep-v2/resnet", 0.73, 60),
)


def measure(row: Row, seeds: list[int], folder: Path, curves: dict[str, Any]) -> bool:
    """Train a row once a seed, print a line each and the mean; return whether it is good enough."""
    found, longest = [], 0.0
    data = folder / row.data
    if not data.exists():
        unpack(Path(os.environ["EYEVSAI_TEST_DATA"]), row.data, folder)
    for seed in seeds:
        started = time.monotonic()
        trained = train_model(
            row.model,
            data,
            config=row.options,
            seed=seed,
            registry=ModelRegistry(folder / "models"),
        )
        seconds = time.monotonic() - started
        accuracy = trained.evaluation.metrics["accuracy"]
        history = [line["metrics"] for line in trained.run.history()]
        print(
            f"{row.data:16} {row.model:18} seed {seed}  {accuracy!s:22} n={accuracy.n:5}  "
            f"{len(history):3} epochs  {seconds / 60:5.1f} min",
            flush=True,
        )
        found.append(accuracy.value)
        longest = max(longest, seconds)
        points = [(m["elapsed_s"], m.get("validation_accuracy")) for m in history]
        curves[f"{row.name} {seed}"] = [(x / 60, y) for x, y in points if y is not None]
    mean = statistics.mean(found)
    good = mean >= row.goal and longest <= 60 * row.minutes
    print(
        f"{row.data:16} {row.model:18} mean    {mean:.4f}, goal {row.goal:.3f}; "
        f"longest {longest / 60:.1f} min, limit {row.minutes:g}: {'good' if good else 'BELOW'}",
        flush=True,
    )
    return good


def main() -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", default=",".join(row.name for row in ROWS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--curves", type=Path)
    parser.add_argument("--folder", type=Path, help="where to unpack and cache; kept")
    wanted = parser.parse_args()
    names, seeds = wanted.rows.split(","), [int(seed) for seed in wanted.seeds.split(",")]
    curves: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = wanted.folder or Path(temporary)
        os.environ["EYEVSAI_HOME"] = f"{folder}/home"
        os.environ["EYEVSAI_CACHE"] = f"{folder}/cache"
        good = [measure(row, seeds, folder, curves) for row in ROWS if row.name in names]
    if wanted.curves:
        shown = dict(itertools.islice(((n, c) for n, c in curves.items() if c), 8))
        chart = line_chart("validation accuracy over minutes", shown, x_label="minutes")
        head = '<svg xmlns="http://www.w3.org/2000/svg" width="760" '
        drawn = chart.replace("<svg ", head, 1).replace("<title>", f"<style>{STYLE}</style><title>")
        wanted.curves.write_text(drawn, encoding="utf-8")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
