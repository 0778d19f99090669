"""``eyevsai install FAMILY``: pip, into this environment."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import typer

from eyevsai_core.cli.console import fail, notice, plain, print_json
from eyevsai_core.cli.options import Json

__all__ = ["install_command"]


def install_command(
    family: Annotated[str, typer.Argument(help="Family to install, such as deep-v2.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would run.")] = False,
    as_json: Json = False,
) -> None:
    """Install a model family into this environment with pip."""
    from eyevsai_core.errors import UnknownFamilyError, did_you_mean
    from eyevsai_core.families import KNOWN_FAMILIES, list_families

    rows = {row.name: row for row in list_families()}
    if family not in rows and family not in KNOWN_FAMILIES:
        known = sorted({*rows, *KNOWN_FAMILIES})
        raise UnknownFamilyError(
            f"unknown model family {family!r}; known: {', '.join(known)}."
            + did_you_mean(family, known)
        )
    row = rows[family]
    wanted = list(row.family.requirements) if row.family else []
    command = [sys.executable, "-m", "pip", "install", *(wanted or [row.distribution])]
    if row.status == "ready":
        if as_json:
            print_json({"family": family, "status": "ready", "command": []})
        else:
            plain(f"{family} is ready: {row.distribution} {row.version}")
        return
    if dry_run:
        if as_json:
            print_json({"family": family, "status": row.status, "command": command})
        else:
            plain(" ".join(command))
        return
    notice("running: " + " ".join(command))
    done = subprocess.run(command, check=False, stdout=sys.stderr)  # noqa: S603  fixed words and known names
    if done.returncode:
        fail(f"pip ended with {done.returncode}; its own words are above", as_json=as_json)
    if as_json:
        print_json({"family": family, "status": "installed", "command": command})
    else:
        plain(f"installed {family}; see: eyevsai list")
