from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from making import make_card, register
from mean_family import FAMILY  # type: ignore[import-not-found]

from eyevsai_core import families
from eyevsai_core.card import ModelCard
from eyevsai_core.errors import ConfigError, ExportError, ModelCorruptError, OutputError
from eyevsai_core.export import export_formats, export_model, named_data
from eyevsai_core.families import FamilyInfo
from eyevsai_core.model_registry import ModelRegistry
from eyevsai_core.testing import tiny_dataset
from eyevsai_core.training import train_model

if TYPE_CHECKING:
    from pathlib import Path

    from eyevsai_core.training import TrainedModel


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelRegistry:
    monkeypatch.setattr("eyevsai_core.export.list_families", tuple)
    return ModelRegistry(tmp_path / "models")


def test_a_card_as_json_and_as_a_page(registry: ModelRegistry, tmp_path: Path) -> None:
    ref = register(registry)
    out = export_model(registry, ref, "card", tmp_path / "card.json")
    assert ModelCard.read(out) == registry.card(ref)
    page = export_model(registry, ref, "card", tmp_path / "card.md")
    assert page.read_text(encoding="utf-8") == registry.card(ref).to_markdown()


def test_a_file_of_a_folder_gets_a_name(registry: ModelRegistry, tmp_path: Path) -> None:
    ref = register(registry)
    (tmp_path / "out").mkdir()
    out = export_model(registry, ref, "onnx", tmp_path / "out")
    assert out == tmp_path / "out" / "model.onnx"
    assert out.read_bytes() == (registry.path(ref) / "model.onnx").read_bytes()


def test_what_is_there_is_replaced_only_when_told(registry: ModelRegistry, tmp_path: Path) -> None:
    ref = register(registry)
    for name in ("onnx", "native"):
        out = tmp_path / name
        export_model(registry, ref, name, out)
        with pytest.raises(ExportError):
            export_model(registry, ref, name, out)
    (tmp_path / "native" / "old").write_text("")
    out = export_model(registry, ref, "native", tmp_path / "native", force=True)
    assert [path.name for path in out.iterdir()] == ["weights.bin"]


def test_a_damaged_model_is_not_written(registry: ModelRegistry, tmp_path: Path) -> None:
    ref = register(registry)
    (registry.path(ref) / "native" / "weights.bin").write_bytes(b"others")
    with pytest.raises(ModelCorruptError):
        export_model(registry, ref, "onnx", tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


def test_unknown_formats_are_suggested(registry: ModelRegistry, tmp_path: Path) -> None:
    ref = register(registry)
    message = r"format must be one of onnx, native, predictions, card, report, but got 'onxn'\. Did"
    with pytest.raises(ConfigError, match=message):
        export_model(registry, ref, "onxn", tmp_path / "out")


def test_the_formats_of_a_family_that_is_not_here(registry: ModelRegistry) -> None:
    assert export_formats("unheard") == ("onnx", "native", "predictions", "card", "report")


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainedModel:
    row = FamilyInfo(name="mean", status="ready", distribution="eyevsai-core", family=FAMILY)
    monkeypatch.setattr(families, "list_families", lambda: (row,))
    monkeypatch.setattr("eyevsai_core.export.list_families", lambda: (row,))
    return train_model("mean", tiny_dataset(tmp_path / "tiny"), config={"sharpness": 12.0})


def test_a_format_of_the_family(trained: TrainedModel, tmp_path: Path) -> None:
    registry = ModelRegistry()
    ref = registry.resolve(trained.ref)
    assert "means" in export_formats("mean")
    (tmp_path / "out").mkdir()
    out = export_model(registry, ref, "means", tmp_path / "out")
    assert out == tmp_path / "out" / "model.json"
    assert len(json.loads(out.read_text(encoding="utf-8"))) == 2


def test_a_format_of_the_family_is_whole_or_not_there(
    trained: TrainedModel, tmp_path: Path
) -> None:
    registry = ModelRegistry()
    data = tmp_path / "tiny"
    full = train_model("mean", data, config={"sharpness": 13.0})  # its writer finds a full disk
    out = tmp_path / "here.json"
    out.write_text("before", encoding="utf-8")
    with pytest.raises(OutputError, match="No space left"):
        export_model(registry, registry.resolve(full.ref), "means", out, force=True)
    assert out.read_text(encoding="utf-8") == "before"
    assert not list(tmp_path.glob(".staging-*"))


def test_data_that_has_a_name_is_found_by_it() -> None:
    card = make_card(dataset={"name": "doodles"})
    assert named_data(card) == "doodles"
    with pytest.raises(ConfigError, match=r"learned from 'paint', .* say where .* --data NAME"):
        named_data(make_card())
