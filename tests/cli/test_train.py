from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eyevsai_core.errors import OutputError
from eyevsai_core.model_registry import ModelRegistry
from eyevsai_core.run import RunState, list_runs

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., Any]

WORDS = ("train", "mean", "--image-size", 32)


def test_trains_and_says_how_good_where_and_what_next(eyevsai: Command, data: Path) -> None:
    said = eyevsai(*WORDS, "--data", data, "--name", "production")
    assert said.code == 0, said.err
    assert "mean/plain/tiny@1" in said.out
    assert "accuracy" in said.out
    assert "eyevsai predict --model mean/plain/tiny@1 PICTURE" in said.out
    assert said.err == ""
    assert ModelRegistry().resolve("mean/plain/tiny@production").version == 1


def test_as_json(eyevsai: Command, data: Path, tmp_path: Path) -> None:
    registry, copy = tmp_path / "models", tmp_path / "copy"
    places = ("--registry", registry, "--out", copy)
    said = eyevsai(*WORDS, "--data", data, "--seed", 5, "--json", *places)
    assert said.json["ref"] == "mean/plain/tiny@1"
    assert said.json["config"]["seed"] == 5
    assert said.json["metrics"]["test"]["accuracy"]["n"] == 8
    assert Path(said.json["path"]).is_relative_to(registry)
    assert Path(said.json["report"]).is_file()
    assert (copy / "model.onnx").is_file()
    assert said.err == ""


def test_options_by_name_by_pair_and_by_file(
    eyevsai: Command, data: Path, tmp_path: Path
) -> None:
    file = tmp_path / "options.toml"
    file.write_text("sharpness = 5.0\nimage_size = 16\nseed = 3\n")

    def config(*words: object) -> dict[str, Any]:
        said = eyevsai("train", "mean", "--data", data, "--config", file, "--json", *words)
        assert said.code == 0, said.out
        return dict(said.json["config"])

    assert {"sharpness": 5.0, "image_size": 16, "seed": 3}.items() <= config().items()
    assert config("-o", "sharpness=7")["sharpness"] == 7
    assert config("-o", "sharpness=7", "--sharpness", 9)["sharpness"] == 9
    assert config("--sharpness=9", "--seed=4")["seed"] == 4


def test_the_family_may_come_after_its_options(eyevsai: Command, data: Path) -> None:
    words = ("train", "--sharpness", 9, "--image-size", 32, "mean/plain", "--data", data)
    assert eyevsai(*words, "--json").json["config"]["sharpness"] == 9


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["train"], 2, "say what to train"),
        (["train", "mean"], 2, "say on what to train"),
        (["train", "maen", "--data", "x"], 1, "Did you mean 'mean'?"),
        (["train", "maen", "--help"], 1, "Did you mean 'mean'?"),
        (["train", "mean/plane", "--data", "x"], 1, "Did you mean 'plain'?"),
        (["train", "deep-v1", "--epochs", "3"], 1, "pip install eyevsai-deep-v1"),
        (["train", "mean", "--data", "x", "--sharpnes", "3"], 2, "Did you mean '--sharpness'?"),
        (["train", "mean", "--data", "x", "--sharpness", "0"], 2, "0.1..1000"),
        (["train", "mean", "--data", "x", "--sharpness", "a"], 2, "float"),
        (["train", "mean", "--data", "x", "-o", "sharpnes=3"], 2, "Did you mean 'sharpness'?"),
        (["train", "mean", "--data", "x", "-o", "sharpness"], 2, "name=value"),
        (["train", "mean", "--data", "x", "--config", "no.toml"], 2, "no.toml"),
        (["train", "mean", "--data", "x", "--calibration", "plat"], 2, "'platt'"),
        (["train", "mean", "--data", "x", "--name", "Best!"], 2, "alias"),
        (["train", "mean", "--data", "x"], 1, "no data set or path 'x'"),
        (["train", "--resume"], 1, "no interrupted or failed run"),
        (["train", "--resume", "nothing"], 1, "no run 'nothing'"),
    ],
)
def test_mistakes(eyevsai: Command, words: list[str], code: int, message: str) -> None:
    said = eyevsai(*words)
    assert said.code == code, said.err
    assert said.out == ""
    assert message in said.err
    assert list_runs() == []


def test_help_of_a_family_shows_every_option_with_range_and_default(eyevsai: Command) -> None:
    said = eyevsai("train", "mean", "--help")
    assert said.code == 0
    row = next(line for line in said.out.splitlines() if "--sharpness" in line)
    assert "0.1 to 1000" in row
    assert " 20 " in row
    row = next(line for line in said.out.splitlines() if "--image-size" in line)
    assert "8 to 1024 pixels or none" in row
    assert "mean/plain" in said.out
    assert "--sharpness" not in eyevsai("train", "--help").out


def test_interrupted_says_how_to_go_on_and_goes_on(eyevsai: Command, data: Path) -> None:
    stopped = eyevsai(*WORDS, "--data", data, "--fail", "interrupt")
    (run,) = list_runs()
    assert stopped.code == 130
    assert stopped.err == f"interrupted; go on with: eyevsai train --resume {run.id}\n"
    assert run.state is RunState.KILLED
    assert eyevsai("runs", "list", "--json").json["runs"][0]["state"] == "killed"
    said = eyevsai("train", "mean", "--data", data, "--resume", "--json")
    assert said.code == 0
    assert said.json["run"] == run.id
    assert said.err == f"resuming {run.id}\n"
    again = eyevsai("train", "--resume", run.id)
    assert again.code == 1
    assert "is finished" in again.err


def test_resuming_something_else_is_refused(eyevsai: Command, data: Path) -> None:
    eyevsai(*WORDS, "--data", data, "--fail", "interrupt")
    said = eyevsai("train", "mean", "--data", "other", "--sharpness", 3, "--resume")
    assert said.code == 2
    assert "--sharpness 3.0, --data other" in said.err


def test_a_full_disk_says_how_to_go_on(
    eyevsai: Command, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def register(*_: object) -> None:
        raise OutputError("cannot register the model: No space left on device")

    monkeypatch.setattr(ModelRegistry, "register_model", register)
    said = eyevsai(*WORDS, "--data", data)
    (run,) = list_runs()
    assert said.code == 1
    assert f"eyevsai train --resume {run.id}" in said.err
    assert "error: cannot register the model: No space left on device" in said.err


STOPPED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from eyevsai_core import families
import mean_family
info = families.FamilyInfo(name="mean", status="ready", distribution="x", family=mean_family.FAMILY)
families.list_families = lambda: (info,)
fit = mean_family.MeanTrainer.fit
def stopped(self, train, validation, context):
    os.kill(os.getpid(), signal.{signal})
    return fit(self, train, validation, context)
mean_family.MeanTrainer.fit = stopped
from eyevsai_core.cli.main import main
main()
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_leaves_a_killed_run(data: Path, name: str) -> None:
    code = STOPPED.format(tests=str(Path(__file__).parents[1]), signal=name)
    done = subprocess.run(
        [sys.executable, "-c", code, "train", "mean", "--data", str(data), "--json"],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
        env=os.environ,
    )
    (run,) = list_runs()
    assert done.returncode == 130, done.stderr
    assert done.stdout == ""
    assert done.stderr == f"interrupted; go on with: eyevsai train --resume {run.id}\n"
    assert run.state is RunState.KILLED
    assert signal.getsignal(signal.SIGINT)
