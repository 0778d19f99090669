"""What is done with a trained model: predict, explain, evaluate, export."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console, Group

from eyevsai_core.cli import evaluate, explain
from eyevsai_core.evaluation import Evaluation
from eyevsai_core.run import list_runs

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("model")


def test_predict_shows_the_best_labels(
    eyevsai: Command, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(picture.parent)
    picture = Path(picture.name)
    said = eyevsai("predict", picture)
    assert said.code == 0
    assert said.err == "answers of mean/plain/tiny@1\n"
    first, second = said.out.splitlines()[1:]
    assert str(picture) in first
    assert "across" in first
    assert first.rstrip().endswith("%")
    assert "down" in second
    assert len(eyevsai("predict", picture, "--top", 1).out.splitlines()) == 2


def test_predict_as_json(eyevsai: Command, picture: Path, model: dict[str, Any]) -> None:
    said = eyevsai("predict", picture, "--model", model["path"], "--json").json
    assert said["model"] == "mean/plain/tiny@1"
    (answer,) = said["predictions"]
    assert answer["file"] == str(picture)
    assert answer["label"] == "across"
    assert answer["confidence"] == answer["top"][0]["probability"]
    assert sum(row["probability"] for row in answer["top"]) == pytest.approx(1)


def test_predict_with_a_folder_that_is_a_model(
    eyevsai: Command, picture: Path, model: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(model["path"]).parent)
    said = eyevsai("predict", picture, "--model", Path(model["path"]).name, "--json")
    assert said.json["model"] == "mean/plain/tiny@1"


def test_predict_folders_and_stdin(eyevsai: Command, data: Path, picture: Path) -> None:
    said = eyevsai("predict", data / "test", "--json").json["predictions"]
    assert [row["file"] for row in said] == [str(p) for p in sorted((data / "test").rglob("*.png"))]
    said = eyevsai("predict", "-", "--json", stdin=picture.read_bytes())
    assert said.json["predictions"][0]["label"] == "across"


def test_predict_goes_on_after_a_picture_that_cannot_be_read(
    eyevsai: Command, picture: Path, tmp_path: Path
) -> None:
    (tmp_path / "junk.jpg").write_text("no picture")
    said = eyevsai("predict", tmp_path / "junk.jpg", picture, tmp_path / "none.png")
    assert said.code == 1
    assert "across" in said.out
    assert said.err.count("error: ") == 2
    assert eyevsai("predict", tmp_path / "junk.jpg").out == ""
    said = eyevsai("predict", tmp_path / "junk.jpg", picture, "--json")
    assert said.code == 1
    assert "junk.jpg" in said.json["predictions"][0]["error"]
    assert said.json["predictions"][1]["label"] == "across"


def test_predict_an_empty_folder(eyevsai: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = eyevsai("predict", tmp_path / "empty")
    assert said.code == 1
    assert "there is no picture in the folder" in said.err


def test_predict_with_a_file_that_is_no_model(
    eyevsai: Command, picture: Path, tmp_path: Path
) -> None:
    (tmp_path / "model.onnx").write_text("hello")
    said = eyevsai("predict", picture, "--model", tmp_path / "model.onnx")
    assert said.code == 1
    assert said.err.startswith("error: ")
    assert eyevsai("predict", picture, "--model", "./nothing.onnx").code == 1


def test_a_hostile_name_does_not_reach_the_terminal(
    eyevsai: Command, picture: Path, tmp_path: Path
) -> None:
    hostile = tmp_path / "a\x1b[31m[bold]b.png"
    hostile.write_bytes(picture.read_bytes())
    said = eyevsai("predict", hostile)
    assert "\x1b" not in said.out
    assert "[bold]" in said.out.replace("\n", "").replace(" ", "")


def test_explain(
    eyevsai: Command, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = eyevsai("explain", picture)
    assert said.code == 0, said.err
    assert said.out.startswith("across ")
    with Image.open(f"{picture.stem}-explained.png") as drawn:
        assert drawn.size == (384, 384)
    words = ("--method", "rise", "--samples", 50, "--label", "down", "--out", "why.png")
    said = eyevsai("explain", picture, *words, "--side", 64, "--json").json
    assert said["label"] == "down"
    assert len(said["heatmap"]) == 32
    with Image.open("why.png") as drawn:
        assert drawn.size == (64, 64)


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--label", "left"], "'left'"), (["--method", "lime"], "occlusion, rise")],
)
def test_explain_mistakes(eyevsai: Command, picture: Path, words: list[str], message: str) -> None:
    said = eyevsai("explain", picture, *words)
    assert said.code == 2
    assert message in said.err


def test_evaluate(eyevsai: Command, data: Path, tmp_path: Path, model: dict[str, Any]) -> None:
    answers, report = tmp_path / "answers.csv", tmp_path / "report.html"
    words = ("mean/plain/tiny", "--data", data, "--predictions", answers, "--report", report)
    said = eyevsai("evaluate", *words)
    assert said.code == 0, said.err
    assert said.out.startswith("mean/plain/tiny@1 on tiny, test\n8 pictures, 2 classes\n")
    assert "log loss" in said.out
    assert len(list(csv.DictReader(answers.read_text().splitlines()))) == 8
    assert "</html>" in report.read_text()
    plain = eyevsai("evaluate", "mean", "--data", data, "--json").json
    assert plain["metrics"]["accuracy"] == model["metrics"]["test"]["accuracy"]


def test_the_report_of_an_evaluation_has_the_curves_of_the_model_s_own_run(
    eyevsai: Command, data: Path, tmp_path: Path
) -> None:
    eyevsai("train", "mean", "--data", data, "--image-size", 32)
    report = tmp_path / "report.html"
    assert eyevsai("evaluate", "mean", "--data", data, "--report", report).code == 0
    assert 'id="training"' in report.read_text()
    (run,) = list_runs()
    shutil.rmtree(run.folder)
    assert eyevsai("evaluate", "mean", "--data", data, "--report", report).code == 0
    assert "#training" not in report.read_text()
    assert 'id="training"' not in report.read_text()


@pytest.mark.parametrize(("split", "n"), [("train", 16), ("validation", 8), ("all", 40)])
def test_evaluate_other_splits(eyevsai: Command, data: Path, split: str, n: int) -> None:
    said = eyevsai("evaluate", "mean", "--data", data, "--split", split, "--json").json
    assert (said["split"], said["n"]) == (split, n)


def test_evaluate_mistakes(eyevsai: Command, data: Path, model: dict[str, Any]) -> None:
    said = eyevsai("evaluate", "mean")
    assert said.code == 2
    assert "say where the pictures are with --data" in said.err
    said = eyevsai("evaluate", "mean", "--data", data, "--split", "tset")
    assert said.code == 2
    assert "train, validation, calibration, test" in said.err
    artefact = Path(model["path"]) / "model.onnx"
    said = eyevsai("evaluate", artefact)
    assert said.code == 2
    assert "has no card" in said.err
    said = eyevsai("evaluate", artefact, "--data", data, "--report", "r.html")
    assert said.code == 2
    assert "a report needs the model's card" in said.err


def test_export_every_format(eyevsai: Command, data: Path, tmp_path: Path) -> None:
    def export(format_: str, name: str) -> Path:
        words = ("--format", format_, "--out", tmp_path / name, "--data", data)
        said = eyevsai("export", "mean", *words, "--json")
        assert said.code == 0, said.out
        assert said.json["ref"] == "mean/plain/tiny@1"
        assert said.json["bytes"] > 0
        return Path(said.json["out"])

    alone = export("onnx", "model.onnx")
    assert eyevsai("predict", data / "test", "--model", alone).code == 0
    assert (export("native", "native") / "means.npy").is_file()
    assert len(export("predictions", "answers.jsonl").read_text().splitlines()) == 8
    assert json.loads(export("card", "card.json").read_text())["ref"] == "mean/plain/tiny@1"
    assert export("card", "card.md").read_text().startswith("# mean/plain/tiny@1")
    assert "</html>" in export("report", "report.html").read_text()


def test_export_into_a_folder_and_over_a_file(
    eyevsai: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert eyevsai("export", "mean").out.startswith("✓ model.onnx (")
    said = eyevsai("export", "mean")
    assert said.code == 1
    assert "'model.onnx' exists" in said.err
    assert eyevsai("export", "mean", "--force").code == 0
    assert eyevsai("export", "mean", "--format", "native").code == 0
    assert (tmp_path / "mean-plain-tiny-1" / "rest.json").is_file()
    assert eyevsai("export", "mean", "--format", "native", "--force").code == 0


def test_export_mistakes(eyevsai: Command, tmp_path: Path, model: dict[str, Any]) -> None:
    said = eyevsai("export", "mean", "--format", "onyx")
    assert said.code == 2
    assert "Did you mean 'onnx'?" in said.err
    said = eyevsai("export", "mean", "--format", "predictions", "--out", tmp_path / "a.csv")
    assert said.code == 2
    assert "--data" in said.err
    report = Path(model["path"]) / "report.html"
    report.chmod(0o644)
    report.write_text("changed")
    said = eyevsai("export", "mean", "--out", tmp_path / "model.onnx")
    assert said.code == 1
    assert "is damaged: report.html was changed" in said.err


def test_what_is_taken_for_what(eyevsai: Command, data: Path) -> None:
    for split in data.iterdir():
        (split / "across").rename(split / "x")
        (split / "down").rename(split / "across")
        (split / "x").rename(split / "down")
    said = eyevsai("evaluate", "mean", "--data", data).out
    title, header, first, second = said.splitlines()[-4:]
    assert title == "Most often mixed up"
    assert header.split() == ["is", "taken", "for", "times"]
    assert first.split() == ["across", "down", "4"]
    assert second.split() == ["down", "across", "4"]


def test_classes_without_pictures_and_many_classes() -> None:
    labels = np.arange(12)
    found = Evaluation(
        dataset="x",
        split="test",
        classes=tuple(f"class {k}" for k in range(13)),
        labels=labels,
        probabilities=np.eye(13, dtype=np.float32)[labels],
        paths=("a.png",) * 12,
    )
    console = Console(width=100)
    with console.capture() as page:
        console.print(Group(*evaluate._classes(found), *evaluate._mixed_up(found)))
    assert "8 of 12" in page.get()
    assert "class 12" not in page.get()
    assert "mixed up" not in page.get()


def test_the_small_picture_of_an_explanation(
    eyevsai: Command, picture: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pixels = np.zeros((4, 2, 3), np.uint8)
    pixels[0, 0] = 255, 1, 2
    drawn = explain._small(pixels)
    assert drawn.plain == "▀▀\n▀▀\n"
    assert drawn.spans[0].style == "rgb(255,1,2) on rgb(0,0,0)"
    drawn = explain._small(pixels[:3])
    assert drawn.plain == "▀▀\n▀▀\n"
    assert drawn.spans[-1].style == "rgb(0,0,0)"
    monkeypatch.setattr(explain, "out", lambda: Console(force_terminal=True, width=100))
    said = eyevsai("explain", picture, "--model", "mean", "--out", tmp_path / "why.png")
    assert said.out.count("▀" * 36) == 18
    with Image.open(picture) as square:
        square.resize((48, 36)).save(tmp_path / "wide.png")  # 27 rows of 36
    said = eyevsai("explain", tmp_path / "wide.png", "--model", "mean", "--out", tmp_path / "w.png")
    assert said.code == 0
    assert said.out.count("▀" * 36) == 14
