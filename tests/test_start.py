from __future__ import annotations

import dataclasses
import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from mean_family import FAMILY  # type: ignore[import-not-found]

from eyevsai_core import families
from eyevsai_core.errors import ConfigError, ModelCorruptError, ModelNotFoundError, RunError
from eyevsai_core.families import FamilyInfo
from eyevsai_core.model_registry import ModelRegistry
from eyevsai_core.run import Run, RunState, list_runs
from eyevsai_core.start import StartModel
from eyevsai_core.testing import tiny_dataset
from eyevsai_core.training import TrainedModel, assist_training, resume_training, train_model

if TYPE_CHECKING:
    from pathlib import Path

SHORT = {"image_size": 32}


@pytest.fixture(autouse=True)
def family(monkeypatch: pytest.MonkeyPatch) -> None:
    others = (
        FAMILY,
        dataclasses.replace(FAMILY, name="stiff", continues=False),
        dataclasses.replace(FAMILY, name="crowd", distributed=True),
    )
    rows = tuple(
        FamilyInfo(name=each.name, status="ready", distribution="eyevsai-core", family=each)
        for each in others
    )
    monkeypatch.setattr(families, "list_families", lambda: rows)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tiny_dataset(tmp_path / "tiny")


@pytest.fixture
def more(tmp_path: Path) -> Path:
    """Other pictures, with one label that is known and one that is new."""
    folder = tiny_dataset(tmp_path / "more", seed=7)
    for split in folder.iterdir():
        (split / "down").rename(split / "sideways")
    return folder


def means(trained: TrainedModel) -> Any:
    return np.load(trained.path / "native" / "means.npy")


def test_training_continues_from_a_model(data: Path, more: Path) -> None:
    first = train_model("mean", data, config=SHORT)
    fresh = train_model("mean", more, config=SHORT)
    second = train_model("mean", more, start=first.ref)
    np.testing.assert_allclose(means(second)[0], (means(first)[0] + means(fresh)[0]) / 2, atol=1e-6)
    np.testing.assert_array_equal(means(second)[1], means(fresh)[1])
    assert second.card.image_size == 32
    assert second.card.started_from == {"ref": first.ref, "card_digest": first.card.digest}
    assert f"Continued from:** {first.ref}" in second.card.to_markdown()
    assert fresh.card.started_from == {}
    assert "Continued from" not in fresh.card.to_markdown()


def test_the_size_that_is_asked_for_wins(data: Path) -> None:
    first = train_model("mean", data, config={"image_size": 24})
    card = StartModel.open(first.path).card
    assert card.image_size == 24
    with pytest.raises(ValueError, match="could not be broadcast"):
        train_model("mean", data, config={"image_size": 16}, start=first.path)


def test_a_version_is_kept_although_latest_moves(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train_model("mean", data, config=SHORT)
    with pytest.raises(KeyboardInterrupt):
        train_model("mean", data, config={**SHORT, "fail": "interrupt"}, start="mean/plain/tiny")
    train_model("mean", data, config=SHORT)
    run = next(run for run in list_runs() if run.state is RunState.KILLED)
    trained = resume_training(run)
    assert trained.card.started_from["ref"] == first.ref


def test_a_model_that_was_removed_is_missed(data: Path) -> None:
    first = train_model("mean", data, config=SHORT)
    with pytest.raises(KeyboardInterrupt):
        train_model("mean", data, config={**SHORT, "fail": "interrupt"}, start=first.ref)
    shutil.rmtree(first.path)
    run = next(run for run in list_runs() if run.state is RunState.KILLED)
    with pytest.raises(
        ModelNotFoundError, match=r"continue from is not there any more: .*card.json"
    ):
        resume_training(run)


def test_a_damaged_model_is_refused(data: Path) -> None:
    first = train_model("mean", data, config=SHORT)
    (first.path / "native" / "rest.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelCorruptError, match=r"continue from is damaged: native/rest.json was"):
        train_model("mean", data, start=first.ref)
    (first.path / "card.json").write_text("[", encoding="utf-8")
    with pytest.raises(ModelCorruptError, match="damaged: the model card is not JSON"):
        train_model("mean", data, start=first.path)


def test_another_family_or_variant_is_refused(data: Path) -> None:
    first = train_model("mean", data, config=SHORT)
    with pytest.raises(
        ConfigError, match="must be a crowd/plain, but 'mean/plain/tiny@1' is a mean"
    ):
        train_model("crowd", data, start=first.ref)


def test_a_family_that_begins_anew_says_so(data: Path) -> None:
    first = train_model("mean", data, config=SHORT)
    with pytest.raises(ConfigError, match="family 'stiff' cannot continue from a model"):
        train_model("stiff", data, start=first.ref)


def test_an_unknown_model_is_missed_before_anything_is_trained(data: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        train_model("mean", data, start="mean/plain/nothing")
    assert list_runs() == []


def test_old_cards_keep_their_digest(data: Path) -> None:
    """Cards were written before there was something to continue from."""
    card = train_model("mean", data, config=SHORT).card
    values = json.loads(card.to_json())
    del values["started_from"]
    assert type(card).from_json(json.dumps(values)).digest == card.digest
    other = dataclasses.replace(card, started_from={"ref": "a/b/c@1"})
    assert other.digest != card.digest


# Several processes.


def test_a_family_for_one_process_refuses_several(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="family 'mean' trains in one process, but torchrun"):
        train_model("mean", data, config=SHORT)


def test_only_the_first_process_owns_a_run(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(RunError, match="in the first process, but this is number 1"):
        train_model("crowd", data, config=SHORT)


def test_others_assist_and_keep_nothing(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assist_training("crowd", data, config={**SHORT, "note": "heard by the first only"})
    assert list_runs() == []
    assert ModelRegistry().list_models() == []


def test_processes_share_the_cores(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr("eyevsai_core.preparation.core_count", lambda: 8)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    trainer = FAMILY.make_trainer

    def make_trainer(config: Any) -> Any:
        made = trainer(config)
        fit = made.fit
        made.fit = lambda t, v, context: seen.append(context.threads) or fit(t, v, context)
        return made

    crowd = dataclasses.replace(FAMILY, make_trainer=make_trainer)
    row = FamilyInfo(name="mean", status="ready", distribution="x", family=crowd)
    monkeypatch.setattr(families, "list_families", lambda: (row,))
    assist_training("mean", data, config=SHORT)
    assert seen == [2]


def test_a_note_is_told_and_kept(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    trained = train_model("mean", data, config={**SHORT, "note": "slower than asked"})
    assert "slower than asked" in caplog.text
    assert Run(trained.run.folder).info["note"] == "slower than asked"
