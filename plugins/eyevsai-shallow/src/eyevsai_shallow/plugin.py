"""What this package offers to eyevsai: the `shallow` family, described without loading it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eyevsai_core.family import ModelFamily, Variant
from eyevsai_core.hookspecs import hookimpl
from eyevsai_shallow.config import ShallowConfig

if TYPE_CHECKING:
    from pathlib import Path

    import onnx

    from eyevsai_core.config import TrainConfig
    from eyevsai_core.family import Classifier, Trainer

__all__ = ["eyevsai_model_families"]


def make_trainer(config: TrainConfig) -> Trainer:
    """Return the trainer for a checked config."""
    from eyevsai_shallow.trainer import ShallowTrainer

    return ShallowTrainer(config)


def load_classifier(directory: Path) -> Classifier:
    """Read a native model that `ShallowClassifier.save` wrote."""
    from eyevsai_shallow.classifier import ShallowClassifier

    return ShallowClassifier.load(directory)


def to_graph(classifier: Any) -> onnx.ModelProto:
    """Turn a fitted classifier into ONNX: pixels in, scores out."""
    from eyevsai_shallow.graph import classifier_graph

    return classifier_graph(classifier)


@hookimpl
def eyevsai_model_families() -> list[ModelFamily]:
    """Describe the family; imports nothing heavier than this file."""
    return [
        ModelFamily(
            name="shallow",
            summary="hand-made features (HOG, LBP, colour, texture) and a scikit-learn classifier",
            framework="scikit-learn",
            variants=(
                Variant(
                    name="svm_hog_lbp",
                    summary="support vector machine on HOG, LBP, colour and texture features",
                    plain=(
                        "Looks at which way the edges run, how rough things feel and which "
                        "colours there are, and finds the widest road between the kinds of things."
                    ),
                    defaults={"classifier": "svm"},
                ),
                Variant(
                    name="rf_hog_lbp",
                    summary="random forest on HOG, LBP, colour and texture features",
                    plain=(
                        "Hundreds of little guessing games of yes-or-no questions about edges and "
                        "colours; each gives its guess, and the guess with most votes wins."
                    ),
                    defaults={"classifier": "rf"},
                ),
                Variant(
                    name="lr_hog_lbp",
                    summary="multinomial logistic regression on HOG, LBP, colour, texture features",
                    plain=(
                        "Gives every edge and colour some points for or against each kind of "
                        "thing, adds the points up, and says the one with the most."
                    ),
                    defaults={"classifier": "lr"},
                ),
            ),
            config=ShallowConfig,
            make_trainer=make_trainer,
            load_classifier=load_classifier,
            to_graph=to_graph,
            requirements=("eyevsai-shallow",),
            modules=("sklearn", "skops"),
        )
    ]
