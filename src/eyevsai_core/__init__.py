"""eyevsai: train image classifiers of every kind behind one interface, into one verified file.

>>> from eyevsai_core import train_model, load_model  # doctest: +SKIP
>>> trained = train_model("shallow/svm_hog_lbp", "doodles")  # doctest: +SKIP
>>> load_model(trained.ref).predict("cat.jpg")  # doctest: +SKIP

Every public name is loaded when it is first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eyevsai_core.calibration import Calibration, fit_calibration
    from eyevsai_core.card import ModelCard
    from eyevsai_core.card import ModelCard as ModelMetadata
    from eyevsai_core.catalog import list_datasets, load_dataset
    from eyevsai_core.classifier import OnnxClassifier
    from eyevsai_core.config import TrainConfig
    from eyevsai_core.dataset import Dataset, Sample, Split
    from eyevsai_core.errors import EyevsaiError
    from eyevsai_core.evaluation import Evaluation, evaluate_model
    from eyevsai_core.explain import explain_image
    from eyevsai_core.families import get_family, list_families
    from eyevsai_core.family import Classifier, ModelFamily, Trainer, Variant
    from eyevsai_core.hookspecs import hookimpl
    from eyevsai_core.images import decode_image
    from eyevsai_core.learning_rate import find_learning_rate
    from eyevsai_core.loading import load_model
    from eyevsai_core.model_registry import ModelRegistry
    from eyevsai_core.pixels import PixelCache
    from eyevsai_core.prediction import Prediction
    from eyevsai_core.report import render_report
    from eyevsai_core.resize import resize_image
    from eyevsai_core.run import Run
    from eyevsai_core.training import TrainedModel, assist_training, train_model

__version__ = "0.1.0"

# public name -> the module that defines it
_HOMES = {
    "Calibration": "calibration",
    "Classifier": "family",
    "Dataset": "dataset",
    "Evaluation": "evaluation",
    "EyevsaiError": "errors",
    "ModelCard": "card",
    "ModelFamily": "family",
    "ModelMetadata": "card",
    "ModelRegistry": "model_registry",
    "OnnxClassifier": "classifier",
    "PixelCache": "pixels",
    "Prediction": "prediction",
    "Run": "run",
    "Sample": "dataset",
    "Split": "dataset",
    "TrainConfig": "config",
    "TrainedModel": "training",
    "Trainer": "family",
    "Variant": "family",
    "assist_training": "training",
    "decode_image": "images",
    "evaluate_model": "evaluation",
    "explain_image": "explain",
    "find_learning_rate": "learning_rate",
    "fit_calibration": "calibration",
    "get_family": "families",
    "hookimpl": "hookspecs",
    "list_families": "families",
    "list_datasets": "catalog",
    "load_dataset": "catalog",
    "load_model": "loading",
    "render_report": "report",
    "resize_image": "resize",
    "train_model": "training",
}

__all__ = [
    "Calibration",
    "Classifier",
    "Dataset",
    "Evaluation",
    "EyevsaiError",
    "ModelCard",
    "ModelFamily",
    "ModelMetadata",
    "ModelRegistry",
    "OnnxClassifier",
    "PixelCache",
    "Prediction",
    "Run",
    "Sample",
    "Split",
    "TrainConfig",
    "TrainedModel",
    "Trainer",
    "Variant",
    "__version__",
    "assist_training",
    "decode_image",
    "evaluate_model",
    "explain_image",
    "find_learning_rate",
    "fit_calibration",
    "get_family",
    "hookimpl",
    "list_datasets",
    "list_families",
    "load_dataset",
    "load_model",
    "render_report",
    "resize_image",
    "train_model",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    name_there = "ModelCard" if name == "ModelMetadata" else name
    value = getattr(import_module(f"{__name__}.{home}"), name_there)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return __all__
