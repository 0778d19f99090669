from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from making import CLASSES, colour_artefact, one_colour
from PIL import Image

from eyevsai_core import load_dataset
from eyevsai_core.classifier import OnnxClassifier
from eyevsai_core.errors import ConfigError, DatasetError, OutputError
from eyevsai_core.evaluation import (
    Evaluation,
    evaluate_model,
    evaluate_source,
    export_predictions,
)
from eyevsai_core.pixels import PixelCache

if TYPE_CHECKING:
    from eyevsai_core.dataset import Dataset

SPLITS = {"train": 4, "validation": 2, "calibration": 2, "test": 3}


@pytest.fixture
def paint(tmp_path: Path) -> Path:
    """Pictures of one colour each, in four splits; one blue test picture says it is green."""
    for split, count in SPLITS.items():
        for channel, label in enumerate(CLASSES):
            folder = tmp_path / "paint" / split / label
            folder.mkdir(parents=True)
            for k in range(count):
                picture = one_colour(channel, 10 + k, 20 + len(split))
                Image.fromarray(picture).save(folder / f"{k}.png")
    liar = one_colour(2, 30, 30)
    Image.fromarray(liar).save(tmp_path / "paint" / "test" / "green" / "liar.png")
    return tmp_path / "paint"


@pytest.fixture
def model() -> OnnxClassifier:
    return OnnxClassifier.from_bytes(colour_artefact().SerializeToString())


@pytest.fixture
def dataset(paint: Path) -> Dataset:
    return load_dataset(paint)


@pytest.fixture
def evaluation(model: OnnxClassifier, dataset: Dataset) -> Evaluation:
    return evaluate_model(model, dataset)


def test_numbers_by_hand(evaluation: Evaluation) -> None:
    assert (evaluation.dataset, evaluation.split) == ("paint", "test")
    assert evaluation.metrics["accuracy"].value == pytest.approx(9 / 10)
    assert evaluation.metrics["accuracy"].n == 10
    assert evaluation.confusion.tolist() == [[3, 0, 0], [0, 3, 1], [0, 0, 3]]
    green = evaluation.per_class[1]
    assert (green.label, green.support, green.recall.value) == ("green", 4, 0.75)
    (mistake,) = evaluation.mistakes(5)
    assert evaluation.paths[mistake].endswith("liar.png")
    assert evaluation.predicted[mistake] == 2


def test_columns_are_the_model_s_and_not_the_data_set_s(evaluation: Evaluation) -> None:
    # The data set sorts its classes: blue, green, red.
    assert evaluation.classes == CLASSES
    for path, label in zip(evaluation.paths, evaluation.labels, strict=True):
        assert Path(path).parent.name == CLASSES[label]


def test_the_cache_gives_the_answers_that_the_original_files_do(
    model: OnnxClassifier, evaluation: Evaluation
) -> None:
    from_files = model.predict_proba([Path(path) for path in evaluation.paths])
    np.testing.assert_allclose(evaluation.probabilities, from_files, atol=1e-6)


def test_a_source_does_for_a_data_set(
    model: OnnxClassifier, paint: Path, evaluation: Evaluation
) -> None:
    steps: list[tuple[int, int]] = []
    again = evaluate_model(model, paint, progress=lambda *step: steps.append(step))
    assert again.to_dict() == evaluation.to_dict()
    assert steps[-1] == (10, 10)
    assert evaluate_model(model, str(paint)).paths == evaluation.paths


def test_only_the_pictures_of_the_split_are_read(
    model: OnnxClassifier, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []
    original = PixelCache.open.__func__  # type: ignore[attr-defined]

    def count(cls: type, given: Dataset, *args: object, **more: object) -> PixelCache:
        opened.append(len(given.samples))
        return original(cls, given, *args, **more)

    monkeypatch.setattr(PixelCache, "open", classmethod(count))
    evaluate_model(model, dataset, split="validation")
    evaluate_source(model, dataset, split="test")
    assert opened == [6, 10]


def test_an_open_cache_is_used(model: OnnxClassifier, dataset: Dataset) -> None:
    cache = PixelCache.open(dataset, model.image_size)
    steps: list[tuple[int, int]] = []
    found = evaluate_model(
        model, dataset, pixels=cache, progress=lambda done, total: steps.append((done, total))
    )
    assert found.metrics["accuracy"].value == 0.9
    assert steps == [(10, 10)]


def test_a_part_of_the_model_s_classes_is_enough(model: OnnxClassifier, paint: Path) -> None:
    table = paint.parent / "some.csv"
    rows = ["path,label,split"]
    for split in ("train", "test"):
        rows += [
            f"paint/{split}/{label}/{k}.png,{label},{split}"
            for label in ("red", "blue")
            for k in range(3)
        ]
    table.write_text("\n".join(rows))
    found = evaluate_model(model, table)
    assert found.classes == CLASSES
    assert found.metrics["balanced_accuracy"].value == 1
    assert [row.support for row in found.per_class] == [3, 0, 3]


def test_all_takes_every_picture(model: OnnxClassifier, paint: Path) -> None:
    stages: set[str] = set()
    found, pixels = evaluate_source(
        model, paint, split="all", progress=lambda stage, *_: stages.add(stage)
    )
    assert found.split == "all"
    assert len(found.labels) == len(pixels) == 34
    assert stages == {"decode", "evaluate"}


def test_a_folder_without_splits_is_split_as_training_does(
    model: OnnxClassifier, paint: Path
) -> None:
    (paint.parent / "flat").mkdir()
    for label in CLASSES:
        folder = paint.parent / "flat" / label
        folder.mkdir()
        for k in range(12):
            Image.fromarray(one_colour(CLASSES.index(label), 5 + k, 7)).save(folder / f"{k}.png")
    parts = [
        set(evaluate_model(model, paint.parent / "flat", split=split).paths)
        for split in ("train", "validation", "calibration", "test")
    ]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 36


def test_labels_that_the_model_does_not_know(model: OnnxClassifier, paint: Path) -> None:
    for split in SPLITS:
        (paint / split / "red").rename(paint / split / "pink")
    message = "'paint' has 1 of 3 labels that the model does not know: 'pink'; it knows 'red'"
    with pytest.raises(DatasetError, match=message):
        evaluate_model(model, load_dataset(paint))
    with pytest.raises(DatasetError, match=message):
        evaluate_source(model, paint)


def test_a_hundred_unknown_labels_are_not_all_listed(
    model: OnnxClassifier, dataset: Dataset
) -> None:
    many = replace(dataset, classes=tuple(f"c{i}" for i in range(100)))
    with pytest.raises(DatasetError, match=r"100 of 100 labels.*'c7' and 92 more; it knows"):
        evaluate_model(model, many)


def test_splits_that_are_not_there(model: OnnxClassifier, dataset: Dataset) -> None:
    with pytest.raises(
        ConfigError, match=r"split must be one of train, .*, but got 'tset'.*'test'"
    ):
        evaluate_model(model, dataset, split="tset")
    with pytest.raises(ConfigError, match=r"split must be one of all, .*, but got 'every'"):
        evaluate_source(model, dataset, split="every")
    without = replace(dataset, samples=dataset.split("train"))
    with pytest.raises(DatasetError, match="'paint' has no 'test' split; it has train"):
        evaluate_model(model, without)


def test_unreadable_pictures_are_left_out_when_allowed(model: OnnxClassifier, paint: Path) -> None:
    (paint / "test" / "red" / "0.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="1 of 10 pictures cannot be read"):
        evaluate_model(model, load_dataset(paint))
    found = evaluate_model(model, load_dataset(paint), allow_unreadable=True)
    assert len(found.labels) == len(found.paths) == 9


def test_what_is_saved_is_loaded_to_the_bit(evaluation: Evaluation, tmp_path: Path) -> None:
    odd = replace(
        evaluation,
        classes=('a "quoted", one', "path", "ünïcödé\nline"),
        paths=(*evaluation.paths[:-1], "not utf-8 \udcff.png"),
        probabilities=np.random.default_rng(0).dirichlet(np.ones(3), 10).astype(np.float32),
    )
    odd.save(tmp_path / "saved")
    again = Evaluation.load(tmp_path / "saved")
    np.testing.assert_array_equal(again.probabilities, odd.probabilities)
    np.testing.assert_array_equal(again.labels, odd.labels)
    assert (again.paths, again.classes) == (odd.paths, odd.classes)
    assert again.to_dict() == odd.to_dict()


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("evaluation.json", None),
        ("evaluation.json", "{"),
        ("evaluation.json", "[]"),
        ("predictions.csv", None),
        ("predictions.csv", "path,label\nx,red\n"),
        ("predictions.csv", "path,label\nx,nobody,red,1,1,0,0\n"),
        ("predictions.csv", "path,label\n"),
    ],
)
def test_a_damaged_evaluation(
    evaluation: Evaluation, tmp_path: Path, file: str, content: str | None
) -> None:
    evaluation.save(tmp_path / "saved")
    place = tmp_path / "saved" / file
    place.unlink()
    if content is not None:
        place.write_text(content)
    with pytest.raises(DatasetError, match=r"must hold evaluation\.json and predictions.csv"):
        Evaluation.load(tmp_path / "saved")


def test_numbers_are_json(evaluation: Evaluation) -> None:
    numbers = json.loads(json.dumps(evaluation.to_dict()))
    assert numbers["n"] == 10
    assert set(numbers["metrics"]["accuracy"]) == {"value", "low", "high", "n"}
    assert numbers["per_class"][0]["label"] == "red"


def test_predictions_as_csv(evaluation: Evaluation, tmp_path: Path) -> None:
    export_predictions(evaluation, tmp_path / "answers.csv")
    with (tmp_path / "answers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "label", "predicted", "confidence", *CLASSES]
    assert len(rows) == 10
    for i, row in enumerate(rows):
        best = max(CLASSES, key=lambda label, row=row: float(row[label]))
        assert row["predicted"] == best
        assert np.float32(row["confidence"]) == evaluation.probabilities[i].max()


def test_predictions_as_json_lines(evaluation: Evaluation, tmp_path: Path) -> None:
    export_predictions(evaluation, tmp_path / "answers.jsonl")
    lines = (tmp_path / "answers.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    assert len(lines) == 10
    assert set(first) == {"path", "label", "predicted", "confidence", "probabilities"}
    assert first["probabilities"][first["predicted"]] == first["confidence"]


def test_predictions_in_another_format(evaluation: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"as .csv or .jsonl, but got '.*answers.txt'"):
        export_predictions(evaluation, tmp_path / "answers.txt")


def test_predictions_that_cannot_be_written(evaluation: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"answers\.csv"):
        export_predictions(evaluation, tmp_path / "file" / "answers.csv")
