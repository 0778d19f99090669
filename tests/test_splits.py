from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyevsai_core.dataset import Dataset, Sample, Split
from eyevsai_core.errors import DatasetError
from eyevsai_core.splits import split_samples, with_splits


def samples(split: Split = Split.TRAIN, **each: int) -> list[Sample]:
    return [
        Sample(Path(split.value, label, f"{i}.png"), label, split, f"{split}{label}{i:04d}")
        for label, n in each.items()
        for i in range(n)
    ]


def made(rows: list[Sample]) -> Dataset:
    return Dataset("made", Path(), tuple(sorted({r.label for r in rows})), tuple(rows))


def sizes(rows: list[Sample] | tuple[Sample, ...]) -> dict[str, int]:
    return dict(Counter(row.split.value for row in rows))


def test_seventy_twenty_ten_in_every_class() -> None:
    rows = split_samples(samples(cat=100, dog=50), seed=0)
    assert sizes(rows) == {"train": 105, "validation": 30, "test": 15}
    cats = sizes([row for row in rows if row.label == "cat"])
    assert cats == {"train": 70, "validation": 20, "test": 10}


def test_small_classes_share_what_a_large_one_would_give() -> None:
    rows = split_samples(samples(**{f"class{i}": 2 for i in range(50)}), seed=0)
    assert sizes(rows) == {"train": 70, "validation": 20, "test": 10}
    assert len({row.label for row in rows if row.split == Split.TRAIN}) == 50


@given(st.lists(st.integers(2, 30), min_size=2, max_size=8), st.integers(0, 9))
def test_nothing_is_lost_and_every_class_is_learned(counts: list[int], seed: int) -> None:
    rows = samples(**{f"class{i}": n for i, n in enumerate(counts)})
    got = split_samples(rows, seed=seed)
    assert sorted(r.path for r in got) == sorted(r.path for r in rows)
    assert len({r.label for r in got if r.split == Split.TRAIN}) == len(counts)
    assert split_samples(rows[::-1], seed=seed) == got


def test_the_seed_decides_and_the_order_of_the_files_does_not() -> None:
    rows = samples(cat=40, dog=40)
    assert set(split_samples(rows, seed=1)) == set(split_samples(rows[::-1], seed=1))
    assert set(split_samples(rows, seed=1)) != set(split_samples(rows, seed=2))


def test_equal_pictures_stay_on_one_side() -> None:
    rows = samples(cat=40) + samples(dog=40)
    twins = [Sample(Path("copy", r.path.name), r.label, r.split, r.sha256) for r in rows]
    got = split_samples(rows + twins, seed=0)
    sides: dict[str, set[Split]] = {}
    for row in got:
        sides.setdefault(row.sha256, set()).add(row.split)
    assert all(len(side) == 1 for side in sides.values())


class TestWithSplits:
    def test_what_is_missing_is_carved_from_train(self) -> None:
        data = with_splits(made(samples(cat=100, dog=100)), seed=0)
        assert sizes(data.samples) == {
            "train": 130,
            "validation": 30,
            "calibration": 20,
            "test": 20,
        }
        assert all(all(labels.values()) for labels in data.counts().values())

    def test_what_is_there_stays(self) -> None:
        rows = samples(cat=100, dog=100) + samples(Split.TEST, cat=9, dog=9)
        data = with_splits(made(rows), seed=0)
        assert set(rows[200:]) == set(data.split("test"))
        assert sizes(data.samples) == {
            "train": 150,
            "validation": 30,
            "calibration": 20,
            "test": 18,
        }

    def test_all_four_stay_as_they_are(self) -> None:
        rows = [row for split in Split for row in samples(split, cat=2, dog=2)]
        assert set(with_splits(made(rows), seed=0).samples) == set(rows)

    def test_a_class_of_one_picture_stays_in_train(self) -> None:
        data = with_splits(made(samples(rare=1, cat=20, dog=20)), seed=0)
        assert [s.split for s in data.samples if s.label == "rare"] == [Split.TRAIN]

    def test_twice_is_once(self) -> None:
        data = with_splits(made(samples(cat=30, dog=30)), seed=3)
        assert with_splits(data, seed=4).split_fingerprint == data.split_fingerprint

    def test_no_train_split(self) -> None:
        with pytest.raises(DatasetError, match="'made' has no train split; it has test"):
            with_splits(made(samples(Split.TEST, cat=3, dog=3)), seed=0)

    def test_too_few_pictures(self) -> None:
        with pytest.raises(DatasetError, match=r"too few pictures \(2 to learn from\).*4 a class"):
            with_splits(made(samples(cat=1, dog=1)), seed=0)

    def test_four_a_class_are_enough_for_two_classes(self) -> None:
        with_splits(made(samples(cat=4, dog=4)), seed=0)

    def test_a_class_that_is_only_in_test(self) -> None:
        rows = samples(cat=30, dog=30) + samples(Split.TEST, cat=3, bird=3)
        with pytest.raises(DatasetError, match="needs a picture in train, but 'bird' has none"):
            with_splits(made(rows), seed=0)


def test_of_a_large_train_split_no_more_is_set_aside_than_is_of_use() -> None:
    samples = [
        Sample(
            Path(f"{i}.png"), "ab"[i % 2], Split.TRAIN if i < 60_000 else Split.TEST, f"{i:064x}"
        )
        for i in range(60_010)
    ]
    whole = with_splits(Dataset("large", Path(), ("a", "b"), tuple(samples)), seed=0)
    sizes = {split: sum(n.values()) for split, n in whole.counts().items()}
    assert sizes == {"train": 52_500, "validation": 5_000, "calibration": 2_500, "test": 10}
