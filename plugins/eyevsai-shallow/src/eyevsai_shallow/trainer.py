"""Fitting the shallow family: extract once, compare candidates on validation, fit the best."""

from __future__ import annotations

import json
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from eyevsai_core.calibration import softmax
from eyevsai_core.files import write_json
from eyevsai_shallow.candidates import (
    DEFAULT_C,
    MANY,
    Candidate,
    candidates_for,
    clearly_best,
    is_shifted,
)
from eyevsai_shallow.classifier import ShallowClassifier
from eyevsai_shallow.copies import SHIFTS, changed
from eyevsai_shallow.features import FeatureExtractor
from eyevsai_shallow.kernel_machine import KernelMachine

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from eyevsai_core.family import FitContext, TrainData
    from eyevsai_shallow.config import ShallowConfig

    Features = npt.NDArray[np.float32]
    Labels = npt.NDArray[np.int64]

__all__ = ["ShallowTrainer"]

_COMPONENTS, _COMPONENTS_OF_MANY = 400, 200
_BATCH = 2048
_PCA_ROUNDS = 4
_TREES_TO_CHOOSE = 100  # more change a forest's accuracy little, and the time in proportion


@dataclass(frozen=True)
class _Prepared:
    """Fitted transforms, what they make of the training features, and the labels.

    ``variance`` is the features' total variance before PCA, the unit of the kernels' width.
    """

    steps: list[tuple[str, Any]]
    value: Features
    labels: Labels
    variance: float


class ShallowTrainer:
    """Fits one shallow classifier; made anew for each fit."""

    def __init__(self, config: Any) -> None:
        """Take a checked `ShallowConfig`."""
        self.config: ShallowConfig = config
        self._size = 0

    def fit(
        self, train: TrainData, validation: TrainData, context: FitContext
    ) -> ShallowClassifier:
        """Choose on `validation`, fit, and return the classifier.

        Features and finished candidates are kept in the context's directory, so that a fit
        that was interrupted goes on where it stopped and ends the same.
        """
        size = self._size = train.images.shape[1]
        if self.config.colour_histogram is None:
            # Of a grey picture the joint histogram is one of brightness in three bins, which moves
            # with the light and not with the class: on Fashion-MNIST it cost half a percent.
            coloured = not (_are_grey(train.images) and _are_grey(validation.images))
            self.config = self.config.replace(colour_histogram=coloured)
        extractor = FeatureExtractor(self.config.features(), size)
        pictures = len(train.labels) + len(validation.labels)
        candidates = candidates_for(self.config, pictures)
        kinds: list[str] = ["mirrored"] if any(c.flip for c in candidates) else []
        kinds += SHIFTS if kinds and is_shifted(self.config, pictures, len(train.classes)) else []
        x, xf = self._extract(extractor, train, "train", context, kinds=kinds)
        v, vf = self._extract(extractor, validation, "validation", context, kinds=kinds)
        best = self._choose(candidates, (x, xf, train.labels), (v, validation.labels), context)
        if self.config.refit:
            x = np.concatenate([x, v])
            xf = np.concatenate([xf, vf], axis=1)
            labels = np.concatenate([train.labels, validation.labels])
        else:
            labels = train.labels
        prepared = self._prepare(x, xf if best.flip else xf[:0], labels)
        pipeline = self._fit(best, prepared, threads=context.threads)
        chosen = self.config.replace(
            flip=best.flip, shift=best.flip and len(kinds) > 1, c=best.c, gamma=best.gamma
        )
        return ShallowClassifier(chosen, train.classes, size, pipeline, context.threads)

    def _extract(
        self,
        extractor: FeatureExtractor,
        data: TrainData,
        name: str,
        context: FitContext,
        *,
        kinds: list[str],
    ) -> tuple[Features, Features]:
        """Return features, (n, n_features), and of changed copies, (n_kinds, n, n_features)."""
        found = []
        for kind in ("plain", *kinds):
            path = context.directory / f"{name}-{kind}.npy"
            if not path.is_file():
                _save(path, _features(extractor, data.images, kind, context.threads))
            found.append(np.load(path, mmap_mode="r", allow_pickle=False))
        plain, *copies = found
        return plain, np.stack(copies) if copies else np.zeros((0, *plain.shape), np.float32)

    def _choose(
        self,
        candidates: list[Candidate],
        train: tuple[Features, Features, Labels],
        validation: tuple[Features, Labels],
        context: FitContext,
    ) -> Candidate:
        """Fit every candidate on a part of train and return the best on validation."""
        if len(candidates) == 1:
            return candidates[0]
        path = context.directory / "candidates.json"
        done: dict[str, dict[str, float]] = (
            json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        )
        part = _stratified(train[2], self.config.search_limit, self.config.seed)
        prepared: dict[bool, _Prepared] = {}  # the transforms depend on nothing else of a candidate
        for number, candidate in enumerate(candidates, start=1):
            if candidate.key in done:
                continue
            started = time.monotonic()
            if candidate.flip not in prepared:
                copies = train[1][:, part] if candidate.flip else train[1][:0]
                prepared[candidate.flip] = self._prepare(train[0][part], copies, train[2][part])
            pipeline = self._fit(
                candidate, prepared[candidate.flip], threads=context.threads, trees=_TREES_TO_CHOOSE
            )
            metrics = self._judge(pipeline, *validation)
            done[candidate.key] = metrics
            write_json(path, done)
            context.report(
                number,
                len(candidates),
                {
                    **metrics,
                    "flip": float(candidate.flip),
                    **({"c": candidate.c} if candidate.c is not None else {}),
                    **({"gamma": candidate.gamma} if candidate.gamma is not None else {}),
                    "seconds": round(time.monotonic() - started, 3),
                },
            )
        return clearly_best(candidates, done, len(validation[1]))

    def _judge(self, pipeline: Pipeline, x: Features, labels: Labels) -> dict[str, float]:
        scores = ShallowClassifier(self.config, (), 0, pipeline).feature_scores(np.asarray(x))
        of_truth = softmax(scores)[np.arange(len(labels)), labels]
        return {
            "validation_accuracy": float((scores.argmax(axis=1) == labels).mean()),
            "validation_log_loss": float(-np.log(np.maximum(of_truth, 1e-12)).mean()),
        }

    def _prepare(self, x: Features, xf: Features, labels: Labels) -> _Prepared:
        """Fit selection, scaling and PCA to pictures and their changed copies, if any."""
        config, pictures = self.config, len(labels)
        x, labels = np.concatenate([x, *xf]), np.tile(labels, 1 + len(xf))
        value, variance = np.asarray(x), 1.0
        steps: list[tuple[str, Any]] = []

        def take(name: str, step: Any) -> None:
            nonlocal value
            steps.append((name, step))
            value = step.transform(value).astype(np.float32, copy=False)

        block = self._blocks(x.shape[1])
        if config.select_features and config.select_features < x.shape[1]:
            with warnings.catch_warnings():
                # Features that never change have no F value, and are kept last: as they should.
                warnings.simplefilter("ignore")
                select = SelectKBest(f_classif, k=config.select_features).fit(value, labels)
            block = block[select.get_support()]
            take("select", select)
        if (
            config.classifier != "rf"
        ):  # a forest has no use for scales: it compares, feature by feature
            scaler = StandardScaler().fit(value)
            variance = _scale_by_block(scaler, block, self._weights())
            take("scale", scaler)
            components = self._components(pictures)
            if components:
                # At most one less than pictures or features: what is left is only rounding.
                components = min(components, min(value.shape) - 1)
                pca = PCA(
                    components,
                    whiten=config.whiten,
                    svd_solver="full" if min(value.shape) <= 2 * components else "randomized",
                    iterated_power=_PCA_ROUNDS,
                    random_state=config.seed,
                )
                take("pca", pca.fit(value))
        return _Prepared(steps, value, labels, variance)

    def _fit(
        self, candidate: Candidate, prepared: _Prepared, *, threads: int, trees: int | None = None
    ) -> Pipeline:
        estimator = self._estimator(candidate, prepared, threads)
        if trees and self.config.classifier == "rf":
            estimator.set_params(n_estimators=min(trees, self.config.n_estimators))
        estimator.fit(prepared.value, prepared.labels)
        return Pipeline([*prepared.steps, ("estimator", estimator)])

    def _components(self, n: int) -> int:
        """Return the number of principal components for `n` pictures; 0 for no PCA.

        A component wants one and a half pictures as evidence; beyond that it is mostly noise.
        """
        if self.config.pca_components is not None:
            return self.config.pca_components
        return min(_COMPONENTS, max(2 * n // 3, 1)) if n <= MANY else _COMPONENTS_OF_MANY

    def _weights(self) -> npt.NDArray[np.float64]:
        """Return the total variance that each block of the descriptor is given."""
        extractor = FeatureExtractor(self.config.features(), self._size)
        return np.array([extractor.weights[name] for name in extractor.slices])

    def _blocks(self, n: int) -> npt.NDArray[np.int64]:
        """Return the number of the descriptor's block for each feature, int64 (n_features,)."""
        extractor = FeatureExtractor(self.config.features(), self._size)
        block = np.zeros(n, np.int64)
        for number, columns in enumerate(extractor.slices.values()):
            block[columns] = number
        return block

    def _estimator(self, candidate: Candidate, prepared: _Prepared, threads: int) -> Any:
        config = self.config
        weight = None if config.class_weight == "none" else config.class_weight
        if config.classifier == "rf":
            return RandomForestClassifier(
                config.n_estimators,
                max_depth=config.max_depth,
                min_samples_leaf=config.min_samples_leaf,
                class_weight=weight,
                random_state=config.seed,
                n_jobs=threads,
            )
        if config.classifier == "lr":
            return LogisticRegression(C=candidate.c or 1.0, max_iter=1000, class_weight=weight)
        return self._machine(candidate, prepared, threads)

    def _machine(self, candidate: Candidate, prepared: _Prepared, threads: int) -> Any:
        config = self.config
        return KernelMachine(
            C=candidate.c or DEFAULT_C,
            kernel=config.kernel,
            gamma=(candidate.gamma or 1.0) / (2 * prepared.variance),
            degree=config.degree,
            class_weight=None if config.class_weight == "none" else config.class_weight,
            threads=threads,
        )


def _scale_by_block(
    scaler: StandardScaler, block: npt.NDArray[np.int64], weights: npt.NDArray[np.float64]
) -> float:
    """Give every block of the descriptor its weight as total variance; return the sum.

    One scale a block, not a feature: within a block, a bin that hardly ever moves is not blown up
    to weigh as much as one that tells classes apart.
    """
    total = np.bincount(block, scaler.var_, minlength=len(weights))
    there = total > 0
    scale = np.ones_like(total)
    scale[there] = np.sqrt(total[there] / weights[there])
    scaler.scale_ = scale[block]
    return float(weights[there].sum()) or 1.0


def _are_grey(images: npt.NDArray[np.uint8]) -> bool:
    """Whether red, green and blue are equal in every pixel of every picture."""
    return all(
        bool((part == part[..., :1]).all())
        for part in (images[i : i + _BATCH] for i in range(0, len(images), _BATCH))
    )


def _features(
    extractor: FeatureExtractor, images: npt.NDArray[np.uint8], kind: str, threads: int
) -> Features:
    parts = []
    for start in range(0, len(images), _BATCH):
        batch = changed(images[start : start + _BATCH], kind)
        parts.append(extractor.extract(batch, threads=threads))
    return np.concatenate(parts)


def _save(path: Path, features: Features) -> None:
    """Write beside and rename: a kill must not leave half a file that a resume would trust."""
    beside = path.with_suffix(".part")
    with beside.open("wb") as file:
        np.save(file, features)
    beside.replace(path)


def _stratified(labels: Labels, limit: int, seed: int) -> npt.NDArray[np.int64]:
    """Return sorted indices of at most about `limit` pictures, each class in its share."""
    if len(labels) <= limit:
        return np.arange(len(labels))
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    step = len(labels) / limit
    return np.sort(order[(np.arange(limit) * step).astype(np.int64)])
