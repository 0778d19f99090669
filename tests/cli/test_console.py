from __future__ import annotations

import doctest
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.text import Text

from eyevsai_core.cli import console

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_examples_of_the_docstrings() -> None:
    assert doctest.testmod(console).failed == 0


def test_a_pipe_is_wide_and_lines_have_no_spaces_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS")
    rows = console.table("name", "", whole=("name",))
    rows.add_row("short", "x" * 120)
    console.show(rows)
    assert capsys.readouterr().out == f"name\nshort   {'x' * 120}\n"


def test_a_terminal_gets_colours_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def said() -> str:
        screen = Terminal()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", screen)
            console.show(Text("word", "red"))
            console.say(("word", "red"))
        return screen.getvalue()

    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[" not in said()
    monkeypatch.delenv("NO_COLOR")
    assert said().count("\x1b[31m") == 2


def test_json_stays_json_whatever_the_pipe_can_carry(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding in ("utf-8", "ascii", "latin-1"):
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace")
        monkeypatch.setattr(sys, "stdout", stream)
        console.print_json({"name": "né\udc80✓", "path": Path("a")})
        stream.flush()
        assert json.loads(raw.getvalue().decode(encoding)) == {"name": "né\udc80✓", "path": "a"}


def test_bar() -> None:
    assert console.bar(0.5, width=4).plain == "██  "
    assert console.bar(0.03, width=4).plain == "▏   "
    assert console.bar(7, width=2).plain == "██"
    assert console.bar(-1, width=2).plain == "  "


@pytest.mark.parametrize(
    ("value", "text"), [(None, "none"), (True, "true"), (0.5, "0.5"), ("a\nb", "a\\nb")]
)
def test_values_are_written_as_they_are_typed(value: object, text: str) -> None:
    assert console.value_text(value) == text


def test_large_sizes() -> None:
    assert console.bytes_text(3e15) == "3000.0 TB"


def test_facts_leave_out_what_is_empty() -> None:
    assert console.facts({"a": "", "b": None, "c": 0}).row_count == 1


def test_help_pages_keep_paragraphs(eyevsai: Callable) -> None:
    said = eyevsai("data", "check", "--help").out
    assert "between splits and contradictions.\n\n  Ends with 1 when" in said
