"""The documents are true: links lead somewhere, imports exist, commands and their options exist."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from eyevsai_core.cli.family_options import TrainCommand
from eyevsai_core.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("plugins/*/*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of one language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text("utf-8")):
        if not target.startswith(("https://", "#")):
            assert (page.parent / target.split("#")[0]).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_python_blocks_import_exists(page: Path) -> None:
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("eyevsai_core"):
                module = importlib.import_module(str(node.module))
                for alias in node.names:
                    assert hasattr(module, alias.name), f"{page.name}: {alias.name}"


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    linked = set(LINK.findall(index))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"} <= linked


def family_options() -> set[str]:
    """Return the options of every family, installed or not: what their configs declare."""
    configs = ROOT.glob("plugins/*/src/*/config.py")
    names = [
        name
        for config in configs
        for name in re.findall(
            r"^    (\w+): .* = option\(", config.read_text("utf-8"), re.MULTILINE
        )
    ]
    return {f"--{name.replace('_', '-')}" for name in names}


def spoken_commands() -> list[tuple[str, str]]:
    """Return (page, command line) of every `eyevsai ...` that a page shows."""
    found = []
    for page in PAGES:
        lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
        lines += re.findall(r"`(eyevsai [a-z][^`\n]*)`", page.read_text("utf-8"))
        found += [(name_of(page), line) for line in lines if line.startswith("eyevsai ")]
    return found


@pytest.mark.parametrize(("page", "line"), spoken_commands())
def test_the_commands_that_documents_show_exist(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    command: Any = typer.main.get_command(app)
    while words and getattr(command, "list_commands", None) and not words[0].startswith("-"):
        command = command.get_command(typer.Context(command), words.pop(0))
        assert command is not None, f"{page}: {line}"
    known = {spelling for option in command.params for spelling in option.opts} | {"--help"}
    known |= family_options() if isinstance(command, TrainCommand) else set()
    unknown = {word.split("=")[0] for word in words if word.startswith("-")} - known
    assert not unknown, f"{page}: {line}"


def test_the_page_of_commands_names_them_all() -> None:
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    root: Any = typer.main.get_command(app)
    for name in root.list_commands(None):
        command = root.get_command(None, name)
        below = command.list_commands(None) if hasattr(command, "list_commands") else [""]
        for part in below:
            assert f"`eyevsai {name} {part}".strip() in page, f"{name} {part}"
