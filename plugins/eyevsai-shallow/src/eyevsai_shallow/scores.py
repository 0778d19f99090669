"""From an estimator's own outputs to logits, the form in which all models are calibrated.

* logistic regression: its linear scores;
* random forest: the logarithm of smoothed vote shares;
* SVM, one against rest: its decision values;
* SVM between pairs (libsvm's own, for very many pictures): soft votes, the mean of
  sigmoid(16 d) over a class's pairs, which ranks classes as votes do but has no ties.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["SMOOTHING", "VOTE_SLOPE", "estimator_scores", "pair_matrices", "pair_scores"]

SMOOTHING = 1e-3
"""Added to every vote share of a forest, so that no vote is not the same as impossible."""
VOTE_SLOPE = 16.0
"""How sharply a pair's decision value becomes a vote."""


def pair_matrices(n_classes: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return two 0/1 matrices (n_pairs, n_classes): the first and the second class of each pair."""
    pairs = list(combinations(range(n_classes), 2))
    first, second = np.zeros((2, len(pairs), n_classes), np.float32)
    for row, (i, j) in enumerate(pairs):
        first[row, i] = 1
        second[row, j] = 1
    return first, second


def pair_scores(decisions: npt.NDArray[Any], n_classes: int) -> npt.NDArray[np.float32]:
    """Turn decision values (n, n_pairs), positive for the first of a pair, into (n, n_classes)."""
    first, second = pair_matrices(n_classes)
    vote = 1 / (1 + np.exp(-VOTE_SLOPE * decisions))
    return np.asarray((vote @ first + (1 - vote) @ second) / (n_classes - 1), np.float32)


def estimator_scores(estimator: Any, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return logits, float32 (n, n_classes), of a fitted SVC, forest or logistic regression."""
    n_classes = len(estimator.classes_)
    if hasattr(estimator, "estimators_"):
        return np.asarray(np.log(estimator.predict_proba(features) + SMOOTHING), np.float32)
    values = estimator.decision_function(features)
    if hasattr(estimator, "support_vectors_"):
        # scikit-learn: with two classes a positive value means the second, else the first.
        pairs = -values[:, None] if n_classes == 2 else values  # noqa: PLR2004  a pair
        return pair_scores(pairs, n_classes)
    if values.ndim == 1:
        values = np.stack([np.zeros_like(values), values], axis=1)
    return np.asarray(values, np.float32)
