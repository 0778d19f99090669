"""`eyevsai runs`: what was tried, and how it ended."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from eyevsai_core.cli.completion import complete_runs
from eyevsai_core.cli.console import (
    facts,
    print_json,
    printable,
    say,
    show,
    status_text,
    table,
    value_text,
)
from eyevsai_core.cli.help import Command, Group, indented
from eyevsai_core.cli.options import Json
from eyevsai_core.errors import RunError

if TYPE_CHECKING:
    from eyevsai_core.run import Run

app = typer.Typer(
    cls=Group,
    add_completion=False,
    rich_markup_mode=None,
    help="Look at training runs: what was asked, how it went, how it ended.",
    epilog="eyevsai runs list\neyevsai runs show\neyevsai train --resume",
)

_RESUMABLE = ("failed", "killed")
_LINES = 20


@app.command("list", cls=Command)
def list_all(
    *,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, help="only the newest N")
    ] = 20,
    as_json: Json = False,
) -> None:
    """List the newest runs, the last one last."""
    from eyevsai_core.run import list_runs

    runs = list_runs()[-limit:]
    if as_json:
        print_json({"runs": [{"run": run.id, **_info(run)} for run in runs]})
        return
    if not runs:
        say(("no runs yet; begin one:  ", "dim"), "eyevsai train shallow --data doodles")
        return
    rows = table("run", "state", "result", whole=("run", "state"))
    infos = [(run, _info(run)) for run in runs]
    for run, info in infos:
        result = info.get("ref") if info["state"] == "ok" else info.get("reason")
        rows.add_row(Text(run.id, "cyan"), status_text(info["state"]), printable(result or ""))
    show(rows)
    if any(info["state"] in _RESUMABLE for _, info in infos):
        say(("\ngo on with one:  ", "dim"), "eyevsai train --resume RUN")


@app.command("show", cls=Command, epilog="eyevsai runs show")
def show_run(
    name: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="a run's name or folder (default: the newest)",
            autocompletion=complete_runs,
        ),
    ] = "",
    *,
    as_json: Json = False,
) -> None:
    """Show a run: what was asked, how it stands, what it reported."""
    from eyevsai_core.run import find_run, list_runs

    runs = list_runs()
    if not name and not runs:
        raise RunError("there is no run yet; begin one: eyevsai train shallow --data doodles")
    run = find_run(name) if name else runs[-1]
    info, asked, history = _info(run), run.config, run.history()
    if as_json:
        plain = {"run": run.id, **info, "folder": run.folder}
        print_json({**plain, "config": asked, "history": [_plain(row) for row in history]})
        return
    state = {key: value for key, value in info.items() if key not in ("state", "started")}
    options = asked.get("options", {})
    show(
        Text.assemble((run.id, "bold"), "  ", status_text(str(info["state"]))),
        indented(facts({**state, "folder": run.folder, "command": asked.get("command", "")})),
        Text("\nOptions", "bold"),
        indented(facts({key: value_text(value) for key, value in options.items()})),
        *_history(history),
    )
    if info["state"] in _RESUMABLE:
        say(("\ngo on:  ", "dim"), f"eyevsai train --resume {run.id}")


def _info(run: Run) -> dict[str, Any]:
    """Return a run's state; a damaged run is a row too."""
    try:
        return {"state": "", **run.info}
    except RunError as error:
        return {"state": "damaged", "reason": str(error)}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return a step of the history as JSON knows it: a loss that is no number is null."""
    metrics = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row["metrics"].items()
    }
    return {**row, "metrics": metrics}


def _history(history: list[dict[str, Any]]) -> list[Any]:
    """Draw the last reported steps, a column for each metric."""
    if not history:
        return []
    shown = history[-_LINES:]
    names = list(dict.fromkeys(name for row in shown for name in row["metrics"]))
    rows = table("step", *(name.replace("_", " ") for name in names))
    for row in shown:
        cells = (_number(row["metrics"].get(name, "")) for name in names)
        rows.add_row(f"{row['step']}/{row['total']}", *cells)
    return [Text("\nHistory", "bold"), indented(rows)]


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else printable(value)
