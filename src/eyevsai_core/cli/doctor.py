"""`eyevsai doctor`: is everything here that is needed, and what to do if not."""

from __future__ import annotations

from collections import Counter

import typer
from rich.text import Text

from eyevsai_core.cli.console import EXIT_ERROR, print_json, printable, say, show, table
from eyevsai_core.cli.help import Command
from eyevsai_core.cli.options import Json

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_SIGNS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


@app.command(cls=Command, epilog="eyevsai doctor\neyevsai doctor --json")
def doctor_command(*, as_json: Json = False) -> None:
    """Check Python, packages, families, the runtime, folders and disks; say what to do."""
    from eyevsai_core.doctor import examine

    findings = examine()
    states = Counter(found.state for found in findings)
    if as_json:
        plain = [{"check": f.check, "state": f.state, "text": f.text} for f in findings]
        print_json({"ok": not states["fail"], "findings": plain})
    else:
        rows = table("", "check", "", whole=("check",))
        rows.show_header = False
        for found in findings:
            rows.add_row(Text(*_SIGNS[found.state]), Text(found.check), printable(found.text))
        show(rows)
        say()
        say(_verdict(states))
    if states["fail"]:
        raise typer.Exit(EXIT_ERROR)


def _verdict(states: Counter[str]) -> Text:
    if states["fail"]:
        return Text(f"{states['fail']} of these must be mended before eyevsai works", "red")
    if states["warn"]:
        return Text(f"everything that is needed is here; {states['warn']} hints above", "green")
    return Text("everything is here", "green")
