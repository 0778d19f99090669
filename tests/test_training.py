from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from eyevsai_core import families
from eyevsai_core.attempt import Attempt
from eyevsai_core.catalog import load_dataset
from eyevsai_core.config import TrainConfig
from eyevsai_core.errors import (
    ConfigError,
    DatasetError,
    OutputError,
    ParityError,
    RunError,
    UnknownFamilyError,
)
from eyevsai_core.families import FamilyInfo
from eyevsai_core.loading import load_model
from eyevsai_core.model_registry import ModelRegistry
from eyevsai_core.run import RunState, find_run, list_runs
from eyevsai_core.testing import tiny_dataset, tiny_pictures
from eyevsai_core.training import TrainedModel, resume_training, train_model

if TYPE_CHECKING:
    from types import ModuleType

HERE = Path(__file__).parent


def mean_family() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mean_family", HERE / "mean_family.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["mean_family"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _only_the_mean_family(monkeypatch: pytest.MonkeyPatch) -> None:
    info = FamilyInfo(
        name="mean", status="ready", distribution="eyevsai-core", family=mean_family().FAMILY
    )
    monkeypatch.setattr(families, "list_families", lambda: (info,))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tiny_dataset(tmp_path / "tiny")


def train(data: Any, **options: Any) -> TrainedModel:
    return train_model("mean", data, config={"image_size": 32}, **options)


def test_one_call_makes_a_registered_verified_model(data: Path) -> None:
    stages = set()
    trained = train(data, progress=lambda stage, *_: stages.add(stage), command="do it again")
    assert trained.ref == "mean/plain/tiny@1"
    assert stages == {"decode", "fit", "verify", "evaluate"}
    assert trained.run.state is RunState.OK
    assert ModelRegistry().verify(ModelRegistry().resolve(trained.ref)) == []
    card = trained.card
    assert card.ref == trained.ref
    assert card.dataset["fingerprint"] == load_dataset(data).fingerprint
    assert card.parity["largest_difference"] <= 1e-4
    assert card.parity["odd_files"] == 11
    assert card.metrics["test"]["accuracy"]["n"] == 8
    assert "do it again" in trained.report_path.read_text()
    metadata = trained.classifier.get_metadata()["artefact"]
    assert metadata["card_digest"] == card.digest
    assert float(metadata["test_accuracy"]) == pytest.approx(
        trained.evaluation.metrics["accuracy"].value
    )


def test_the_artefact_answers_raw_files_as_it_answers_the_cache(data: Path) -> None:
    trained = train(data)
    again = trained.classifier.predict_proba([Path(p) for p in trained.evaluation.paths])
    np.testing.assert_allclose(again, trained.evaluation.probabilities, atol=1e-6)


def test_versions_count_up_and_a_name_is_an_alias(data: Path) -> None:
    assert train(data).ref.endswith("@1")
    assert train(data, name="mine").ref.endswith("@2")
    assert ModelRegistry().resolve("mean/plain/tiny@mine").version == 2


def test_out_receives_a_copy_that_loads(data: Path, tmp_path: Path) -> None:
    trained = train(data, out=tmp_path / "copy")
    images, _ = tiny_pictures(4)
    copy = load_model(tmp_path / "copy")
    np.testing.assert_array_equal(
        copy.predict_proba(images), trained.classifier.predict_proba(images)
    )


def test_a_failed_run_is_failed_and_registers_nothing(data: Path) -> None:
    with pytest.raises(ValueError, match="failed on purpose"):
        train_model("mean", data, config={"image_size": 32, "fail": "error"})
    (run,) = list_runs()
    assert run.state is RunState.FAILED
    assert "failed on purpose" in run.info["reason"]
    assert ModelRegistry().list_models() == []


def test_an_artefact_that_is_not_the_model_is_not_registered(data: Path) -> None:
    with pytest.raises(ParityError, match=r"within 0.0001, but \d+ of \d+ pictures differ"):
        train_model("mean", data, config={"image_size": 32, "fail": "wrong"})
    assert ModelRegistry().list_models() == []


def test_ctrl_c_leaves_a_killed_run_that_resumes_to_the_same_bytes(data: Path) -> None:
    whole = train(data)
    with pytest.raises(KeyboardInterrupt):
        train_model("mean", data, config={"image_size": 32, "fail": "interrupt"})
    run = find_run("last")
    assert run.state is RunState.KILLED
    resumed = resume_training(run)
    assert run.state is RunState.OK
    assert [row["step"] for row in run.history()] == [1, 2, 3]
    images, _ = tiny_pictures(20, seed=3)
    np.testing.assert_array_equal(
        resumed.classifier.predict_proba(images), whole.classifier.predict_proba(images)
    )
    with pytest.raises(RunError, match="is finished"):
        resume_training(run)


def test_a_run_whose_data_changed_does_not_go_on(data: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_model("mean", data, config={"image_size": 32, "fail": "interrupt"})
    extra, _ = tiny_pictures(1, seed=77)
    Image.fromarray(extra[0]).save(data / "train" / "down" / "new.png")
    with pytest.raises(RunError, match="its data changed"):
        resume_training(find_run("last"))


def test_a_run_finds_its_data_again_from_anywhere(
    data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(data.parent)
    for given, place in ((data.name, str(data)), (load_dataset(data), str(data))):
        with pytest.raises(KeyboardInterrupt):
            train_model("mean", given, config={"image_size": 32, "fail": "interrupt"})
        run = find_run("last")
        assert run.config["data"] == place
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            assert resume_training(run).run.state is RunState.OK


def test_a_data_set_with_a_name_is_kept_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Attempt, "execute", lambda self: self)
    train_model("mean", "doodles", config={"image_size": 32})
    (run,) = list_runs()
    assert run.config["data"] == "doodles"


def test_a_run_of_another_version_does_not_go_on(data: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_model("mean", data, config={"image_size": 32, "fail": "interrupt"})
    run = find_run("last")
    (run.folder / "config.json").write_text(json.dumps({**run.config, "novelty": 1}))
    with pytest.raises(RunError, match="written by another version"):
        resume_training(run)


def test_a_picture_in_train_and_test_is_refused(data: Path) -> None:
    (first, *_) = sorted((data / "train" / "down").iterdir())
    (data / "test" / "down" / "leak.png").write_bytes(first.read_bytes())
    with pytest.raises(DatasetError, match="the test split must share no picture"):
        train(data)
    assert train(data, allow_leaks=True).ref


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_picture_under_two_labels_is_refused(data: Path, split: str) -> None:
    (first, *_) = sorted((data / split / "across").iterdir())
    (data / split / "down" / "same.png").write_bytes(first.read_bytes())
    with pytest.raises(
        DatasetError,
        match=r"must have one label, but 1 are also under another, first '.*\.png' \('down'\) = "
        r"'.*\.png' \('across'\); remove .* or pass --allow-conflicts",
    ):
        train(data, allow_leaks=True)
    assert ModelRegistry().list_models() == []
    assert train(data, allow_conflicts=True).ref


def test_a_data_set_made_by_hand_is_hashed(data: Path) -> None:
    (first, *_) = sorted((data / "train" / "down").iterdir())
    (data / "test" / "down" / "leak.png").write_bytes(first.read_bytes())
    known = load_dataset(data)
    by_hand = dataclasses.replace(
        known, samples=tuple(dataclasses.replace(sample, sha256="") for sample in known.samples)
    )
    assert by_hand.fingerprint == known.fingerprint
    with pytest.raises(DatasetError, match="the test split must share no picture"):
        train(by_hand)


def test_more_than_one_percent_unreadable_is_refused(data: Path) -> None:
    (data / "train" / "down" / "text.jpg").write_text("this is text")
    with pytest.raises(DatasetError, match=r"1 of 41 pictures cannot be read.*text\.jpg"):
        train(data)
    trained = train(data, allow_unreadable=True)
    assert trained.card.dataset["unreadable"] == 1


def test_a_config_of_another_family_is_refused(data: Path) -> None:
    with pytest.raises(ConfigError, match="takes a MeanConfig, but got a TrainConfig"):
        train_model("mean", data, config=TrainConfig())


def test_an_unknown_family_is_refused_before_any_work() -> None:
    with pytest.raises(UnknownFamilyError, match="Did you mean 'mean'"):
        train_model("maen", "no such data")


@pytest.mark.parametrize("where", ["registry", "out"])
def test_a_folder_that_cannot_be_written_fails_before_training(
    where: str, data: Path, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file is no folder")
    place: dict[str, Any] = (
        {"registry": ModelRegistry(blocked / "x")}
        if where == "registry"
        else {"out": blocked / "x"}
    )
    with pytest.raises(OutputError, match="must be writable"):
        train(data, **place)


def test_a_full_disk_while_saving_registers_nothing(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = families.list_families()[0].family
    assert family

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    classifier = sys.modules["mean_family"].MeanClassifier
    monkeypatch.setattr(classifier, "save", full)
    with pytest.raises(OutputError, match="No space left on device; nothing was kept"):
        train(data)
    assert ModelRegistry().list_models() == []
    assert not list(ModelRegistry().root.glob(".staging-*"))


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left"), shutil.Error([("a", "b", "No space left")])]
)
def test_a_copy_that_cannot_be_written_is_no_lost_model(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copytree", full)
        with pytest.raises(
            OutputError, match=r"is registered in '.*1', but its copy in '.*' is not whole: No sp"
        ):
            train(data, out=tmp_path / "copy")
    (row,) = ModelRegistry().list_models()
    (run,) = list_runs()
    assert run.info["ref"] == str(row.ref)
    assert ModelRegistry().verify(row.ref) == []


def test_a_family_whose_checkpoints_fill_the_disk(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError("6144 requested and 6112 written")  # as numpy does: no number, no reason

    monkeypatch.setattr(sys.modules["mean_family"].MeanTrainer, "fit", full)
    with pytest.raises(OutputError, match=r"cannot write into '.*runs.*': not all of it could be"):
        train(data)
    (run,) = list_runs()
    assert run.state is RunState.FAILED


def test_the_card_says_what_was_chosen(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = train_model("mean", data).card  # pictures of 32 x 32, and no size asked for
    assert card.config == {
        "seed": 0,
        "image_size": 32,
        "sharpness": 20.0,
        "note": "",
        "fail": "",
    }
    trainer = sys.modules["mean_family"].MeanTrainer
    fit = trainer.fit

    def choose(self: Any, *rest: Any) -> Any:
        found = fit(self, *rest)
        object.__setattr__(found, "config", self.config.replace(sharpness=7.5))
        return found

    monkeypatch.setattr(trainer, "fit", choose)
    trained = train(data)
    assert trained.card.config["sharpness"] == 7.5
    assert trained.run.config["options"]["sharpness"] == 20.0  # what was asked


def test_the_seed_can_be_given_alone(data: Path) -> None:
    assert train(data, seed=7).card.seed == 7


_SLOW = """
import sys, time
sys.path.insert(0, {here!r})
import mean_family
from eyevsai_core import families
from eyevsai_core.families import FamilyInfo
info = FamilyInfo(name="mean", status="ready", distribution="x", family=mean_family.FAMILY)
families.list_families = lambda: (info,)
from eyevsai_core.training import train_model
def stop(stage, done, total, metrics):
    if stage == "fit":
        print("fitting", flush=True)
        time.sleep(60)
train_model("mean", {data!r}, config={{"image_size": 32}}, progress=stop)
"""


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_whose_process_is_killed_is_killed_and_resumes(
    kill: signal.Signals, data: Path
) -> None:
    code = _SLOW.format(here=str(HERE), data=str(data))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "fitting\n"
        run = list_runs()[0]
        assert run.state is RunState.RUNNING
        with pytest.raises(RunError, match="is being worked on by process"):
            resume_training(run)
        os.kill(process.pid, kill)
        process.wait()
    assert run.state is RunState.KILLED
    resumed = resume_training(run)
    images, _ = tiny_pictures(20, seed=3)
    np.testing.assert_array_equal(
        resumed.classifier.predict_proba(images),
        train(data).classifier.predict_proba(images),
    )


def test_the_card_survives_a_round_trip(data: Path) -> None:
    card = train(data).card
    assert type(card).from_json(card.to_json()) == card
    assert dataclasses.replace(card, seed=5).digest != card.digest
