"""What is looked at: data sets, runs, the installation."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from eyevsai_core import doctor
from eyevsai_core.doctor import Finding
from eyevsai_core.run import Run, list_runs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from eyevsai_core.families import FamilyInfo

    Command = Callable[..., Any]


def test_data_list(eyevsai: Command) -> None:
    assert "doodles" in eyevsai("data", "list").out
    (row,) = [
        r for r in eyevsai("data", "list", "--json").json["datasets"] if r["name"] == "doodles"
    ]
    assert row["pictures"] == 1700
    assert len(row["classes"]) == 20
    assert row["licence"]


def test_data_info(eyevsai: Command, data: Path) -> None:
    lines = [line.split() for line in eyevsai("data", "info", data).out.splitlines()]
    assert ["class", "train", "validation", "calibration", "test"] in lines
    assert ["across", "8", "4", "4", "4"] in lines
    assert ["all", "16", "8", "8", "8"] in lines
    plain = eyevsai("data", "info", data, "--json").json
    assert plain["counts"]["train"] == {"across": 8, "down": 8}
    assert len(plain["fingerprint"]) == 64


def test_data_check(eyevsai: Command, data: Path) -> None:
    said = eyevsai("data", "check", data)
    assert said.code == 0, said.out
    assert "✓ fit to learn from" in said.out
    assert "! few pictures to learn from" in said.out
    shutil.copy(data / "train/across/000.png", data / "test/across/leak.png")
    (data / "train/down/junk.png").write_text("junk")
    said = eyevsai("data", "check", data)
    assert said.code == 1
    assert said.out.count("✗ ") == 2
    said = eyevsai("data", "check", data, "--json")
    assert said.code == 1
    assert said.json["ok"] is False
    assert len(said.json["problems"]) == 2


@pytest.mark.parametrize("command", ["info", "check"])
def test_data_that_is_not_there(eyevsai: Command, command: str) -> None:
    said = eyevsai("data", command, "doodle")
    assert said.code == 1
    assert "Did you mean 'doodles'?" in said.err


def test_runs(eyevsai: Command, data: Path) -> None:
    assert "no runs yet" in eyevsai("runs", "list").out
    assert eyevsai("runs", "list", "--json").json == {"runs": []}
    assert "there is no run yet" in eyevsai("runs", "show").err
    eyevsai("train", "mean", "--data", data, "--image-size", 32)
    eyevsai("train", "mean", "--data", data, "--image-size", 32, "--fail", "interrupt")
    first, second = list_runs()
    untouched = Run.create(family="a", variant="b", dataset="c", config={})
    lines = eyevsai("runs", "list").out.splitlines()
    words = [line.split() for line in lines]
    assert [first.id, "ok", "mean/plain/tiny@1"] in words
    assert [second.id, "killed", "interrupted"] in words
    assert [untouched.id, "running"] in words
    assert eyevsai("runs", "show", first.id).out.startswith(f"{first.id}  ok")
    assert "History" not in eyevsai("runs", "show", untouched.id).out
    assert "eyevsai train --resume RUN" in lines[-1]
    assert len(eyevsai("runs", "list", "--limit", 1, "--json").json["runs"]) == 1


def test_one_run(eyevsai: Command, data: Path) -> None:
    eyevsai("train", "mean", "--data", data, "--image-size", 32, "--fail", "interrupt")
    (run,) = list_runs()
    for name in (run.id, run.folder, "last"):
        said = eyevsai("runs", "show", name)
        assert said.code == 0, said.err
        assert said.out.startswith(f"{run.id}  killed")
    assert f"eyevsai train --resume {run.id}" in said.out
    assert "train loss" in said.out
    assert "image_size  32" in said.out
    plain = eyevsai("runs", "show", "--json").json
    assert plain["state"] == "killed"
    assert plain["history"][0]["metrics"]["train_loss"] == 1
    assert plain["config"]["options"]["image_size"] == 32


def test_a_loss_that_is_no_number_is_null(eyevsai: Command) -> None:
    run = Run.create(family="a", variant="b", dataset="c", config={})
    run.report(1, 2, {"train_loss": float("nan"), "validation_loss": float("inf"), "note": "odd"})
    run.report(2, 2, {"train_loss": 0.5})
    history = eyevsai("runs", "show", run.id, "--json").json["history"]
    assert [row["metrics"] for row in history] == [
        {"train_loss": None, "validation_loss": None, "note": "odd"},
        {"train_loss": 0.5},
    ]
    assert "nan" in eyevsai("runs", "show", run.id).out


def test_a_damaged_run_is_a_row(eyevsai: Command, data: Path) -> None:
    eyevsai("train", "mean", "--data", data, "--image-size", 32, "--fail", "interrupt")
    (run,) = list_runs()
    (run.folder / "run.json").write_text("[")
    assert "damaged" in eyevsai("runs", "list").out


def test_doctor(
    eyevsai: Command, monkeypatch: pytest.MonkeyPatch, rows: tuple[FamilyInfo, ...]
) -> None:
    monkeypatch.setattr(doctor, "list_families", lambda: rows)
    said = eyevsai("doctor", "--json")
    found = {row["check"]: row for row in said.json["findings"]}
    assert found["inference"]["state"] == "ok"
    assert found["family mean"]["state"] == "ok"
    assert found["family odd"]["state"] == "fail"
    assert said.code == 1
    assert said.json["ok"] is False


@pytest.mark.parametrize(
    ("states", "code", "verdict"),
    [
        (["ok"], 0, "everything is here"),
        (["ok", "warn"], 0, "everything that is needed is here; 1 hint"),
        (["warn", "fail"], 1, "1 of these must be mended"),
    ],
)
def test_the_verdict_of_the_doctor(
    eyevsai: Command, monkeypatch: pytest.MonkeyPatch, states: list[str], code: int, verdict: str
) -> None:
    findings = [Finding(f"check {n}", state, "text") for n, state in enumerate(states)]
    monkeypatch.setattr(doctor, "examine", lambda: findings)
    said = eyevsai("doctor")
    assert said.code == code
    assert verdict in said.out
    assert "check 0" in said.out
