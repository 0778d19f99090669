"""A one-against-rest kernel SVM over one shared kernel matrix.

libsvm's own multi-class SVM votes between pairs of classes; with few pictures of many classes
one-against-rest gave more right answers, and decision values that calibrate far better
(compare Rifkin & Klautau 2004, "In Defense of One-Vs-All Classification"). The kernel matrix is
computed once and serves every class, which also makes it faster.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.svm import SVC

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["MOST_ROWS", "KernelMachine", "kernel_matrix"]

MOST_ROWS = 12_000
"""Rows for which the kernel matrix, float64, is kept: 1.2 GB."""

_CHUNK = 1024


class KernelMachine(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """SVM, one against rest; parameters as in `sklearn.svm.SVC`, `gamma` always a number.

    Fitted: ``vectors_`` float32 (n_vectors, n_features), ``weights_`` float64 (n_vectors,
    n_classes), ``intercept_`` (n_classes,), ``classes_``.
    """

    def __init__(
        self,
        *,
        C: float = 10.0,  # noqa: N803  scikit-learn's name
        kernel: str = "rbf",
        gamma: float = 1.0,
        degree: int = 3,
        coef0: float = 1.0,
        class_weight: str | None = None,
        threads: int = 1,
    ) -> None:
        """Keep the parameters; nothing is computed."""
        self.C = C
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.class_weight = class_weight
        self.threads = threads

    def fit(self, X: npt.NDArray[np.float32], y: npt.NDArray[np.int64]) -> Self:  # noqa: N803
        """Fit one machine a class, in threads: libsvm works without Python's lock."""
        self.classes_ = np.unique(y)
        n_classes = len(self.classes_)
        matrix = kernel_matrix(self, X, X)

        def fit_one(label: int) -> SVC:
            machine = SVC(C=self.C, kernel="precomputed", class_weight=self.class_weight)
            return machine.fit(matrix, (y == label).astype(np.int64))

        # Of two classes, one against the rest is the other against the rest turned round.
        labels = self.classes_ if n_classes > 2 else self.classes_[1:]  # noqa: PLR2004  a pair
        with ThreadPoolExecutor(self.threads) as pool:
            machines = list(pool.map(fit_one, labels))
        weights = np.zeros((len(X), len(machines)))
        for column, machine in enumerate(machines):
            weights[machine.support_, column] = machine.dual_coef_[0]
        offset = np.array([machine.intercept_[0] for machine in machines])
        if len(machines) < n_classes:
            weights, offset = np.hstack([-weights, weights]), np.hstack([-offset, offset])
        used = np.flatnonzero(np.abs(weights).max(axis=1))
        self.vectors_ = np.ascontiguousarray(X[used], np.float32)
        self.weights_ = np.ascontiguousarray(weights[used])
        self.intercept_ = offset
        return self

    def decision_function(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:  # noqa: N803
        """Return the signed distance from each class's margin, (n, n_classes)."""
        rows = [
            kernel_matrix(self, X[i : i + _CHUNK], self.vectors_) @ self.weights_
            for i in range(0, len(X), _CHUNK)
        ]
        return np.concatenate(rows) + self.intercept_ if rows else np.zeros((0, len(self.classes_)))

    def predict(self, X: npt.NDArray[np.float32]) -> npt.NDArray[Any]:  # noqa: N803
        """Return the class with the largest decision value for each row."""
        return np.asarray(self.classes_[self.decision_function(X).argmax(axis=1)])


def kernel_matrix(
    machine: KernelMachine, a: npt.NDArray[Any], b: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Return the kernel of each row of `a` with each of `b`, float64 (n_a, n_b)."""
    a, b = a.astype(np.float64, copy=False), b.astype(np.float64, copy=False)
    product = np.asarray(a @ b.T)
    if machine.kernel == "linear":
        return product
    if machine.kernel == "poly":
        return np.asarray((machine.gamma * product + machine.coef0) ** machine.degree)
    product *= -2
    product += np.square(a).sum(axis=1)[:, None]
    product += np.square(b).sum(axis=1)
    # Rounding can make the distance of a vector to itself slightly negative.
    np.maximum(product, 0, out=product)
    product *= -machine.gamma
    return np.asarray(np.exp(product, out=product))
