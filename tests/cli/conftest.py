"""Fixtures of the command line's tests: a small family, a small data set, a trained model."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from eyevsai_core import families
from eyevsai_core.cli.main import app
from eyevsai_core.families import FamilyInfo
from eyevsai_core.model_registry import ModelRegistry
from eyevsai_core.testing import tiny_dataset

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., "Said"]

TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(scope="session")
def mean_family() -> Any:
    """The family of the tests: nearest class mean, in numpy."""
    if "mean_family" not in sys.modules:
        spec = importlib.util.spec_from_file_location("mean_family", TESTS / "mean_family.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules["mean_family"] = module
        spec.loader.exec_module(module)
    return sys.modules["mean_family"].FAMILY


@pytest.fixture(autouse=True)
def rows(monkeypatch: pytest.MonkeyPatch, mean_family: Any) -> tuple[FamilyInfo, ...]:
    """What `list` shows: one family that is ready, one that is missing, one that is broken."""
    found = (
        FamilyInfo(
            name="deep-v1",
            status="missing",
            distribution="eyevsai-deep-v1",
            install="pip install eyevsai-deep-v1",
            summary="convolutional networks",
            framework="PyTorch",
        ),
        FamilyInfo(
            name="mean",
            status="ready",
            distribution="eyevsai-core",
            version="1",
            family=mean_family,
            summary=mean_family.summary,
            framework=mean_family.framework,
        ),
        FamilyInfo(
            name="odd",
            status="broken",
            distribution="odd-package",
            version="2",
            reason="ImportError: no [bold]engine[/]",
        ),
    )
    monkeypatch.setattr(families, "list_families", lambda: found)
    return found


def run(*words: object, stdin: bytes | str = b"") -> Said:
    """Run the command line in this process; a bug in it is an error of the test."""
    result = CliRunner().invoke(app, [str(word) for word in words], input=stdin)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def eyevsai() -> Command:
    """The command line: called with words, returns what it said."""
    return run


@pytest.fixture(scope="session")
def trained(mean_family: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A model that is trained once for all tests: what `train --json` says of it."""
    info = FamilyInfo(name="mean", status="ready", distribution="x", family=mean_family)
    data = tiny_dataset(tmp_path_factory.mktemp("session") / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(families, "list_families", lambda: (info,))
        said = run("train", "mean", "--data", data, "--image-size", 32, "--json")
    assert said.code == 0, said.out + said.err
    return {**said.json, "data": data}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of two labels, split; the test may change it."""
    return tiny_dataset(tmp_path / "tiny")


@pytest.fixture
def model(trained: dict[str, Any]) -> dict[str, Any]:
    """The trained model, copied into this test's own registry; the test may change it."""
    place = ModelRegistry().root / "mean" / "plain" / "tiny" / "1"
    shutil.copytree(trained["path"], place)
    return {**trained, "path": str(place)}


@pytest.fixture
def picture(data: Path) -> Path:
    """A picture of the label `across`."""
    return min((data / "test" / "across").iterdir())
