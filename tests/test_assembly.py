from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eyevsai_core.assembly import finish_dataset
from eyevsai_core.dataset import Dataset, Sample, Split
from eyevsai_core.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path


def finish(root: Path, *found: tuple[str, str] | tuple[str, str, Split]) -> Dataset:
    """Write files whose bytes are their names."""
    items: list[Sample | tuple[Path, str]] = []
    for name, label, *split in found:
        path = root / name
        path.write_bytes(name.encode())
        items.append(Sample(path, label, split[0]) if split else (path, label))
    return finish_dataset(items, name="made", root=root)


def test_a_data_set_is_hashed_sorted_and_split(tmp_path: Path) -> None:
    names = [(f"{label}{i}", label) for label in ("dog", "cat") for i in range(10)]
    data = finish(tmp_path, *names)
    assert data.classes == ("cat", "dog")
    assert {split: sum(n.values()) for split, n in data.counts().items()} == {
        "train": 14,
        "validation": 4,
        "test": 2,
    }
    assert all(len(sample.sha256) == 64 for sample in data.samples)


def test_the_same_pictures_elsewhere_in_another_order_are_the_same_set(tmp_path: Path) -> None:
    names = [(f"{label}{i}", label) for label in ("dog", "cat") for i in range(10)]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = finish(tmp_path / "a", *names), finish(tmp_path / "b", *names[::-1])
    assert one.split_fingerprint == other.split_fingerprint
    assert [s.path.name for s in one.samples] == [s.path.name for s in other.samples]


def test_given_splits_stay(tmp_path: Path) -> None:
    data = finish(
        tmp_path, ("1", "cat", Split.TRAIN), ("2", "dog", Split.TRAIN), ("3", "dog", Split.TEST),
        ("4", "cat", Split.TEST),
    )  # fmt: skip
    assert data.counts() == {"train": {"cat": 1, "dog": 1}, "test": {"cat": 1, "dog": 1}}


def test_one_class(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"at least two classes, but .* has only 'cat'"):
        finish(tmp_path, ("1", "cat"), ("2", "cat"))


def test_a_class_with_one_picture(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"at least 2 pictures, .* but 'dog' in .* has 1"):
        finish(tmp_path, ("1", "cat"), ("2", "cat"), ("3", "dog"))


def test_a_set_to_test_with_may_have_one_picture_a_class(tmp_path: Path) -> None:
    data = finish(tmp_path, ("1", "cat", Split.TEST), ("2", "dog", Split.TEST))
    assert data.counts() == {"test": {"cat": 1, "dog": 1}}


@pytest.mark.parametrize(
    ("one", "other"), [("Cat", "cat"), ("Straße", "STRASSE"), ("é", "e\u0301")]
)
def test_class_names_that_clash_on_some_file_systems(tmp_path: Path, one: str, other: str) -> None:
    with pytest.raises(DatasetError, match=r"must differ by more than case.*rename or merge"):
        finish(tmp_path, ("1", one), ("2", other), ("3", one), ("4", other))


@pytest.mark.parametrize("label", ["a\nb", "a\x1b[31mb", "\udcff"])
def test_class_names_that_are_no_text(tmp_path: Path, label: str) -> None:
    with pytest.raises(DatasetError, match=r"must be printable text, but .*'.*\\"):
        finish(tmp_path, ("1", label), ("2", "cat"), ("3", label), ("4", "cat"))


@pytest.mark.parametrize("label", ["hot dog", "犬", "می‌خواهم", "x" * 300, "<b>&"])
def test_class_names_in_any_language(tmp_path: Path, label: str) -> None:
    data = finish(tmp_path, ("1", label), ("2", "cat"), ("3", label), ("4", "cat"))
    assert label in data.classes
