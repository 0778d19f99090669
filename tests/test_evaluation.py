from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from eyevsai_core.catalog import load_dataset
from eyevsai_core.errors import ConfigError, DatasetError
from eyevsai_core.evaluation import Evaluation, evaluate_model, export_predictions
from eyevsai_core.testing import tiny_dataset

if TYPE_CHECKING:
    from pathlib import Path


class RedOrGreen:
    """Knows the tiny data set: red is across, green is down; says so with probability 0.9."""

    image_size = 16

    def __init__(self, classes: tuple[str, ...] = ("across", "down")) -> None:
        self.classes = classes

    def predict_proba(self, images: np.ndarray) -> np.ndarray:
        red = images[..., 0].mean(axis=(1, 2)) > images[..., 1].mean(axis=(1, 2))
        rows = np.full((len(images), len(self.classes)), 0.1 / (len(self.classes) - 1), np.float32)
        column = np.where(red, self.classes.index("across"), self.classes.index("down"))
        rows[np.arange(len(images)), column] = 0.9
        return rows


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tiny_dataset(tmp_path / "tiny")


def test_a_right_model_is_right(data: Path) -> None:
    seen: list[tuple[int, int]] = []
    found = evaluate_model(
        RedOrGreen(), load_dataset(data), progress=lambda done, total: seen.append((done, total))
    )
    assert found.metrics["accuracy"].value == 1
    assert found.confusion.tolist() == [[4, 0], [0, 4]]
    assert seen == [(8, 8)]
    assert found.mistakes(5) == []
    assert found.to_dict()["n"] == 8
    json.dumps(found.to_dict())


def test_classes_in_another_order_and_more_of_them_are_matched_by_name(data: Path) -> None:
    model = RedOrGreen(("zebra", "down", "across"))
    found = evaluate_model(model, load_dataset(data), split="validation")
    assert found.metrics["accuracy"].value == 1
    assert found.classes == ("zebra", "down", "across")
    assert set(found.labels) == {1, 2}


def test_a_label_that_the_model_does_not_know_is_an_error(data: Path) -> None:
    (data / "train" / "down").rename(data / "train" / "other")
    (data / "test" / "down").rename(data / "test" / "other")
    with pytest.raises(DatasetError, match="does not know the label 'other'"):
        evaluate_model(RedOrGreen(), load_dataset(data))


def test_a_split_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    root = tiny_dataset(tmp_path / "t")
    for split in ("validation", "calibration", "test"):
        (root / split).rename(tmp_path / split)
    with pytest.raises(DatasetError, match="has no 'test' split; it has train"):
        evaluate_model(RedOrGreen(), load_dataset(root))


@pytest.fixture
def mixed() -> Evaluation:
    rows = np.float32([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4]])
    return Evaluation("d", "test", ("a,b", "ü"), np.array([0, 0, 1, 1]), rows, ("1", "2", "3", "4"))


def test_mistakes_come_with_the_most_confident_first(mixed: Evaluation) -> None:
    assert mixed.mistakes(9) == [1, 3]
    assert mixed.mistakes(1) == [1]
    assert [row.recall.value for row in mixed.per_class] == [0.5, 0.5]


def test_predictions_as_csv(mixed: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    export_predictions(mixed, path)
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert [row["predicted"] for row in rows] == ["a,b", "ü", "ü", "a,b"]
    assert float(rows[0]["a,b"]) == pytest.approx(0.9)
    assert rows[1]["label"] == "a,b"


def test_predictions_as_jsonl(mixed: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    export_predictions(mixed, path)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert rows[2]["probabilities"]["ü"] == pytest.approx(0.7)


def test_predictions_as_anything_else_are_refused(mixed: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"as \.csv or \.jsonl"):
        export_predictions(mixed, tmp_path / "p.xlsx")
