from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from making import make_card, register

from eyevsai_core.card import ModelCard
from eyevsai_core.errors import ConfigError, ExportError, ModelCorruptError
from eyevsai_core.export import export_formats, export_model, named_data
from eyevsai_core.model_registry import ModelRegistry

if TYPE_CHECKING:
    from pathlib import Path


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


def test_data_that_has_a_name_is_found_by_it() -> None:
    card = make_card(dataset={"name": "doodles"})
    assert named_data(card) == "doodles"
    with pytest.raises(ConfigError, match=r"learned from 'paint', .* say where .* --data NAME"):
        named_data(make_card())
