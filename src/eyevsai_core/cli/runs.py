"""``eyevsai runs``: what was tried, and how it ended."""

from __future__ import annotations

from typing import Annotated

import typer

from eyevsai_core.cli.console import plain, print_json, print_table
from eyevsai_core.cli.options import Json

__all__ = ["app"]

app = typer.Typer(help="List and show training runs.", no_args_is_help=True)


@app.command("list")
def list_all(*, as_json: Json = False) -> None:
    """List the runs with their states."""
    from eyevsai_core.run import list_runs

    infos = [{"run": run.id, **run.info} for run in list_runs()]
    if as_json:
        print_json(infos)
        return
    if not infos:
        plain("no runs yet")
        return
    print_table(
        ("run", "state", "model or reason"),
        [(i["run"], i["state"], i.get("ref") or i.get("reason", "")) for i in infos],
    )


@app.command("show")
def show(
    run: Annotated[str, typer.Argument(help="Name or folder of a run; last: the last one open.")],
    *,
    as_json: Json = False,
) -> None:
    """Show a run: what was asked, how it stands, what it reported."""
    from eyevsai_core.run import find_run

    found = find_run(run)
    if as_json:
        print_json(
            {"run": found.id, **found.info, "config": found.config, "history": found.history()}
        )
        return
    for key, value in {**found.info, "folder": str(found.folder)}.items():
        plain(f"{key:>12}  {value}")
    for row in found.history():
        metrics = "  ".join(f"{k} {v:.4g}" for k, v in row["metrics"].items())
        plain(f"{row['step']:>5}/{row['total']}  {metrics}")
