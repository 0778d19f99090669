"""Evaluating a model on a data set: its answers, and every number that follows from them."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from eyevsai_core.catalog import load_dataset
from eyevsai_core.dataset import Dataset, Split
from eyevsai_core.errors import ConfigError, DatasetError, did_you_mean
from eyevsai_core.files import write_atomic
from eyevsai_core.metrics import (
    ClassMetrics,
    Interval,
    class_metrics,
    confusion_matrix,
    evaluate_probabilities,
)
from eyevsai_core.pixels import PixelCache
from eyevsai_core.splits import with_splits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt

__all__ = ["Evaluation", "evaluate_model", "evaluate_source", "export_predictions"]

_CHUNK = 512
_NUMBERS, _ANSWERS = "evaluation.json", "predictions.csv"
_COLUMNS = ("path", "label", "predicted", "confidence")
_NAMED = 8  # labels that a message lists


class _Answers(Protocol):
    """What evaluation needs of a model."""

    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def image_size(self) -> int: ...
    def predict_proba(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]: ...


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model's answers to one split of a data set.

    `labels` int64 (n,) index `classes`; `probabilities` is float32 (n, n_classes); `paths` are
    the pictures in the same order.
    """

    dataset: str
    split: str
    classes: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    paths: tuple[str, ...]

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """The index of the best label of each picture, int64 (n,)."""
        return np.asarray(self.probabilities.argmax(axis=1), np.int64)

    @cached_property
    def metrics(self) -> dict[str, Interval]:
        """The headline metrics with their intervals."""
        return evaluate_probabilities(self.probabilities, self.labels)

    @cached_property
    def per_class(self) -> list[ClassMetrics]:
        """Precision, recall and F1 of each class."""
        return class_metrics(self.labels, self.predicted, self.classes)

    @cached_property
    def confusion(self) -> npt.NDArray[np.int64]:
        """Counts (n_classes, n_classes): row is the truth, column the answer."""
        return confusion_matrix(self.labels, self.predicted, len(self.classes))

    def mistakes(self, limit: int) -> list[int]:
        """Return the indices of the wrong answers, the most confident first."""
        wrong = np.flatnonzero(self.predicted != self.labels)
        confidence = self.probabilities.max(axis=1)[wrong]
        return [int(i) for i in wrong[np.argsort(-confidence, kind="stable")][:limit]]

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain JSON values."""
        return {
            "dataset": self.dataset,
            "split": self.split,
            "n": len(self.labels),
            "classes": list(self.classes),
            "metrics": {name: asdict(value) for name, value in self.metrics.items()},
            "per_class": [asdict(row) for row in self.per_class],
            "confusion": self.confusion.tolist(),
        }

    def save(self, folder: Path) -> None:
        """Write ``evaluation.json``, the numbers, and ``predictions.csv``, every answer.

        Raises `OutputError`.
        """
        export_predictions(self, folder / _ANSWERS)
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False)
        write_atomic(folder / _NUMBERS, text.encode())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote. Raises `DatasetError` when it is missing or damaged."""
        try:
            about = json.loads((folder / _NUMBERS).read_text(encoding="utf-8"))
            classes = tuple(about["classes"])
            column = {label: i for i, label in enumerate(classes)}
            text = (folder / _ANSWERS).read_text(encoding="utf-8", errors="surrogateescape")
            rows = list(csv.reader(io.StringIO(text, newline="")))[1:]
            answers = [row[len(_COLUMNS) :] for row in rows]
            return cls(
                dataset=about["dataset"],
                split=about["split"],
                classes=classes,
                labels=np.array([column[row[1]] for row in rows], np.int64),
                probabilities=np.array(answers, np.float32).reshape(about["n"], len(classes)),
                paths=tuple(row[0] for row in rows),
            )
        except (OSError, ValueError, LookupError, TypeError, csv.Error) as error:
            raise DatasetError(
                f"{str(folder)!r} must hold {_NUMBERS} and {_ANSWERS} as an evaluation saves "
                f"them, but: {error}"
            ) from error


def evaluate_model(
    classifier: _Answers,
    dataset: str | Path | Dataset,
    *,
    split: str = "test",
    pixels: PixelCache | None = None,
    allow_unreadable: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Run a model over one split of a data set, of a folder or of a named set.

    Pictures come from the pixel cache at the model's input size: by the resize contract the
    artefact would make the same bytes of the original files. `pixels` is the cache of `dataset`
    when it is open already. `progress` is called with (done, total). Raises `ConfigError` for an
    unknown split, `DatasetError` when the split is empty or holds labels that the model does not
    know.
    """
    if not isinstance(dataset, Dataset):
        evaluation, _ = evaluate_source(
            classifier,
            dataset,
            split=split,
            allow_unreadable=allow_unreadable,
            progress=(lambda _, done, total, __: progress(done, total)) if progress else None,
        )
        return evaluation
    _check_split(split, [each.value for each in Split])
    _check_classes(classifier, dataset)
    if not dataset.split(split):
        raise DatasetError(
            f"data set {dataset.name!r} has no {split!r} split; it has "
            f"{', '.join(dataset.counts())}"
        )
    if pixels is None:
        dataset = replace(dataset, samples=dataset.split(split))
        pixels = PixelCache.open(dataset, classifier.image_size, allow_unreadable=allow_unreadable)
    images = pixels.images(split)
    rows = []
    for start in range(0, len(images), _CHUNK):
        rows.append(classifier.predict_proba(images[start : start + _CHUNK]))
        if progress:
            progress(min(start + _CHUNK, len(images)), len(images))
    column = {label: i for i, label in enumerate(classifier.classes)}
    own = np.array([column[label] for label in dataset.classes], np.int64)
    return Evaluation(
        dataset=dataset.name,
        split=split,
        classes=classifier.classes,
        labels=own[pixels.labels(split)],
        probabilities=np.concatenate(rows),
        paths=tuple(str(sample.path) for sample in pixels.samples(dataset, split)),
    )


def _check_split(split: str, known: list[str]) -> None:
    if split not in known:
        raise ConfigError(
            f"split must be one of {', '.join(known)}, but got {split!r}."
            + did_you_mean(split, known)
        )


def _check_classes(classifier: _Answers, dataset: Dataset) -> None:
    unknown = [label for label in dataset.classes if label not in set(classifier.classes)]
    if unknown:
        raise DatasetError(
            f"data set {dataset.name!r} has {len(unknown)} of {len(dataset.classes)} labels that "
            f"the model does not know: {_listed(unknown)}; it knows {_listed(classifier.classes)}. "
            "Evaluate on a data set with the model's labels, or train on this one"
        )


def _listed(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
    return ", ".join(map(repr, labels[:_NAMED])) + more


def evaluate_source(
    classifier: _Answers,
    source: str | Path | Dataset,
    *,
    split: str = "test",
    seed: int = 0,
    threads: int | None = None,
    allow_unreadable: bool = False,
    progress: Callable[[str, int, int, dict[str, float]], None] | None = None,
) -> tuple[Evaluation, npt.NDArray[np.uint8]]:
    """Open one split of a data set, read only its pictures, and run a model over them.

    What has no such split is split as training with `seed` does it; ``all`` takes every picture,
    whatever it is for. Returns the pictures too, uint8 (n, size, size, 3), in the evaluation's
    order. `progress` is called with (stage, done, total, {}). Raises `ConfigError` for an unknown
    split, `DatasetError` as `load_dataset` and `evaluate_model` do.
    """
    _check_split(split, ["all", *(each.value for each in Split)])
    dataset = load_dataset(source, seed=seed)
    _check_classes(classifier, dataset)  # before minutes of decoding
    if split == "all":
        chosen = tuple(replace(sample, split=Split.TEST) for sample in dataset.samples)
    else:
        # Validation and calibration may have been taken out of train: only `test` is as it was.
        carved = split != Split.TEST or not dataset.split(split)
        chosen = (with_splits(dataset, seed=seed) if carved else dataset).split(split)
    only = replace(dataset, samples=chosen)

    def tell(stage: str) -> Callable[[int, int], None]:
        return lambda done, total: progress(stage, done, total, {}) if progress else None

    cache = PixelCache.open(
        only,
        classifier.image_size,
        threads=threads,
        allow_unreadable=allow_unreadable,
        progress=tell("decode"),
    )
    name = Split.TEST if split == "all" else split
    evaluation = evaluate_model(
        classifier, only, split=name, pixels=cache, progress=tell("evaluate")
    )
    return replace(evaluation, split=split), cache.images(name)


def export_predictions(evaluation: Evaluation, path: Path) -> None:
    """Write every picture's answer as ``.csv`` or ``.jsonl``, by the file's ending.

    Columns: path, label, predicted, confidence, and the probability of each class. Raises
    `ConfigError` for another ending, `OutputError` when it cannot be written.
    """
    classes, predicted = evaluation.classes, evaluation.predicted
    # The shortest decimals that are this float32: 0.1, not 0.10000000149011612.
    texts = evaluation.probabilities.astype(str).tolist()
    firsts = [
        (path_, classes[label], classes[best], row[best])
        for path_, label, best, row in zip(
            evaluation.paths, evaluation.labels, predicted, texts, strict=True
        )
    ]
    if path.suffix == ".jsonl":
        lines = [
            {
                **dict(zip(_COLUMNS, first, strict=True)),
                "confidence": float(first[-1]),
                "probabilities": dict(zip(classes, map(float, row), strict=True)),
            }
            for first, row in zip(firsts, texts, strict=True)
        ]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    elif path.suffix == ".csv":
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer)
        writer.writerow([*_COLUMNS, *classes])
        writer.writerows([*first, *row] for first, row in zip(firsts, texts, strict=True))
        text = buffer.getvalue()
    else:
        raise ConfigError(f"predictions are written as .csv or .jsonl, but got {str(path)!r}")
    # A file's name is bytes: what is not UTF-8 in it is written as it is.
    write_atomic(path, text.encode(errors="surrogateescape"))
