"""The native shallow classifier: features, a scikit-learn pipeline, and how to keep them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED

import numpy as np
import skops.io

from eyevsai_core.errors import ModelCorruptError
from eyevsai_shallow.config import ShallowConfig
from eyevsai_shallow.features import FeatureExtractor
from eyevsai_shallow.scores import estimator_scores

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt
    from sklearn.pipeline import Pipeline

    from eyevsai_core.family import Classifier

__all__ = ["TRUSTED", "ShallowClassifier"]

TRUSTED = (
    "eyevsai_shallow.kernel_machine.KernelMachine",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.tree._tree.Tree",
)
"""What skops may build besides its own safe types: a fixed list, never the file's wishes."""

_MODEL, _SETTINGS = "model.skops", "settings.json"
_BATCH = 4096


@dataclass(frozen=True)
class ShallowClassifier:
    """A fitted pipeline (selection, scaling, PCA, estimator) behind the feature extractor."""

    config: ShallowConfig
    classes: tuple[str, ...]
    image_size: int
    pipeline: Pipeline
    threads: int = 1

    @property
    def extractor(self) -> FeatureExtractor:
        """The feature extractor of this model's configuration and input size."""
        return FeatureExtractor(self.config.features(), self.image_size)

    def predict_scores(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return logits, float32 (n, n_classes), of uint8 (n, size, size, 3)."""
        extractor = self.extractor
        rows = [
            self.feature_scores(extractor.extract(images[i : i + _BATCH], threads=self.threads))
            for i in range(0, len(images), _BATCH)
        ]
        return np.concatenate(rows) if rows else np.zeros((0, len(self.classes)), np.float32)

    def feature_scores(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return logits of extracted features, float32 (n, n_features)."""
        value: npt.NDArray[Any] = features
        for name, step in self.pipeline.steps[:-1]:
            # In float64, as the artefact does; a forest's features stay as they are.
            value = step.transform(value if name == "select" else value.astype(np.float64))
        return estimator_scores(self.pipeline[-1], value)

    def save(self, directory: Path) -> None:
        """Write ``model.skops`` and ``settings.json``: no pickle."""
        skops.io.dump(self.pipeline, directory / _MODEL, compression=ZIP_DEFLATED, compresslevel=6)
        settings = {
            "config": self.config.to_dict(),
            "classes": list(self.classes),
            "image_size": self.image_size,
        }
        (directory / _SETTINGS).write_text(json.dumps(settings, indent=2), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Classifier:
        """Read what `save` wrote. Raises `ModelCorruptError`."""
        try:
            settings: dict[str, Any] = json.loads(
                (directory / _SETTINGS).read_text(encoding="utf-8")
            )
            pipeline = skops.io.load(directory / _MODEL, trusted=list(TRUSTED))
            return cls(
                ShallowConfig.from_dict(settings["config"]),
                tuple(settings["classes"]),
                int(settings["image_size"]),
                pipeline,
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelCorruptError(
                f"cannot load the native model in {str(directory)!r}: {error}"
            ) from error
