"""Completion in the shell: Typer knows the shells, and is asked as any program would ask it."""

from __future__ import annotations

import os
from typing import Any

import typer

from eyevsai_core.errors import OutputError

__all__ = ["asked_by_shell", "set_up_completion"]

_VARIABLE = "_EYEVSAI_COMPLETE"


def asked_by_shell() -> bool:
    """Say whether a shell asks for completions; if so, let Typer get ready to answer it."""
    if _VARIABLE not in os.environ:
        return False
    _helper()
    return True


def set_up_completion(*, install: bool) -> None:
    """Install the completion script of the shell that this runs in, or print it, and end.

    Raises `OutputError` when a file of the shell cannot be written.
    """
    flag = "--install-completion" if install else "--show-completion"
    try:
        _helper().main([flag], prog_name="eyevsai")
    except OSError as error:
        raise OutputError(
            f"cannot write the completion script: {error}; print it with --show-completion"
        ) from error


def _helper() -> Any:
    """Return an application that has Typer's own completion flags.

    Ours has not: with them every start, ``--help`` included, would load pydantic.
    """
    helper = typer.Typer(add_completion=True, rich_markup_mode=None)

    @helper.command()
    def nothing() -> None:
        """Stand for the program."""

    return typer.main.get_command(helper)
