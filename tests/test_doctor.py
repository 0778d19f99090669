from __future__ import annotations

import importlib.metadata
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eyevsai_core import doctor, families
from eyevsai_core.classifier import OnnxClassifier
from eyevsai_core.doctor import examine
from eyevsai_core.errors import ExportError, PluginError
from eyevsai_core.families import FamilyInfo

if TYPE_CHECKING:
    from collections.abc import Callable

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    row = FamilyInfo(name="odd", status="broken", distribution="eyevsai-odd", reason="it fell over")
    monkeypatch.setattr(doctor, "list_families", lambda: (row,))


def states() -> dict[str, str]:
    return {finding.check: finding.state for finding in examine()}


def test_a_sound_installation_is_sound() -> None:
    found = states()
    assert found["inference"] == "ok"
    assert found["models and runs"] == "ok"
    assert found["EYEVSAI_HOME"] == "ok"
    assert found["eyevsai-core"] == "ok"


def test_a_broken_family_is_a_failure_with_its_reason() -> None:
    (finding,) = (f for f in examine() if f.check == "family odd")
    assert finding.state == "fail"
    assert "it fell over" in finding.text


def test_clashing_families_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def clash() -> None:
        raise PluginError("two packages offer a family 'x'")

    monkeypatch.setattr(doctor, "list_families", clash)
    assert states()["families"] == "fail"


def test_a_folder_that_cannot_be_written_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EYEVSAI_HOME", str(tmp_path / "file" / "home"))
    (finding,) = (f for f in examine() if f.check == "models and runs")
    assert finding.state == "fail"
    assert "set EYEVSAI_HOME" in finding.text


def test_little_disk_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 10**8

    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: Usage)
    assert states()["cache"] == "warn"


def test_a_runtime_that_answers_wrongly_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong: Callable[..., Any] = lambda *_: {"bright": 0.1, "dark": 0.9}  # noqa: E731
    monkeypatch.setattr(OnnxClassifier, "predict", wrong)
    assert states()["inference"] == "fail"


def test_known_families_are_named_by_their_packages() -> None:
    assert families.KNOWN_FAMILIES["shallow"]


def test_a_package_that_is_missing_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    version = importlib.metadata.version

    def without_onnx(name: str) -> str:
        if name == "onnx":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without_onnx)
    (finding,) = (f for f in examine() if f.check == "onnx")
    assert (finding.state, finding.text) == ("fail", "not installed; run: pip install onnx")


def test_memory_is_told_where_the_system_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def system() -> str:
        return next(finding.text for finding in examine() if finding.check == "system")

    assert system().endswith("GiB memory")
    monkeypatch.setattr(os, "sysconf_names", {})
    assert system().endswith("cores")


def test_an_artefact_that_cannot_be_built_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ExportError("no such operator")

    monkeypatch.setattr(doctor, "build_artefact", fail)
    (finding,) = (f for f in examine() if f.check == "inference")
    assert finding.state == "fail"
    assert finding.text == ("no such operator; run: pip install --force-reinstall onnxruntime")
