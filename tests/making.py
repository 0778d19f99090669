"""Things that several test files need: a small artefact, its card, and a registered model."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from eyevsai_core.calibration import Calibration
from eyevsai_core.card import ModelCard
from eyevsai_core.files import staging_directory
from eyevsai_core.graph import build_artefact

if TYPE_CHECKING:
    from eyevsai_core.model_ref import ModelRef
    from eyevsai_core.model_registry import ModelRegistry

CLASSES = ("red", "green", "blue")
_DICE = np.random.default_rng(0)


def colour_fragment(**changes: Any) -> onnx.ModelProto:
    """Return a family's graph whose scores are the mean red, green and blue."""
    nodes = [
        helper.make_node("Cast", ["pixels"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "scale"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", 8, 8, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 3])],
        initializer=[
            numpy_helper.from_array(np.array([1, 2], np.int64), "axes"),
            numpy_helper.from_array(np.float32([0.1, 0.1, 0.1]), "scale"),
        ],
    )
    options = {"opset_imports": [helper.make_opsetid("", 18)], "ir_version": 9, **changes}
    return helper.make_model(graph, **options)


def colour_artefact(**metadata: str) -> onnx.ModelProto:
    """Return an artefact that names the strongest colour of a picture."""
    return build_artefact(
        colour_fragment(),
        classes=CLASSES,
        image_size=8,
        calibration=Calibration(),
        metadata={"family": "test", "variant": "colours", **metadata},
    )


def make_card(**changes: Any) -> ModelCard:
    """Return a complete card."""
    card = ModelCard(
        family="test",
        variant="colours",
        classes=CLASSES,
        image_size=8,
        config={"seed": 0},
        seed=0,
        dataset={
            "name": "paint",
            "fingerprint": "f" * 64,
            "licence": "CC0",
            "attribution": "",
            "source": "",
            "counts": {"train": 6, "calibration": 3, "test": 3},
            "unreadable": 0,
        },
        metrics={},
        calibration={"method": "none", "parameters": {}},
        parity={
            "pictures": 3,
            "odd_files": 11,
            "largest_difference": 1e-7,
            "argmax_agreement": 1.0,
            "near_ties": 0,
            "tolerance": 1e-4,
        },
        versions={"eyevsai-core": "0.1.0"},
        machine={"system": "Linux", "machine": "x86_64", "python": "3.11", "threads": 2},
        created="2026-01-01T00:00:00+00:00",
        duration_s=1.0,
        summary="mean colours",
        plain="Looks which colour there is most of.",
    )
    return dataclasses.replace(card, **changes)


def accuracy(value: float) -> dict[str, Any]:
    """Return metrics with this accuracy on the splits that are compared and reported."""
    metric = {"accuracy": {"value": value, "low": value, "high": value, "n": 3}}
    return {"calibration": metric, "test": metric}


def register(registry: ModelRegistry, card: ModelCard | None = None) -> ModelRef:
    """Register the colour artefact under a card."""
    with staging_directory(registry.root) as folder:
        staging = folder / "model"
        (staging / "native").mkdir(parents=True)
        (staging / "model.onnx").write_bytes(colour_artefact().SerializeToString())
        (staging / "native" / "weights.bin").write_bytes(b"weights")
        return registry.register_model(staging, card or make_card())


def one_colour(channel: int, height: int = 5, width: int = 9) -> np.ndarray:
    """Return a picture of one colour, uint8 (height, width, 3)."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., channel] = 200
    return image


def noise_picture(path: Path, width: int = 30, height: int = 20, **options: Any) -> Path:
    """Write a picture of noise, in the format that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(_DICE.integers(0, 256, (height, width, 3), np.uint8)).save(path, **options)
    return path


def split_pictures(root: Path) -> Path:
    """Write two classes: 8 pictures to learn from, 4 to validate and 4 to test with."""
    for split, n in (("train", 8), ("val", 4), ("test", 4)):
        for i in range(n):
            noise_picture(root / split / ("cat", "dog")[i % 2] / f"{i}.png", 20 + i, 24)
    return root


HERE = Path(__file__).parent
