from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from making_nets import CLASSES, build_net, build_plain, data, fit

from eyevsai_core.errors import ConfigError, RunError
from eyevsai_torch import loop as loop_module
from eyevsai_torch.fleet import Fleet
from eyevsai_torch.loop import Loop

if TYPE_CHECKING:
    from pathlib import Path


def scores(classifier: object) -> np.ndarray:
    return classifier.predict_scores(data(10, seed=5).images)  # type: ignore[attr-defined]


def test_it_learns(tmp_path: Path) -> None:
    classifier, context = fit(tmp_path, epochs=6)
    held_out = data(40, seed=9)
    right = classifier.predict_scores(held_out.images).argmax(1) == held_out.labels
    assert right.mean() > 0.9
    assert classifier.classes == CLASSES
    assert classifier.image_size == 16
    assert [row[:2] for row in context.rows] == [(n, 6) for n in range(1, 7)]


def test_history_has_what_curves_need(tmp_path: Path) -> None:
    _, context = fit(tmp_path)
    for _, _, metrics in context.rows:
        assert metrics.keys() >= {
            "train_loss",
            "train_accuracy",
            "validation_loss",
            "validation_accuracy",
            "learning_rate",
            "pictures_per_s",
            "rss_mb",
        }
        assert 0 <= metrics["train_accuracy"] <= 1
        assert metrics["rss_mb"] > 10
        assert all(np.isfinite(list(metrics.values())))


def test_blended_pictures_have_no_accuracy(tmp_path: Path) -> None:
    _, context = fit(tmp_path, mixup_alpha=0.4)
    assert all("train_accuracy" not in metrics for _, _, metrics in context.rows)


def test_config_of_the_classifier_has_no_gaps(tmp_path: Path) -> None:
    classifier, _ = fit(tmp_path, batch_size=None, learning_rate=None)
    config = classifier.config.to_dict()
    assert [name for name, value in config.items() if value is None] == ["image_size", "clip_norm"]
    assert config["batch_size"] == 16


def test_same_seed_same_weights(tmp_path: Path) -> None:
    options = {"erase": 0.3, "mixup_alpha": 0.2, "colour": 0.2, "rotate": 10.0}
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        torch.rand(3)
        found.append(scores(fit(tmp_path / name, **options)[0]))
    np.testing.assert_array_equal(found[0], found[1])


def test_other_seed_other_weights(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    first, second = (
        scores(fit(tmp_path / name, seed=seed)[0]) for seed, name in enumerate(("one", "two"))
    )
    assert (first != second).any()


def test_random_state_of_the_caller_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    fit(tmp_path)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_the_best_epoch_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of equals in accuracy the one with less loss; later ones do not replace it."""
    seen: list[dict[str, torch.Tensor]] = []
    verdicts = iter([(0.5, 1.0), (0.75, 0.5), (0.75, 0.4), (0.75, 0.6), (0.5, 0.1)])

    def judge(net: torch.nn.Module, *_: object) -> dict[str, float]:
        seen.append({name: value.clone() for name, value in net.state_dict().items()})
        accuracy, loss = next(verdicts)
        return {"validation_loss": loss, "validation_accuracy": accuracy}

    monkeypatch.setattr(loop_module, "judge", judge)
    classifier, _ = fit(tmp_path, epochs=5)
    for name, value in classifier.net.state_dict().items():
        assert torch.equal(value, seen[2][name]), name


def test_it_ends_when_nothing_becomes_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        loop_module, "judge", lambda *_: {"validation_loss": 1.0, "validation_accuracy": 0.5}
    )
    _, context = fit(tmp_path, epochs=20, patience=3)
    assert [row[0] for row in context.rows] == [1, 2, 3, 4]


def test_learning_from_validation_too(tmp_path: Path) -> None:
    classifier, context = fit(tmp_path, validation="learn", n=20, batch_size=52)
    assert all("validation_loss" not in metrics for _, _, metrics in context.rows)
    assert len(context.rows) == 2  # a batch of 52 pictures fits: 20 of train, 32 of validation
    assert np.isfinite(scores(classifier)).all()


def test_divergence_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"diverged: the loss is .* Set --learning-rate lower \(it"):
        fit(tmp_path, build=build_plain, learning_rate=100.0, epochs=5, clip_norm=None)


def test_frozen_needs_a_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="got 2 without one; name it with --from"):
        fit(tmp_path, freeze=2)


def test_bar_moves_between_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "_TOLD_S", 0.0)
    _, context = fit(tmp_path)
    assert context.moves == [(n / 4, 2) for n in (1, 2, 3, 4, 5, 6, 7, 8)]


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "plateau", "constant"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_every_optimizer_with_every_schedule(tmp_path: Path, optimizer: str, schedule: str) -> None:
    _, context = fit(tmp_path, optimizer=optimizer, schedule=schedule, epochs=4)
    losses = [metrics["train_loss"] for _, _, metrics in context.rows]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    "options",
    [
        {"precision": "bf16"},
        {"channels_last": False},
        {"memory_efficient": True, "batch_size": 64},
        {"class_weight": "balanced"},
        {"ema": 0.0},
    ],
    ids=lambda options: next(iter(options)),
)
def test_other_ways_learn_too(tmp_path: Path, options: dict[str, object]) -> None:
    _, context = fit(tmp_path, epochs=4, **options)
    assert context.rows[-1][2]["train_loss"] < context.rows[0][2]["train_loss"]


def test_a_damaged_checkpoint_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.safetensors").write_bytes(b"nonsense")
    with pytest.raises(RunError, match="cannot be gone on with"):
        fit(tmp_path)


def test_a_checkpoint_of_other_options_is_an_error(tmp_path: Path) -> None:
    fit(tmp_path)
    with pytest.raises(RunError, match="left by a fit with other options"):
        fit(tmp_path, weight_decay=0.25)


def test_a_finished_fit_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = scores(fit(tmp_path)[0])

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(Loop, "_epoch", never)
    classifier, context = fit(tmp_path)
    np.testing.assert_array_equal(scores(classifier), expected)
    assert [row[0] for row in context.rows] == [2]  # what may not have been told before a kill


def test_build_is_asked_for_the_classes_and_the_size(tmp_path: Path) -> None:
    asked: dict[str, int] = {}

    def build(config: object, **wanted: int) -> object:
        asked.update(wanted)
        return build_net(config, **wanted)

    fit(tmp_path, build=build)
    assert asked == {"n_classes": 2, "image_size": 16}


def test_more_processes_than_pairs_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "9")
    monkeypatch.setattr(Fleet, "join", lambda *_: None)
    with pytest.raises(ConfigError, match=r"9 processes need a batch of at least 18 .* got 16"):
        fit(tmp_path)
