from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eyevsai_core import families, training
from eyevsai_core.config import TrainConfig, option
from eyevsai_core.errors import DatasetError, OutputError
from eyevsai_core.families import FamilyInfo
from eyevsai_core.model_registry import ModelRegistry
from eyevsai_core.run import Run, RunState, list_runs

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


def test_continues_from_a_model(eyevsai: Command, data: Path) -> None:
    first = eyevsai(*WORDS, "--data", data, "--json").json
    second = eyevsai("train", "mean", "--data", data, "--from", first["ref"], "--json").json
    assert ModelRegistry().card(ModelRegistry().resolve(second["ref"])).started_from == {
        "ref": first["ref"],
        "card_digest": ModelRegistry().card(ModelRegistry().resolve(first["ref"])).digest,
    }


def test_other_processes_assist_and_say_nothing(
    eyevsai: Command, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[tuple[Any, ...]] = []
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(training, "assist_training", lambda *a, **_: called.append(a))
    said = eyevsai(*WORDS, "--data", data)
    assert (said.code, said.out, said.err) == (0, "", "")
    assert called == [("mean/plain", str(data))]


def test_other_processes_assist_a_resumed_run(
    eyevsai: Command, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[Run] = []
    eyevsai(*WORDS, "--data", data, "--fail", "interrupt")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(training, "assist_resuming", called.append)
    assert eyevsai("train", "--resume").code == 0
    assert [run.id for run in called] == [run.id for run in list_runs()]


@pytest.fixture
def asked(eyevsai: Command, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Return the options that training would be asked for, without training."""
    given: dict[str, Any] = {}

    def train_model(*_: object, config: dict[str, Any], **rest: object) -> None:
        given.update(config=config, **rest)
        raise DatasetError("enough")

    monkeypatch.setattr(training, "train_model", train_model)

    def ask(*words: object) -> dict[str, Any]:
        given.clear()
        said = eyevsai("train", *words)
        assert said.err == "error: enough\n"
        return dict(given["config"])

    return ask


def test_options_by_name_by_pair_and_by_file(asked: Command, tmp_path: Path) -> None:
    file = tmp_path / "options.toml"
    file.write_text('sharpness = 5.0\nimage_size = "none"\nseed = 3\n')
    words = ("mean", "--data", "x", "--config", file)
    assert asked(*words) == {"sharpness": 5.0, "image_size": None, "seed": 3}
    assert asked(*words, "-o", "sharpness=7")["sharpness"] == 7
    assert asked(*words, "-o", "sharpness=7", "--sharpness", 9)["sharpness"] == 9
    assert asked(*words, "-o", "seed=8")["seed"] == 8
    assert asked(*words, "-o", "seed=8", "--seed=9")["seed"] == 9


@pytest.mark.parametrize(
    "words",
    [
        ["--sharpness", "9", "mean/plain", "--data", "x"],
        ["--data", "mean", "--sharpness=9", "mean"],
        ["mean", "--data=x", "--sharpness", "9"],
    ],
)
def test_the_family_may_stand_anywhere(asked: Command, words: list[str]) -> None:
    assert asked(*words) == {"sharpness": 9.0}


def test_yes_no_options_are_flags(asked: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(TrainConfig):
        mirror: bool = option(False, help="learn from mirrored pictures too")
        flip: bool | None = option(None, help="chosen unless said")
        data: str = option("own", help="has the name of an option of `train`")

    family = replace(sys.modules["mean_family"].FAMILY, config=Config)
    info = FamilyInfo(name="mean", status="ready", distribution="x", family=family)
    monkeypatch.setattr(families, "list_families", lambda: (info,))
    assert asked("mean", "--data", "x", "--mirror", "--no-flip") == {"mirror": True, "flip": False}
    assert asked("mean", "--data", "x", "-o", "flip=none", "-o", "data=y") == {
        "flip": None,
        "data": "y",
    }


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


def test_the_table_of_options_says_every_kind_of_range(
    eyevsai: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(TrainConfig):
        flip: bool = option(True, help="mirror")
        kernel: str = option("rbf", help="kind", choices=("rbf", "linear"))
        steps: int = option(1, help="how many", low=1, unit="steps")
        rate: float | None = option(1e-4, help="how fast", low=1e-6, high=1e7)
        title: str = option("", help="name")

    family = replace(sys.modules["mean_family"].FAMILY, config=Config)
    info = FamilyInfo(name="mean", status="ready", distribution="x", family=family)
    monkeypatch.setattr(families, "list_families", lambda: (info,))
    page = eyevsai("train", "mean", "--help").out
    lines = {line.split()[0]: " ".join(line.split()) for line in page.splitlines() if "--" in line}
    assert lines["--[no-]flip"] == "--[no-]flip yes, no yes mirror"
    assert lines["--kernel"] == "--kernel rbf, linear rbf kind"
    assert lines["--steps"] == "--steps at least 1 steps 1 how many"
    assert lines["--rate"] == "--rate 1e-06 to 10000000 or none 0.0001 how fast"
    assert lines["--title"] == "--title text name"


def test_interrupted_before_the_run_began(
    eyevsai: Command, monkeypatch: pytest.MonkeyPatch, data: Path
) -> None:
    errors: list[BaseException] = [KeyboardInterrupt(), OutputError("full")]

    def train_model(*_: object, **__: object) -> None:
        raise errors.pop(0)

    monkeypatch.setattr(training, "train_model", train_model)
    old = Run.create(family="mean", variant="plain", dataset="tiny", config={})
    (old.folder / "run.json").write_text("[")
    said = eyevsai("train", "mean", "--data", data)
    assert (said.code, said.err) == (130, "interrupted\n")
    assert eyevsai("train", "mean", "--data", data).err == "error: full\n"


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


def test_what_makes_results_wrong_is_refused_unless_allowed(eyevsai: Command, data: Path) -> None:
    (first, *_) = sorted((data / "train" / "across").iterdir())
    (data / "train" / "down" / "same.png").write_bytes(first.read_bytes())
    (data / "test" / "across" / "leak.png").write_bytes(first.read_bytes())
    (data / "train" / "down" / "text.jpg").write_text("this is text")
    words = [*WORDS, "--data", data]
    for message, flag in (
        ("a picture must have one label", "--allow-conflicts"),
        ("the test split must share no picture", "--allow-leaks"),
        ("cannot be read", "--allow-unreadable"),
    ):
        said = eyevsai(*words)
        assert said.code == 1
        assert message in said.err
        assert flag in said.err
        words.append(flag)
    assert eyevsai(*words).code == 0


def test_resuming_something_else_is_refused(
    eyevsai: Command, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eyevsai(*WORDS, "--data", data, "--fail", "interrupt")
    said = eyevsai("train", "mean", "--data", "other", "--sharpness", 3, "--resume")
    assert said.code == 2
    assert "--sharpness 3.0, --data other" in said.err
    family = replace(sys.modules["mean_family"].FAMILY, name="median")
    info = FamilyInfo(name="median", status="ready", distribution="x", family=family)
    monkeypatch.setattr(families, "list_families", lambda: (info,))
    said = eyevsai("train", "median", "--resume")
    assert "not asked for median/plain" in said.err


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
# Where the tests run in the background of a script, Ctrl-C is ignored, and so by their children.
signal.signal(signal.SIGINT, signal.default_int_handler)
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
