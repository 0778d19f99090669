from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from making_nets import build_net, data, fit

from eyevsai_core.errors import ModelCorruptError
from eyevsai_torch.classifier import TorchClassifier
from eyevsai_torch.config import TorchConfig

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> TorchClassifier:
    return fit(tmp_path_factory.mktemp("fit"))[0]


def test_scores_are_float32_and_do_not_depend_on_the_batch(classifier: TorchClassifier) -> None:
    images = data(300, seed=3).images
    found = classifier.predict_scores(images)
    assert found.dtype == np.float32
    assert found.shape == (300, 2)
    np.testing.assert_allclose(
        found[:3], np.concatenate([classifier.predict_scores(i[None]) for i in images[:3]]), 1e-5
    )


def test_nothing_in_nothing_out(classifier: TorchClassifier) -> None:
    empty = classifier.predict_scores(np.zeros((0, 16, 16, 3), np.uint8))
    assert empty.shape == (0, 2)
    assert empty.dtype == np.float32


def test_saved_and_loaded_it_is_the_same(classifier: TorchClassifier, tmp_path: Path) -> None:
    classifier.save(tmp_path)
    found = TorchClassifier.load(tmp_path, TorchConfig, build_net)
    images = data(10, seed=4).images
    np.testing.assert_array_equal(found.predict_scores(images), classifier.predict_scores(images))
    assert (found.config, found.classes, found.image_size) == (
        classifier.config,
        classifier.classes,
        classifier.image_size,
    )
    assert not found.net.training
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "settings.json"}


def test_loading_draws_no_weights(classifier: TorchClassifier, tmp_path: Path) -> None:
    classifier.save(tmp_path)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    TorchClassifier.load(tmp_path, TorchConfig, build_net)
    assert torch.equal(torch.rand(2), expected)


def _settings(folder: Path, **changes: object) -> None:
    path = folder / "settings.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**values, **changes}), encoding="utf-8")


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "model.safetensors").unlink(),
        lambda folder: (folder / "model.safetensors").write_bytes(b"\x80\x04pickle"),
        lambda folder: (folder / "settings.json").write_text("[", encoding="utf-8"),
        lambda folder: (folder / "settings.json").write_text("[]", encoding="utf-8"),
        lambda folder: _settings(folder, classes=["a", "b", "c"]),
        lambda folder: _settings(folder, classes=None),
        lambda folder: _settings(folder, image_size="big"),
        lambda folder: _settings(folder, config={"epochs": -1}),
        lambda folder: _settings(folder, config={"no": 1}),
    ],
    ids=[
        "no weights",
        "pickle",
        "no JSON",
        "a list",
        "more classes",
        "no classes",
        "no size",
        "out of range",
        "unknown",
    ],
)
def test_damage_is_an_error(classifier: TorchClassifier, tmp_path: Path, damage: object) -> None:
    classifier.save(tmp_path)
    damage(tmp_path)  # type: ignore[operator]
    with pytest.raises(ModelCorruptError, match="cannot load the native model in"):
        TorchClassifier.load(tmp_path, TorchConfig, build_net)
