from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer

import eyevsai_core
from eyevsai_core.cli import main as main_module
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


@pytest.mark.parametrize("group", ["models", "data", "runs"])
def test_every_command_of_a_group_has_a_help_page(eyevsai: Callable, group: str) -> None:
    page = eyevsai(group, "--help").out
    names = page.partition("Commands\n")[2].partition("\n\n")[0].splitlines()
    assert len(names) > 1
    for line in names:
        name = line.split()[0]
        said = eyevsai(group, name, "--help")
        assert said.out.startswith(f"usage: eyevsai {group} {name}")


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


def test_a_broken_pipe_and_a_refusal_end_with_1(
    eyevsai: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    silenced = []
    errors: list[type[BaseException]] = [BrokenPipeError, typer.Abort]

    def stop() -> None:
        raise errors.pop(0)

    monkeypatch.setattr(main_module, "_silence", silenced.append)
    monkeypatch.setattr("eyevsai_core.families.list_families", stop)
    assert (eyevsai("list").code, len(silenced)) == (1, 1)
    said = eyevsai("list")
    assert (said.code, said.err) == (1, "aborted\n")


def test_within_another_program_the_code_is_returned() -> None:
    command = typer.main.get_command(main_module.app)
    assert command.main(["--version"], standalone_mode=False) == 0
    assert command.main(["models", "list", "--nope"], standalone_mode=False) == 2


def test_streams_that_cannot_be_told_how_to_write() -> None:
    screen = io.StringIO()
    with redirect_stdout(screen), redirect_stderr(screen):
        assert (
            typer.main.get_command(main_module.app).main(["--version"], standalone_mode=False) == 0
        )
    assert screen.getvalue().startswith("eyevsai ")


def test_what_is_silenced_says_nothing(tmp_path: Path) -> None:
    with (tmp_path / "said").open("w") as stream:
        main_module._silence(stream)
        stream.write("words")
    assert (tmp_path / "said").read_text() == ""


def test_the_console_script(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["eyevsai", "--version"])
    with pytest.raises(SystemExit) as end:
        main_module.main()
    assert end.value.code == 0
    assert capsys.readouterr().out == f"eyevsai {eyevsai_core.__version__}\n"


def test_a_group_alone_prints_its_help_page(eyevsai: Callable) -> None:
    assert eyevsai("models").out == eyevsai("models", "--help").out


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
    done = start("train", "sad", "--data", "doodles", PYTHONPATH=where)
    assert done.returncode == 1
    warning, error = done.stderr.splitlines()
    assert warning.startswith("warning: ")
    assert error.startswith("error: ")
    assert "RuntimeError: no engine" in error
