from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from making_nets import build_net, data, fit
from safetensors import safe_open

from eyevsai_core.errors import ExportError
from eyevsai_torch.exporters import write_safetensors, write_torchscript
from eyevsai_torch.graph import PixelNet
from eyevsai_torch.normalise import NormalisedNet

if TYPE_CHECKING:
    from pathlib import Path

    from eyevsai_torch.classifier import TorchClassifier

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> TorchClassifier:
    return fit(tmp_path_factory.mktemp("fit"))[0]


def test_torchscript_gives_the_scores(classifier: TorchClassifier, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    write_torchscript(classifier, path)
    extra = {"settings.json": ""}
    loaded = torch.jit.load(str(path), _extra_files=extra)
    images = data(5, seed=2).images
    found = loaded(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(found, classifier.predict_scores(images), atol=1e-5)
    assert json.loads(extra["settings.json"])["classes"] == ["across", "down"]


def test_torchscript_that_differs_is_an_error(
    classifier: TorchClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = PixelNet.forward
    calls = []

    def moody(self: PixelNet, pixels: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return plain(self, pixels) + (1 if len(calls) > 1 else 0)

    monkeypatch.setattr(PixelNet, "forward", moody)
    with pytest.raises(ExportError, match="must give the scores of the net, but differs by"):
        write_torchscript(classifier, tmp_path / "model.pt")


def test_safetensors_has_weights_and_settings(classifier: TorchClassifier, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(classifier, path)
    with safe_open(path, framework="pt") as file:
        settings = json.loads(file.metadata()["settings"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert settings["image_size"] == 16
    assert settings["classes"] == ["across", "down"]
    net = NormalisedNet(
        build_net(classifier.config, n_classes=2, image_size=16), torch.zeros(3), torch.ones(3)
    )
    net.load_state_dict(tensors)
    for name, value in classifier.net.state_dict().items():
        assert torch.equal(net.state_dict()[name], value)
