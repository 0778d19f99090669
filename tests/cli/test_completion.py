from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from eyevsai_core import families
from eyevsai_core.cli import completion
from eyevsai_core.errors import PluginError
from eyevsai_core.model_registry import ModelRegistry
from eyevsai_core.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Command = Callable[..., Any]


@pytest.fixture
def complete(eyevsai: Command, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Press TAB after the last word; return what is offered."""

    def press(*words: str) -> list[str]:
        monkeypatch.setenv("_EYEVSAI_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", " ".join(["eyevsai", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        said = eyevsai()
        assert said.err == ""
        return list(said.out.split())

    return press


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["tr"], ["train"]),
        (["models", "ver"], ["verify"]),
        (["install", "d"], ["deep-v1"]),
        (["train", "me"], ["mean", "mean/plain"]),
        (["train", "mean/"], ["mean/plain"]),
        (["train", "mean", "--sharp"], ["--sharpness"]),
        (["train", "mean", "--fail", "in"], ["interrupt"]),
        (["train", "mean", "--data", "doo"], ["doodles"]),
        (["evaluate", "x", "--split", "t"], ["train", "test"]),
        (["export", "x", "--format", "n"], ["native"]),
        (["train", "--resume", "l"], ["last"]),
        (["train", "odd", "--epo"], []),
        (["nonsense", "--he"], ["--help"]),
    ],
)
def test_what_is_offered(complete: Callable, words: list[str], offered: list[str]) -> None:
    assert complete(*words) == offered


@pytest.mark.usefixtures("model")
def test_models_and_aliases(complete: Callable) -> None:
    series = "mean/plain/tiny"
    assert complete("predict", "--model", "me") == [
        series,
        f"{series}@best",
        f"{series}@latest",
        f"{series}@1",
    ]
    assert complete("evaluate", "la") == ["latest"]
    ModelRegistry().set_alias(ModelRegistry().resolve(series), "production")
    assert complete("models", "alias", series, "p") == ["production"]


def test_runs(complete: Callable) -> None:
    run = Run.create(family="mean", variant="plain", dataset="tiny", config={})
    assert complete("runs", "show", run.id[:8]) == [run.id]


def test_folders_and_tables(
    complete: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pictures/cats", "pictures/.hidden"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("pictures.csv", "pictures.jsonl", "pictures.txt"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert complete("data", "info", "p") == ["pictures/", "pictures.csv", "pictures.jsonl"]
    assert complete("data", "info", "pictures/") == ["pictures/cats/"]
    assert complete("data", "info", "nowhere/") == []


def test_what_cannot_be_read_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise PluginError("two packages offer a family 'mean'")

    monkeypatch.setattr(families, "list_families", fail)
    assert completion.complete_families("") == []
    monkeypatch.setattr(ModelRegistry, "list_models", fail)
    assert completion.complete_models("") == []
    assert completion.complete_aliases("") == []
    monkeypatch.setattr("eyevsai_core.run.list_runs", fail)
    assert completion.complete_runs("") == []


def test_the_script_of_a_shell(eyevsai: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "")
    monkeypatch.setattr("shellingham.detect_shell", lambda *_: ("bash", "/bin/bash"))
    said = eyevsai("--show-completion")
    assert said.code == 0
    assert "_EYEVSAI_COMPLETE=complete_bash" in said.out


def test_installing_the_script(
    eyevsai: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("shellingham.detect_shell", lambda *_: ("bash", "/bin/bash"))
    monkeypatch.setenv("HOME", str(tmp_path))
    said = eyevsai("--install-completion")
    assert said.code == 0
    assert "eyevsai" in (tmp_path / ".bash_completions" / "eyevsai.sh").read_text()
    (tmp_path / ".bashrc").unlink()
    (tmp_path / ".bashrc").mkdir()
    said = eyevsai("--install-completion")
    assert said.code == 1
    assert "print it with --show-completion" in said.err
