from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from making import one_colour, register

from eyevsai_core.errors import ModelCorruptError, ModelNotFoundError
from eyevsai_core.loading import load_model
from eyevsai_core.model_registry import ModelRegistry

if TYPE_CHECKING:
    from pathlib import Path


def test_by_reference_folder_and_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = ModelRegistry(tmp_path / "models")
    ref = register(registry)
    folder = registry.path(ref)
    for model in (folder, str(folder), folder / "model.onnx"):
        assert load_model(model).prediction(one_colour(1)).label == "green"
    assert load_model(str(ref), registry=registry).prediction(one_colour(2)).label == "blue"
    with pytest.raises(ModelNotFoundError):
        load_model(str(ref))
    register(ModelRegistry())
    assert load_model("test/colours/paint", threads=1).prediction(one_colour(0)).label == "red"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_model("~/models/test/colours/paint/1").classes == ("red", "green", "blue")


def test_a_folder_is_checked_against_its_card(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    folder = registry.path(register(registry))
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelCorruptError):
        load_model(folder)


@pytest.mark.parametrize("model", ["no/such.onnx", "./here", "/no/such/place"])
def test_a_path_that_is_not_there(model: str) -> None:
    with pytest.raises(ModelNotFoundError, match=r"no file or folder .* a \.onnx file"):
        load_model(model)
