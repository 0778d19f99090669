"""`eyevsai install`: a model family into this environment."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from eyevsai_core.cli.completion import complete_families
from eyevsai_core.cli.console import note, print_json, say
from eyevsai_core.cli.help import Command
from eyevsai_core.cli.options import Json
from eyevsai_core.errors import MissingDependencyError, UnknownFamilyError, did_you_mean

if TYPE_CHECKING:
    from eyevsai_core.families import FamilyInfo

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=Command, epilog="eyevsai install shallow\neyevsai install deep-v1 --dry-run")
def install_command(
    family: Annotated[
        str,
        typer.Argument(
            metavar="FAMILY",
            help="a family that `eyevsai list` shows as missing",
            autocompletion=complete_families,
        ),
    ],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would be run")] = False,
    as_json: Json = False,
) -> None:
    """Install a model family into the environment that eyevsai runs in, and say what is run."""
    row = _find(family)
    command = [*_installer(), *_wanted(row)]
    if row.status == "ready":
        state = "ready"
    elif dry_run:
        state = "dry run"
    else:
        state = "installed"
        note(("running ", "dim"), shlex.join(command))
        _run(command)
    if as_json:
        print_json({"family": family, "state": state, "command": command})
    elif state == "ready":
        say(f"{family} is ready already: {row.distribution} {row.version}")
    elif state == "dry run":
        say(shlex.join(command))
    else:
        say(("✓ ", "green"), f"{family} is installed; see what it offers with: eyevsai list")


def _find(family: str) -> FamilyInfo:
    from eyevsai_core.families import list_families

    rows = {row.name: row for row in list_families()}
    name = family.partition("/")[0]
    if name not in rows:
        raise UnknownFamilyError(
            f"unknown model family {name!r}; known: {', '.join(rows)}." + did_you_mean(name, rows)
        )
    return rows[name]


def _wanted(row: FamilyInfo) -> list[str]:
    """Return what the family says it needs, or the package that brings it."""
    if row.family and row.family.requirements:
        return list(row.family.requirements)
    return [row.distribution]


def _installer() -> list[str]:
    """Return how packages get into this environment: pip, or uv where there is no pip."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install"]
    uv = shutil.which("uv")
    if uv:
        return [uv, "pip", "install", "--python", sys.executable]
    raise MissingDependencyError(
        f"neither pip nor uv is there to install with; run: {sys.executable} -m ensurepip"
    )


def _run(command: list[str]) -> None:
    # Its words go to stderr: stdout is for our own result.
    done = subprocess.run(command, check=False, stdout=sys.stderr)  # noqa: S603  a list, no shell
    if done.returncode:
        raise MissingDependencyError(
            f"the installer ended with {done.returncode}, its reason is above; "
            f"it was: {shlex.join(command)}"
        )
