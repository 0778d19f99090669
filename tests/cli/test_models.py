from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer

from eyevsai_core.cli import models
from eyevsai_core.model_registry import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., Any]

REF = "mean/plain/tiny@1"


@pytest.fixture
def two(model: dict[str, Any]) -> dict[str, Any]:
    """Two versions; the second is the latest."""
    again(model, "mean/plain/tiny", 2)
    return model


def again(model: dict[str, Any], series: str, version: int) -> None:
    """Register a copy of a model under another name."""
    place = ModelRegistry().root / series / str(version)
    shutil.copytree(model["path"], place)
    card = json.loads((place / "card.json").read_text())
    (place / "card.json").write_text(json.dumps({**card, "ref": f"{series}@{version}"}))


def test_without_models(eyevsai: Command) -> None:
    assert "eyevsai train shallow --data doodles" in eyevsai("models", "list").out
    assert eyevsai("models", "list", "--json").json["models"] == []
    assert eyevsai("models", "verify").code == 0
    said = eyevsai("models", "show", "mean")
    assert said.code == 1
    assert "make one with: eyevsai train" in said.err


def test_list(eyevsai: Command, two: dict[str, Any]) -> None:
    lines = eyevsai("models", "list").out.splitlines()
    assert lines[0].split()[:2] == ["model", "accuracy"]
    assert [line.split()[0] for line in lines[1:]] == [REF, "mean/plain/tiny@2"]
    rows = eyevsai("models", "list", "--json").json["models"]
    assert rows[1]["aliases"] == ["best", "latest"]
    assert rows[0]["test_accuracy"] == two["metrics"]["test"]["accuracy"]["value"]
    assert rows[0]["state"] == "ok"


def test_a_damaged_card_is_a_row(eyevsai: Command, model: dict[str, Any]) -> None:
    (Path(model["path"]) / "card.json").write_text("{")
    said = eyevsai("models", "list")
    assert said.code == 0
    assert "damaged" in said.out
    (row,) = eyevsai("models", "list", "--json").json["models"]
    assert row["state"] == "damaged"
    assert row["problem"]


@pytest.mark.parametrize(
    "name", [REF, "mean/plain/tiny", "mean/plain", "mean", "production", "latest"]
)
def test_show_by_any_name(eyevsai: Command, model: dict[str, Any], name: str) -> None:
    eyevsai("models", "alias", REF, "production")
    said = eyevsai("models", "show", name)
    assert said.code == 0, said.err
    assert said.out.startswith(REF)
    for word in ("sharpness", "across, down", "test", "SHA-256", "numpy", "calibration"):
        assert word in said.out
    assert eyevsai("models", "show", name, "--json").json["ref"] == model["ref"]


def test_names_that_mean_nothing_or_too_much(eyevsai: Command, two: dict[str, Any]) -> None:
    said = eyevsai("models", "show", "maen")
    assert said.code == 1
    assert "no model is called 'maen'" in said.err
    again(two, "mean/plain/other", 1)
    for series in ("tiny", "other"):
        eyevsai("models", "alias", f"mean/plain/{series}", "production")
    said = eyevsai("models", "show", "production")
    assert said.code == 1
    assert "mean/plain/other@production, mean/plain/tiny@production" in said.err


def test_verify(eyevsai: Command, two: dict[str, Any]) -> None:
    assert "✓ mean/plain/tiny@1" in eyevsai("models", "verify", REF).out
    report = Path(two["path"]) / "report.html"
    report.chmod(0o644)
    report.write_text("something else")
    said = eyevsai("models", "verify")
    assert said.code == 1
    assert "✗ mean/plain/tiny@1" in said.out
    assert "report.html was changed" in said.out
    assert "✓ mean/plain/tiny@2" in said.out
    said = eyevsai("models", "verify", "--json")
    assert said.code == 1
    assert said.json["ok"] is False
    assert said.json["models"]["mean/plain/tiny@2"] == []


def test_alias(eyevsai: Command, two: dict[str, Any]) -> None:
    said = eyevsai("models", "alias", REF, "production")
    assert "mean/plain/tiny@production is mean/plain/tiny@1" in said.out
    assert eyevsai("models", "alias", "mean", "production", "--json").json == {
        "ref": "mean/plain/tiny@2",
        "alias": "production",
        "removed": False,
    }
    assert "is forgotten" in eyevsai("models", "alias", "mean", "production", "--remove").out
    assert eyevsai("models", "alias", "mean", "production", "--remove").code == 1
    said = eyevsai("models", "alias", "mean", "best")
    assert said.code == 2
    assert "not latest or best" in said.err


def test_prune_and_rm_ask_before_anything_is_lost(eyevsai: Command, two: dict[str, Any]) -> None:
    assert eyevsai("models", "prune", "--dry-run").out == f"would remove {REF}\n"
    said = eyevsai("models", "prune")
    assert said.code == 2
    assert "say --yes" in said.err
    said = eyevsai("models", "rm", REF, "--dry-run", "--json")
    assert said.json == {"removed": [REF], "dry_run": True}
    assert len(ModelRegistry().list_models()) == 2
    assert eyevsai("models", "prune", "--yes").out == f"removed {REF}\n"
    assert eyevsai("models", "prune").out == "nothing to remove\n"
    assert eyevsai("models", "rm", "mean", "--yes", "--json").json["removed"]
    assert ModelRegistry().list_models() == []


def test_another_registry(eyevsai: Command, data: Path, tmp_path: Path) -> None:
    where = ("--registry", tmp_path / "elsewhere")
    eyevsai("train", "mean", "--data", data, "--image-size", 32, *where)
    assert REF in eyevsai("models", "list", *where).out
    assert REF not in eyevsai("models", "list").out
    assert json.loads(eyevsai("models", "show", "mean", "--json", *where).out)["ref"] == REF


def test_an_artefact_that_does_not_load_is_found(eyevsai: Command, model: dict[str, Any]) -> None:
    place = Path(model["path"])
    (place / "model.onnx").chmod(0o644)
    (place / "model.onnx").write_bytes(b"junk")
    card = json.loads((place / "card.json").read_text())
    card["files"]["model.onnx"] = hashlib.sha256(b"junk").hexdigest()
    (place / "card.json").write_text(json.dumps(card))
    said = eyevsai("models", "verify")
    assert said.code == 1
    assert "✗ mean/plain/tiny@1\n    " in said.out


def test_a_card_without_figures_is_a_row(eyevsai: Command, model: dict[str, Any]) -> None:
    path = Path(model["path"]) / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "metrics": {}}))
    (_, row) = eyevsai("models", "list").out.splitlines()
    assert row.split()[0] == REF
    assert "%" not in row
    assert eyevsai("models", "show", REF).code == 0


@pytest.mark.usefixtures("model")
def test_who_sits_there_is_asked(eyevsai: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [False, True]

    def confirm(question: str, **options: bool) -> None:
        assert question == f"Remove {REF}?"
        assert options["err"]
        if not answers.pop(0):
            raise typer.Abort

    monkeypatch.setattr(models, "_somebody_is_here", lambda: True)
    monkeypatch.setattr(typer, "confirm", confirm)
    said = eyevsai("models", "rm", REF)
    assert (said.code, said.err) == (1, "aborted\n")
    assert eyevsai("models", "rm", REF).out == f"removed {REF}\n"
