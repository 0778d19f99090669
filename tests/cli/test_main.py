from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import eyevsai_core
from eyevsai_core.cli.main import _NAMES
from eyevsai_core.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable

SRC = Path(eyevsai_core.__file__).parents[1]
HEAVY = {
    "PIL",
    "keras",
    "numpy",
    "onnx",
    "onnxruntime",
    "pydantic",
    "rich.markdown",
    "sklearn",
    "tensorflow",
    "torch",
}
START = """
import json, sys
from eyevsai_core.cli.main import main
sys.argv[0] = "eyevsai"
try:
    main()
finally:
    print("\\n" + json.dumps(sorted(sys.modules)))
"""


def start(*words: str, code: str = START, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(SRC), **settings}
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        check=False,
        env=environment,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "words",
    [["--help"], ["list"], ["list", "--json"], ["train", "--help"], ["models", "--help"], []],
    ids=lambda words: " ".join(words) or "alone",
)
def test_what_must_be_instant_loads_nothing_heavy(words: list[str]) -> None:
    done = start(*words)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert not set(json.loads(done.stdout.splitlines()[-1])) & HEAVY


@pytest.mark.parametrize("name", _NAMES)
def test_every_command_has_a_help_page(eyevsai: Callable, name: str) -> None:
    said = eyevsai(name, "--help")
    assert said.code == 0
    assert said.out.startswith(f"usage: eyevsai {name}")
    assert "--help" in said.out
    assert not [line for line in said.out.splitlines() if len(line) > 100 or line.endswith(" ")]


def test_the_first_page_names_every_command(eyevsai: Callable) -> None:
    alone, asked = eyevsai(), eyevsai("--help")
    assert alone.out.strip() == asked.out.strip()
    assert alone.code == asked.code == 0
    assert all(f"\n  {name} " in asked.out for name in _NAMES)


def test_version(eyevsai: Callable) -> None:
    assert eyevsai("--version").out == f"eyevsai {eyevsai_core.__version__}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "Did you mean 'train'?"),
        (["--versoin"], "no such option: --versoin. Did you mean '--version'?"),
        (["models", "list", "--jsn"], "no such option: --jsn. Did you mean '--json'?"),
        (["predict"], "missing argument 'FILES...'"),
        (["predict", "a.png", "--top", "0"], "--top"),
        (["models", "lst"], "lst"),
    ],
)
def test_wrong_words_are_a_usage_error(eyevsai: Callable, words: list[str], message: str) -> None:
    said = eyevsai(*words)
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert message in said.err
    assert "--help" in said.err


def test_wrong_words_as_json(eyevsai: Callable) -> None:
    said = eyevsai("models", "list", "--jsn", "--json")
    assert said.code == 2
    assert said.json["kind"] == "UsageError"
    assert "--jsn" in said.json["error"]
    assert said.err == ""


def test_an_error_is_one_line_and_no_traceback(
    eyevsai: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise DatasetError("no picture \x1b[31m in 'x'")

    monkeypatch.setattr("eyevsai_core.families.list_families", fail)
    said = eyevsai("list")
    assert (said.code, said.out) == (1, "")
    assert said.err == "error: no picture \\x1b[31m in 'x'\n"
    said = eyevsai("list", "--json")
    assert said.code == 1
    assert said.json == {"error": "no picture \x1b[31m in 'x'", "kind": "DatasetError", "exit": 1}
    assert said.err == ""


def test_a_bug_keeps_its_traceback(eyevsai: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("eyevsai_core.families.list_families", fail)
    with pytest.raises(ZeroDivisionError):
        eyevsai("list")


def test_ctrl_c_ends_with_130(eyevsai: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("eyevsai_core.families.list_families", stop)
    said = eyevsai("list")
    assert said.code == 130
    assert said.err == "interrupted\n"


def test_a_reader_that_goes_away_is_no_error() -> None:
    code = "from eyevsai_core.cli.main import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(SRC)},
    ) as child:
        assert child.stdout
        assert child.stderr
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 1


def test_a_terminal_without_unicode_is_no_error() -> None:
    done = start("--version", "--help", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    done = start("list", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr


def test_a_broken_plugin_is_one_line_and_the_rest_works(tmp_path: Path) -> None:
    package = tmp_path / "sad-3.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: sad\nVersion: 3\n")
    (package / "entry_points.txt").write_text("[eyevsai]\nsad = sad_plugin\n")
    (tmp_path / "sad_plugin.py").write_text("raise RuntimeError('no engine')\n")
    where = os.pathsep.join([str(SRC), str(tmp_path)])
    assert start("--help", PYTHONPATH=where).returncode == 0
    done = start("list", PYTHONPATH=where)
    assert done.returncode == 0
    assert "sad  Broken  sad 3" in done.stdout
    assert len(done.stderr.splitlines()) == 1
    assert "RuntimeError: no engine" in done.stderr
