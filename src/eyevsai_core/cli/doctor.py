"""``eyevsai doctor``: is everything here that is needed, and what to do if not."""

from __future__ import annotations

import typer

from eyevsai_core.cli.console import FAILED, print_json, stdout
from eyevsai_core.cli.options import Json

__all__ = ["doctor_command"]

_COLOUR = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor_command(*, as_json: Json = False) -> None:
    """Check Python, packages, families, folders and the runtime; say what to do."""
    from rich.markup import escape

    from eyevsai_core.doctor import examine

    findings = examine()
    if as_json:
        print_json([{"check": f.check, "state": f.state, "text": f.text} for f in findings])
    else:
        out = stdout()
        for f in findings:
            out.print(f"[{_COLOUR[f.state]}]{f.state:>4}[/]  [bold]{f.check}[/]  {escape(f.text)}")
    if any(f.state == "fail" for f in findings):
        raise typer.Exit(FAILED)
