"""Data sets: named, fingerprinted pictures with labels, in splits.

A data set is a folder ``root/<split>/<label>/*`` or ``root/<label>/*``, or a CSV or JSONL table
of path, label and, if it likes, split.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from eyevsai_core.fingerprint import hash_files, merkle_root

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

__all__ = ["Dataset", "Sample", "Split"]


class Split(StrEnum):
    """What pictures are for. ``test`` is used once, to report."""

    TRAIN = "train"
    VALIDATION = "validation"
    CALIBRATION = "calibration"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture: where it is, what it shows, what it is for, and the SHA-256 of its file."""

    path: Path
    label: str
    split: Split
    sha256: str = ""


@dataclass(frozen=True)
class Dataset:
    """Samples with their classes; `classes` is sorted, and sets the order of all columns.

    The files of samples that come without a SHA-256 are read for it.
    """

    name: str
    root: Path
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    licence: str = ""
    attribution: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        """Hash what was not hashed: pixels are cached, and leaks are found, by nothing else."""
        new = iter(hash_files([sample.path for sample in self.samples if not sample.sha256]))
        if not all(sample.sha256 for sample in self.samples):
            samples = tuple(s if s.sha256 else replace(s, sha256=next(new)) for s in self.samples)
            object.__setattr__(self, "samples", samples)

    def split(self, split: str) -> tuple[Sample, ...]:
        """Return the samples of one split, in a fixed order."""
        return self._by_split.get(Split(split), ())

    def labels(self, split: str) -> npt.NDArray[np.int64]:
        """Return the class index of each sample of a split, int64 (n,)."""
        index = {label: i for i, label in enumerate(self.classes)}
        return np.array([index[s.label] for s in self.split(split)], dtype=np.int64)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of pictures by split and label; empty splits are left out."""
        table: dict[str, dict[str, int]] = {}
        for split, samples in self._by_split.items():
            found = Counter(sample.label for sample in samples)
            table[split.value] = {label: found[label] for label in self.classes}
        return table

    @cached_property
    def _by_split(self) -> dict[Split, tuple[Sample, ...]]:
        groups: dict[Split, list[Sample]] = {split: [] for split in Split}
        for sample in self.samples:
            groups[sample.split].append(sample)
        return {split: tuple(found) for split, found in groups.items() if found}

    @cached_property
    def fingerprint(self) -> str:
        """Hex Merkle root over (label, SHA-256) of every file: changes when any picture does."""
        return merkle_root((sample.label, sample.sha256) for sample in self.samples)

    @cached_property
    def split_fingerprint(self) -> str:
        """Hex Merkle root over (split, label, SHA-256): changes also when a picture moves."""
        return merkle_root((s.split.value, s.label, s.sha256) for s in self.samples)

    def __repr__(self) -> str:
        """Say the name and the sizes."""
        sizes = ", ".join(f"{split} {len(found)}" for split, found in self._by_split.items())
        return f"Dataset({self.name!r}, {len(self.classes)} classes, {sizes})"
