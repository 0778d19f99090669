from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from eyevsai_core.dataset import Dataset, Sample, Split


def made(*samples: tuple[str, str, Split]) -> Dataset:
    rows = tuple(
        Sample(Path(f"{i}.png"), label, split, sha) for i, (label, sha, split) in enumerate(samples)
    )
    return Dataset("made", Path(), tuple(sorted({row.label for row in rows})), rows)


DATA = made(
    ("cat", "c1", Split.TRAIN),
    ("dog", "d1", Split.TRAIN),
    ("dog", "d2", Split.TRAIN),
    ("cat", "c2", Split.TEST),
)


def test_a_split_is_a_word() -> None:
    assert Split("train") is Split.TRAIN
    assert f"{Split.CALIBRATION}" == "calibration"


def test_samples_labels_and_counts_of_a_split() -> None:
    assert [s.sha256 for s in DATA.split("train")] == ["c1", "d1", "d2"]
    assert DATA.labels("train").tolist() == [0, 1, 1]
    assert DATA.labels("train").dtype == "int64"
    assert DATA.counts() == {"train": {"cat": 1, "dog": 2}, "test": {"cat": 1, "dog": 0}}


def test_a_split_without_pictures_is_empty() -> None:
    assert DATA.split(Split.VALIDATION) == ()
    assert DATA.labels("validation").shape == (0,)


def test_an_unknown_split_is_an_error() -> None:
    with pytest.raises(ValueError, match="'tset'"):
        DATA.split("tset")


def test_the_fingerprint_is_of_labels_and_bytes_not_of_order_or_place() -> None:
    turned = replace(DATA, samples=DATA.samples[::-1])
    moved = replace(DATA, samples=tuple(replace(s, path=Path("x") / s.path) for s in DATA.samples))
    assert turned.fingerprint == moved.fingerprint == DATA.fingerprint
    changed = replace(DATA, samples=(replace(DATA.samples[0], sha256="c9"), *DATA.samples[1:]))
    renamed = replace(DATA, samples=(replace(DATA.samples[0], label="dog"), *DATA.samples[1:]))
    assert len({DATA.fingerprint, changed.fingerprint, renamed.fingerprint}) == 3


def test_the_split_fingerprint_is_of_the_splits_too() -> None:
    moved = replace(DATA, samples=(replace(DATA.samples[0], split=Split.TEST), *DATA.samples[1:]))
    assert moved.fingerprint == DATA.fingerprint
    assert moved.split_fingerprint != DATA.split_fingerprint


def test_it_says_what_it_is() -> None:
    assert repr(DATA) == "Dataset('made', 2 classes, train 3, test 1)"


def test_samples_that_come_without_a_hash_get_one(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(name.encode())
    samples = (
        Sample(tmp_path / "a.png", "cat", Split.TRAIN),
        Sample(tmp_path / "x.png", "cat", Split.TRAIN, "known"),
        Sample(tmp_path / "b.png", "dog", Split.TRAIN),
    )
    hashes = [s.sha256 for s in Dataset("made", tmp_path, ("cat", "dog"), samples).samples]
    assert hashes == [sha256(b"a.png").hexdigest(), "known", sha256(b"b.png").hexdigest()]
