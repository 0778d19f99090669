"""The command line in two processes, as a user with two GPUs would start it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from eyevsai_core.model_registry import ModelRegistry
from eyevsai_core.testing import tiny_dataset

EYEVSAI = Path(sys.executable).with_name("eyevsai")


def test_two_processes_register_one_model(tmp_path: Path) -> None:
    data = tiny_dataset(tmp_path / "tiny")
    homes = {"EYEVSAI_HOME": str(tmp_path / "home"), "EYEVSAI_CACHE": str(tmp_path / "cache")}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    train = ["2", "--no-python", EYEVSAI, "train", "deep-v1", "--data", data, "--json"]
    options = ["--image-size", "32", "--width", "4", "--epochs", "2", "--seed", "3"]
    done = subprocess.run(
        [*torchrun, *train, *options],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **homes},
        timeout=120,
    )
    said = json.loads(done.stdout)
    assert said["ref"] == "deep-v1/standard/tiny@1"
    (row,) = ModelRegistry(tmp_path / "home" / "models").list_models()
    assert row.card is not None
    assert row.card.seed == 3
    assert len(list((tmp_path / "home" / "runs").iterdir())) == 1
