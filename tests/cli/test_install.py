from __future__ import annotations

import importlib.util
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from eyevsai_core import families
from eyevsai_core.families import FamilyInfo

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def pretend(monkeypatch: pytest.MonkeyPatch, code: int) -> list[list[str]]:
    """Let no installer run; return the commands that would have."""
    ran: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        return subprocess.CompletedProcess(command, code)

    monkeypatch.setattr(subprocess, "run", run)
    return ran


PIP = [sys.executable, "-m", "pip", "install", "eyevsai-deep-v1"]


def test_dry_run_only_says_it(eyevsai: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = pretend(monkeypatch, 0)
    said = eyevsai("install", "deep-v1", "--dry-run")
    assert shlex.split(said.out) == PIP
    assert ran == []
    assert eyevsai("install", "deep-v1", "--dry-run", "--json").json["state"] == "dry run"


def test_runs_pip_and_says_so(eyevsai: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = pretend(monkeypatch, 0)
    said = eyevsai("install", "deep-v1")
    assert said.code == 0
    assert ran == [PIP]
    assert said.err == f"running {shlex.join(PIP)}\n"
    assert "deep-v1 is installed" in said.out
    said = eyevsai("install", "deep-v1", "--json")
    assert said.json == {"family": "deep-v1", "state": "installed", "command": PIP}


def test_failure_of_the_installer(eyevsai: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 7)
    said = eyevsai("install", "deep-v1", "--json")
    assert said.code == 1
    assert "ended with 7" in said.json["error"]
    assert said.json["kind"] == "MissingDependencyError"


def test_what_is_ready_is_left_alone(eyevsai: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = pretend(monkeypatch, 0)
    assert "ready already" in eyevsai("install", "mean").out
    assert ran == []


def test_unknown_family(eyevsai: Callable) -> None:
    said = eyevsai("install", "dep-v1")
    assert said.code == 1
    assert "Did you mean 'deep-v1'?" in said.err


def test_without_pip(eyevsai: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pip" else found(name)
    )
    monkeypatch.setattr(shutil, "which", lambda _: "/bin/uv")
    said = eyevsai("install", "deep-v1", "--dry-run").out
    assert said.startswith("/bin/uv pip install --python ")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    said = eyevsai("install", "deep-v1", "--dry-run")
    assert said.code == 1
    assert "ensurepip" in said.err


def test_what_the_family_itself_asks_for(
    eyevsai: Callable, monkeypatch: pytest.MonkeyPatch, mean_family: Any
) -> None:
    family = replace(mean_family, requirements=("engine>=2", "wheels"))
    row = FamilyInfo(name="mean", status="missing", distribution="x", family=family)
    monkeypatch.setattr(families, "list_families", lambda: (row,))
    assert eyevsai("install", "mean", "--dry-run").out.endswith("'engine>=2' wheels\n")
