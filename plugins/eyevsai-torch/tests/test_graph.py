from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest
import torch
from making_nets import data, fit

from eyevsai_core.errors import ExportError
from eyevsai_torch.graph import classifier_graph

if TYPE_CHECKING:
    from pathlib import Path

    from eyevsai_torch.classifier import TorchClassifier


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> TorchClassifier:
    return fit(tmp_path_factory.mktemp("fit"), precision="auto")[0]


def test_graph_gives_the_scores(
    classifier: TorchClassifier, capsys: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = classifier_graph(classifier)
    assert capsys.readouterr() == ("", "")
    assert logging.getLogger("torch.onnx").level == logging.NOTSET
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (pixels,), (scores,) = session.get_inputs(), session.get_outputs()
    assert (pixels.name, pixels.type, pixels.shape[1:]) == ("pixels", "tensor(uint8)", [16, 16, 3])
    assert (scores.name, scores.type) == ("scores", "tensor(float)")
    for n in (1, 2, 7):
        images = data(n, seed=n).images
        (found,) = session.run(None, {"pixels": images})
        np.testing.assert_allclose(found, classifier.predict_scores(images), atol=1e-5)


def test_graph_is_standard_and_readable_by_older_runtimes(classifier: TorchClassifier) -> None:
    model = classifier_graph(classifier)
    assert model.ir_version <= 10
    assert {(opset.domain, opset.version) for opset in model.opset_import} == {("", 18)}
    assert not model.functions


def test_the_classifier_is_left_as_it_was(classifier: TorchClassifier) -> None:
    before = {name: value.clone() for name, value in classifier.net.state_dict().items()}
    classifier_graph(classifier)
    assert not classifier.net.training
    for name, value in classifier.net.state_dict().items():
        assert torch.equal(value, before[name])


def test_what_cannot_be_exported_is_an_error(
    classifier: TorchClassifier, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise torch.onnx.OnnxExporterError("no such operator")

    monkeypatch.setattr(torch.onnx, "export", fails)
    with pytest.raises(ExportError, match=r"cannot export this net: no such operator"):
        classifier_graph(classifier)
