"""From a list of files with labels to a checked, split, fingerprinted data set."""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from eyevsai_core.dataset import Dataset, Sample, Split
from eyevsai_core.errors import DatasetError
from eyevsai_core.fingerprint import hash_files
from eyevsai_core.splits import split_samples

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["finish_dataset"]

_MIN_CLASSES = 2
_MIN_PICTURES = 2


def finish_dataset(
    found: Sequence[Sample | tuple[Path, str]],
    *,
    name: str,
    root: Path,
    seed: int = 0,
    licence: str = "",
    attribution: str = "",
    source: str = "",
) -> Dataset:
    """Hash, check, split where needed, and put into a fixed order. Raises `DatasetError`."""
    paths = [item.path if isinstance(item, Sample) else item[0] for item in found]
    digests = hash_files(paths)
    samples = [
        replace(item, sha256=digest)
        if isinstance(item, Sample)
        else Sample(item[0], item[1], Split.TRAIN, digest)
        for item, digest in zip(found, digests, strict=True)
    ]
    classes = tuple(sorted({sample.label for sample in samples}))
    _check_classes(classes, samples, root)
    if not isinstance(found[0], Sample):
        samples = split_samples(samples, seed=seed)
    # By content, not by the file system's order: the same pictures give the same order anywhere.
    samples.sort(key=lambda s: (s.split, s.label, s.sha256, s.path.name))
    return Dataset(name, root, classes, tuple(samples), licence, attribution, source)


def _check_classes(classes: tuple[str, ...], samples: Sequence[Sample], root: Path) -> None:
    if len(classes) < _MIN_CLASSES:
        found = f"only {classes[0]!r}" if classes else "no pictures"
        raise DatasetError(
            f"a data set needs at least two classes, but {str(root)!r} has {found}; expected "
            "<label>/<picture> or <split>/<label>/<picture>"
        )
    folded: dict[str, str] = {}
    for label in classes:
        # Control characters, and bytes of a file name that are no text.
        if any(unicodedata.category(c) in {"Cc", "Cs"} for c in label):
            raise DatasetError(
                f"class names must be printable text, but {str(root)!r} has {label!r}; rename it"
            )
        other = folded.setdefault(unicodedata.normalize("NFC", label).casefold(), label)
        if other != label:
            raise DatasetError(
                f"class names must differ by more than case, but {str(root)!r} has {other!r} and "
                f"{label!r}, which are one folder on some systems; rename or merge them"
            )
    if not any(sample.split == Split.TRAIN for sample in samples):
        return  # only to test a model with
    each = Counter(sample.label for sample in samples)
    for label, n in each.items():
        if n < _MIN_PICTURES:
            raise DatasetError(
                f"each class needs at least {_MIN_PICTURES} pictures, one to learn from and one "
                f"to test with, but {label!r} in {str(root)!r} has {n}; add some or remove it"
            )
