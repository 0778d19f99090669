from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eyevsai_core.model_registry import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., Any]

REF = "mean/plain/tiny@1"


@pytest.fixture
def two(eyevsai: Command, data: Path, model: dict[str, Any]) -> dict[str, Any]:
    """Two versions; the second is the latest."""
    said = eyevsai("train", "mean", "--data", data, "--image-size", 32, "--json")
    assert said.json["ref"] == "mean/plain/tiny@2"
    return model


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


@pytest.mark.parametrize("name", [REF, "mean/plain/tiny", "mean/plain", "mean", "production", "latest"])
def test_show_by_any_name(eyevsai: Command, model: dict[str, Any], name: str) -> None:
    eyevsai("models", "alias", REF, "production")
    said = eyevsai("models", "show", name)
    assert said.code == 0, said.err
    assert said.out.startswith(REF)
    for word in ("sharpness", "across, down", "test", "SHA-256", "numpy", "calibration"):
        assert word in said.out
    assert eyevsai("models", "show", name, "--json").json["ref"] == model["ref"]


def test_names_that_mean_nothing_or_too_much(
    eyevsai: Command, two: dict[str, Any], data: Path
) -> None:
    said = eyevsai("models", "show", "maen")
    assert said.code == 1
    assert "no model is called 'maen'" in said.err
    other = data.rename(data.with_name("other"))
    eyevsai("train", "mean", "--data", other, "--image-size", 32)
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
