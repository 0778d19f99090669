"""Completion in the shell: putting the script where the shell finds it, or printing it."""

from __future__ import annotations

import sys

from typer import completion

from eyevsai_core.cli.console import say
from eyevsai_core.errors import OutputError

__all__ = ["set_up_completion"]

_NAME, _VARIABLE = "eyevsai", "_EYEVSAI_COMPLETE"


def set_up_completion(*, install: bool) -> None:
    """Install the completion script for the shell that this runs in, or print it.

    Raises `OutputError` when a file of the shell cannot be written.
    """
    if not install:
        shell = completion._get_shell_name() or "bash"  # noqa: SLF001  Typer offers no other way
        script = completion.get_completion_script(
            prog_name=_NAME, complete_var=_VARIABLE, shell=shell
        )
        sys.stdout.write(script + "\n")
        return
    try:
        shell, path = completion.install(prog_name=_NAME, complete_var=_VARIABLE)
    except OSError as error:
        raise OutputError(
            f"cannot write the completion script: {error}; print it with --show-completion"
        ) from error
    say(f"completion for {shell} is in {path}; it works in every shell that you open from now on")
