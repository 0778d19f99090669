"""A complete family in one file: nearest class mean of the pictures, in numpy. For the tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from eyevsai_core.config import Search, TrainConfig, option
from eyevsai_core.family import Exporter, ModelFamily, Variant

if TYPE_CHECKING:
    from pathlib import Path

    import onnx

    from eyevsai_core.family import FitContext, TrainData

STEPS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanConfig(TrainConfig):
    """Options of the nearest class mean."""

    sharpness: float = option(
        20.0,
        help="how fast confidence falls with distance",
        low=0.1,
        high=1000,
        search=Search(low=1, high=100, log=True),
    )
    note: str = option("", help="what to tell the user")
    fail: str = option("", help="fail on purpose", choices=("", "error", "interrupt", "wrong"))


@dataclass(frozen=True)
class MeanClassifier:
    """Scores are negative squared distances to each class's mean picture, float32."""

    classes: tuple[str, ...]
    image_size: int
    means: np.ndarray
    sharpness: float
    wrong: bool = False

    def predict_scores(self, images: np.ndarray) -> np.ndarray:
        flat = images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
        product = flat @ self.means.T
        square = (self.means**2).sum(axis=1)
        scale = np.float32(self.sharpness / flat.shape[1] * 100)
        return (scale * (2 * product - square)).astype(np.float32)

    def save(self, directory: Path) -> None:
        np.save(directory / "means.npy", self.means)
        rest = {"classes": self.classes, "size": self.image_size, "sharpness": self.sharpness}
        (directory / "rest.json").write_text(json.dumps(rest))


class MeanTrainer:
    """Takes the mean of each class; reports as if it took three epochs."""

    def __init__(self, config: Any) -> None:
        self.config = config

    def fit(
        self,
        train: TrainData,
        validation: TrainData,
        context: FitContext,
    ) -> MeanClassifier:
        pixels = train.images.reshape(len(train.images), -1) / np.float32(255)
        for step in range(1, STEPS + 1):
            done = context.directory / f"epoch-{step}"
            if done.exists():
                continue
            done.touch()
            context.report(step, STEPS, {"train_loss": 1 / step, "validation_loss": 2 / step})
            if self.config.fail == "error":
                raise ValueError("failed on purpose")
            if self.config.fail == "interrupt" and step == 1:
                raise KeyboardInterrupt
        means = np.stack(
            [pixels[train.labels == k].mean(axis=0) for k in range(len(train.classes))]
        )
        if context.start is not None:
            # Halfway between what it knew and what it sees.
            for k, label in enumerate(train.classes):
                if label in context.start.classes:
                    known = context.start.means[context.start.classes.index(label)]
                    means[k] = (means[k] + known) / 2
        if self.config.note:
            context.note(self.config.note)
        context.progress(2.5, STEPS, {"train_loss": 0.4})
        return MeanClassifier(
            train.classes,
            train.images.shape[1],
            means.astype(np.float32),
            self.config.sharpness,
            wrong=self.config.fail == "wrong",
        )


def load_classifier(directory: Path) -> MeanClassifier:
    rest = json.loads((directory / "rest.json").read_text())
    means = np.load(directory / "means.npy")
    return MeanClassifier(tuple(rest["classes"]), rest["size"], means, rest["sharpness"])


def to_graph(model: MeanClassifier) -> onnx.ModelProto:
    size, (n, width) = model.image_size, model.means.shape
    weights = {
        "scale": np.float32(255),
        "shape": np.array([-1, width], np.int64),
        # A wrong export: the classes in another order, which no exporter would notice.
        "means": np.ascontiguousarray(model.means[:: -1 if model.wrong else 1].T),
        "two": np.float32(2),
        "square": (model.means**2).sum(axis=1),
        "sharp": np.float32(model.sharpness / width * 100),
    }
    nodes = [
        helper.make_node("Cast", ["pixels"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["float", "scale"], ["unit"]),
        helper.make_node("Reshape", ["unit", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "means"], ["product"]),
        helper.make_node("Mul", ["product", "two"], ["double"]),
        helper.make_node("Sub", ["double", "square"], ["near"]),
        helper.make_node("Mul", ["near", "sharp"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "mean",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", size, size, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", n])],
        initializer=[numpy_helper.from_array(np.asarray(v), k) for k, v in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def write_means(classifier: Any, out: Path) -> None:
    if classifier.sharpness == 13:
        raise OSError(28, "No space left on device")
    out.write_text(json.dumps(classifier.means.tolist()), encoding="utf-8")


def find_learning_rate(
    config: Any, train: TrainData, context: FitContext
) -> list[tuple[float, float]]:
    """A curve that falls fastest at 0.01 and is least at 1; with `fail` it diverges at once."""
    assert len(train.labels)
    assert context.threads >= 1
    assert context.start is None
    context.report(1, 2, {"train_loss": 1.0})
    context.note("nobody hears it")
    rates = 10.0 ** np.linspace(-5, 1, 4 if config.fail else 25)
    x = np.log10(rates)
    losses = 1 / (1 + np.exp(4 * (x + 2))) + np.where(x > 0, x, 0) - 0.01 * np.minimum(x, 0)
    return list(zip(rates.tolist(), losses.tolist(), strict=True))


FAMILY = ModelFamily(
    name="mean",
    summary="nearest class mean, for tests",
    framework="numpy",
    variants=(
        Variant(
            name="plain",
            summary="distance to each class's mean picture",
            plain="Remembers the average picture of each thing.",
        ),
    ),
    config=MeanConfig,
    make_trainer=MeanTrainer,
    load_classifier=load_classifier,
    to_graph=to_graph,
    exporters={"means": Exporter(".json", write_means)},
    continues=True,
    find_learning_rate=find_learning_rate,
)
