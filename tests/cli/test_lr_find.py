from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Command = Callable[..., Any]

WORDS = ("lr-find", "mean", "--image-size", 32)


def test_says_a_rate_and_what_to_do_with_it(eyevsai: Command, data: Path) -> None:
    said = eyevsai(*WORDS, "--data", data)
    assert said.code == 0, said.err
    assert "mean/plain" in said.out
    assert "loss falls fastest" in said.out
    assert "eyevsai train mean/plain --data" in said.out
    assert "--learning-rate 0.0" in said.out


def test_as_json(eyevsai: Command, data: Path) -> None:
    said = eyevsai(*WORDS, "--data", data, "--json")
    assert said.json["steepest"] == pytest.approx(0.01)
    assert len(said.json["rates"]) == len(said.json["losses"]) == 25
    assert said.err == ""


@pytest.mark.parametrize(
    ("name", "start"), [("lr.svg", b"<svg"), ("lr.PNG", b"\x89PNG"), ("lr.csv", b"learning_rate,")]
)
def test_writes_the_curve(
    eyevsai: Command, data: Path, tmp_path: Path, name: str, start: bytes
) -> None:
    said = eyevsai(*WORDS, "--data", data, "--out", tmp_path / name)
    assert said.code == 0, said.err
    assert name in said.out
    assert (tmp_path / name).read_bytes().startswith(start)


def test_writes_the_numbers(eyevsai: Command, data: Path, tmp_path: Path) -> None:
    eyevsai(*WORDS, "--data", data, "--out", tmp_path / "lr.json")
    assert len(json.loads((tmp_path / "lr.json").read_text())["rates"]) == 25


def test_another_format_is_refused_before_training(
    eyevsai: Command, data: Path, tmp_path: Path
) -> None:
    said = eyevsai(*WORDS, "--data", data, "--out", tmp_path / "lr.svgg")
    assert said.code == 2
    assert "must end with one of .svg, .png, .csv, .json" in said.err
    assert "Did you mean '.svg'" in said.err


@pytest.mark.parametrize("words", [("lr-find",), ("lr-find", "mean")])
def test_without_data_it_says_what_to_say(eyevsai: Command, words: tuple[str, ...]) -> None:
    said = eyevsai(*words)
    assert said.code == 2
    assert "eyevsai lr-find deep-v1 --data doodles" in said.err


def test_help_shows_the_options_of_the_family(eyevsai: Command) -> None:
    said = eyevsai("lr-find", "mean", "--help")
    assert said.code == 0
    assert "--sharpness" in said.out
