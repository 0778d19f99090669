"""From an estimator's own outputs to logits, the form in which all models are calibrated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eyevsai_shallow.kernel_machine import KernelMachine

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["SMOOTHING", "estimator_scores"]

SMOOTHING = 1e-3
"""Added to every vote share of a forest, so that no vote is not the same as impossible."""


def estimator_scores(estimator: Any, features: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return logits, float32 (n, n_classes), of a fitted SVM, forest or logistic regression.

    Of a forest the logarithm of its smoothed vote shares, of a logistic regression its linear
    scores, of an SVM its own (`KernelMachine.scores`).
    """
    if isinstance(estimator, KernelMachine):
        return np.asarray(estimator.scores(features), np.float32)
    if hasattr(estimator, "estimators_"):
        return np.asarray(np.log(estimator.predict_proba(features) + SMOOTHING), np.float32)
    values = estimator.decision_function(features)
    if values.ndim == 1:
        values = np.stack([np.zeros_like(values), values], axis=1)
    return np.asarray(values, np.float32)
