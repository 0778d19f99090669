"""Dividing samples into splits: stratified, seeded, and independent of the file system's order."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from eyevsai_core.dataset import Dataset, Sample, Split
from eyevsai_core.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["split_samples", "with_splits"]

_WITHOUT_SPLITS = {Split.VALIDATION: 0.2, Split.TEST: 0.1}
_MISSING = {Split.TEST: 0.1, Split.VALIDATION: 0.15, Split.CALIBRATION: 0.1}
# More pictures teach a choice between a few options, or a handful of parameters, nothing more.
_ENOUGH = {Split.TEST: 10_000, Split.VALIDATION: 5_000, Split.CALIBRATION: 2_500}


def split_samples(samples: Iterable[Sample], *, seed: int) -> list[Sample]:
    """Split 70/20/10 into train, validation and test."""
    return _carve(list(samples), _WITHOUT_SPLITS, seed=seed)


def with_splits(dataset: Dataset, *, seed: int) -> Dataset:
    """Return the data set with all four splits.

    Those that are missing are carved from train, stratified: 10 % test (at most 10 000), 15 %
    validation (at most 5 000), 10 % calibration (at most 2 500). Equal pictures stay on one
    side, so that carving makes no leak. Raises `DatasetError` when train has too few pictures.
    """
    there = {sample.split for sample in dataset.samples}
    if Split.TRAIN not in there:
        raise DatasetError(
            f"data set {dataset.name!r} has no train split; it has {', '.join(sorted(there))}"
        )
    train = [s for s in dataset.samples if s.split == Split.TRAIN]
    shares = {
        split: min(share, _ENOUGH[split] / max(len(train), 1))
        for split, share in _MISSING.items()
        if split not in there
    }
    rest = [s for s in dataset.samples if s.split != Split.TRAIN]
    carved = _carve(train, shares, seed=seed)
    missing = set(Split) - {s.split for s in carved} - {s.split for s in rest}
    if missing:
        raise DatasetError(
            f"data set {dataset.name!r} has too few pictures ({len(train)} to learn from) to set "
            f"some aside for {', '.join(sorted(missing))}; add pictures: 4 a class are enough"
        )
    unseen = sorted({s.label for s in rest} - {s.label for s in carved if s.split == Split.TRAIN})
    if unseen:
        raise DatasetError(
            f"every class of data set {dataset.name!r} needs a picture in train, but "
            f"{', '.join(map(repr, unseen))} has none there; add some or remove the class"
        )
    samples = sorted(carved + rest, key=lambda s: (s.split, s.label, s.sha256, s.path.name))
    return replace(dataset, samples=tuple(samples))


def _carve(samples: list[Sample], shares: Mapping[Split, float], *, seed: int) -> list[Sample]:
    """Give each class's share to each split; what remains keeps its split (train).

    Fractions of pictures are carried on from class to class, so that small classes together
    give what one large class would.
    """
    by_label: dict[str, dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for sample in samples:
        by_label[sample.label][sample.sha256].append(sample)
    result: list[Sample] = []
    owed = dict.fromkeys(shares, 0.5)
    for label in sorted(by_label):
        groups = [by_label[label][digest] for digest in sorted(by_label[label])]
        random.Random(f"{seed}/{label}").shuffle(groups)  # noqa: S311  a split is no secret
        left = len(groups)
        for split, share in shares.items():
            owed[split] += share * len(groups)
            take = min(int(owed[split]), left - 1)
            owed[split] -= max(take, 0)
            for group in groups[left - take : left] if take > 0 else []:
                result.extend(replace(sample, split=split) for sample in group)
            left -= max(take, 0)
        result.extend(sample for group in groups[:left] for sample in group)
    return result
