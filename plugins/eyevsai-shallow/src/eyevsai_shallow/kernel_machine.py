"""A kernel SVM for many classes: one against rest, or, for very many pictures, between pairs.

libsvm's own multi-class SVM votes between pairs; with few pictures of many classes
one-against-rest gave more right answers, and decision values that calibrate far better (compare
Rifkin & Klautau 2004, "In Defense of One-Vs-All Classification"). Its kernel matrix is computed
once and serves every class. Where that matrix would not fit, each pair is a problem of its own,
and small; pairs are fitted in threads.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.svm import SVC

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["MOST_ROWS", "VOTE_SLOPE", "KernelMachine", "kernel_matrix", "pair_matrices"]

MOST_ROWS = 12_000
"""Rows for which the kernel matrix, float64, is kept: 1.2 GB."""

VOTE_SLOPE = 16.0
"""How sharply a pair's decision value becomes a vote."""

_CHUNK = 1024
_CACHE_MB = 500


class KernelMachine(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """SVM, one against rest; parameters as in `sklearn.svm.SVC`, `gamma` always a number.

    Fitted: ``vectors_`` float32 (n_vectors, n_features), ``weights_`` float64 (n_vectors,
    n_machines), ``intercept_`` (n_machines,), ``classes_``, and ``pairs_``: whether the machines
    are the pairs of classes, in the order of `itertools.combinations`, or the classes.
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
        """Fit every machine, in threads: libsvm works without Python's lock."""
        self.classes_ = np.unique(y)
        self.pairs_ = len(X) > MOST_ROWS
        weights, offset = self._fit_pairs(X, y) if self.pairs_ else self._fit_rest(X, y)
        used = np.flatnonzero(np.abs(weights).max(axis=1))
        self.vectors_ = np.ascontiguousarray(X[used], np.float32)
        self.weights_ = np.ascontiguousarray(weights[used])
        self.intercept_ = offset
        return self

    def _fit_rest(
        self, x: npt.NDArray[np.float32], y: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        matrix = kernel_matrix(self, x, x)

        def fit_one(label: int) -> SVC:
            machine = SVC(C=self.C, kernel="precomputed", class_weight=self.class_weight)
            return machine.fit(matrix, (y == label).astype(np.int64))

        # Of two classes, one against the rest is the other against the rest turned round.
        n_classes = len(self.classes_)
        labels = self.classes_ if n_classes > 2 else self.classes_[1:]  # noqa: PLR2004  a pair
        with ThreadPoolExecutor(self.threads) as pool:
            machines = list(pool.map(fit_one, labels))
        weights = np.zeros((len(x), len(machines)))
        for column, machine in enumerate(machines):
            weights[machine.support_, column] = machine.dual_coef_[0]
        offset = np.array([machine.intercept_[0] for machine in machines])
        if len(machines) < n_classes:
            weights, offset = np.hstack([-weights, weights]), np.hstack([-offset, offset])
        return weights, offset

    def _fit_pairs(
        self, x: npt.NDArray[np.float32], y: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        pairs = list(combinations(self.classes_, 2))

        def fit_one(pair: tuple[int, int]) -> tuple[npt.NDArray[np.int64], SVC]:
            rows = np.flatnonzero((y == pair[0]) | (y == pair[1]))
            machine = SVC(
                C=self.C,
                kernel=self.kernel,
                gamma=self.gamma,
                degree=self.degree,
                coef0=self.coef0,
                class_weight=self.class_weight,
                cache_size=_CACHE_MB,
            )
            machine.fit(x[rows], (y[rows] == pair[0]).astype(np.int64))
            return rows[machine.support_], machine

        weights, offset = np.zeros((len(x), len(pairs))), np.zeros(len(pairs))
        with ThreadPoolExecutor(self.threads) as pool:
            for column, (rows, machine) in enumerate(pool.map(fit_one, pairs)):
                weights[rows, column] = machine.dual_coef_[0]
                offset[column] = machine.intercept_[0]
        return weights, offset

    def decision_function(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:  # noqa: N803
        """Return each machine's signed distance from its margin, (n, n_machines).

        Positive means the class, or the first of the pair.
        """
        rows = [
            kernel_matrix(self, X[i : i + _CHUNK], self.vectors_) @ self.weights_
            for i in range(0, len(X), _CHUNK)
        ]
        if not rows:
            return np.zeros((0, len(self.intercept_)))
        return np.asarray(np.concatenate(rows) + self.intercept_)

    def scores(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:  # noqa: N803
        """Return a score of each class, (n, n_classes).

        One against rest these are the decision values. Between pairs they are soft votes: the
        mean of sigmoid(16 d) over a class's pairs ranks classes as votes do, but without ties.
        """
        decisions = self.decision_function(X)
        if not self.pairs_:
            return decisions
        first, second = pair_matrices(len(self.classes_))
        vote = 1 / (1 + np.exp(-VOTE_SLOPE * decisions))
        return np.asarray((vote @ first + (1 - vote) @ second) / (len(self.classes_) - 1))

    def predict(self, X: npt.NDArray[np.float32]) -> npt.NDArray[Any]:  # noqa: N803
        """Return the class with the largest score for each row."""
        return np.asarray(self.classes_[self.scores(X).argmax(axis=1)])


def pair_matrices(n_classes: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return two 0/1 matrices (n_pairs, n_classes): the first and the second class of each pair."""
    pairs = list(combinations(range(n_classes), 2))
    first, second = np.zeros((2, len(pairs), n_classes))
    for row, (i, j) in enumerate(pairs):
        first[row, i] = 1
        second[row, j] = 1
    return first, second


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
