"""`eyevsai list`: the model families, their variants, and what can be installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from rich.console import Group as Lines
from rich.text import Text

from eyevsai_core.cli.console import print_json, printable, show, status_text
from eyevsai_core.cli.help import Command, indented
from eyevsai_core.cli.options import Json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from eyevsai_core.families import FamilyInfo

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(cls=Command, epilog="eyevsai list\neyevsai list --json")
def list_command(*, as_json: Json = False) -> None:
    """List every model family: its variants, whether it is ready, and an example of each."""
    from eyevsai_core.families import list_families

    # What can be used at once comes first; the sort keeps the order of the names.
    rows = sorted(list_families(), key=lambda row: row.status != "ready")
    if as_json:
        print_json({"families": [_plain(row) for row in rows]})
    else:
        show(*(_block(row) for row in rows))


def _plain(row: FamilyInfo) -> dict[str, Any]:
    family = row.family
    return {
        "name": row.name,
        "status": row.status,
        "summary": row.summary,
        "framework": row.framework,
        "distribution": row.distribution,
        "version": row.version,
        "install": row.install,
        "reason": row.reason,
        "variants": [
            {
                "name": f"{row.name}/{variant.name}",
                "summary": variant.summary,
                "plain": variant.plain,
                "example": _example(row, variant.name),
            }
            for variant in (family.variants if family else ())
        ],
    }


def _example(row: FamilyInfo, variant: str) -> str:
    return f"eyevsai train {row.name}/{variant} --data doodles"


def _block(row: FamilyInfo) -> RenderableType:
    """Draw one family: a heading, and below it each variant with both descriptions."""
    lines: list[RenderableType] = [_heading(row)]
    if row.summary:
        lines.append(Text(row.summary))
    if row.status == "missing":
        lines.append(Text.assemble(("$ ", "dim"), f"eyevsai install {row.name}"))
    elif row.status == "broken":
        lines.append(Text(f"{printable(row.reason)}; update or uninstall {row.distribution}"))
    for number, variant in enumerate(row.family.variants if row.family else ()):
        title = Text.assemble(("\n" + row.name + "/", "cyan"), (variant.name, "bold cyan"))
        if number == 0:
            title.append("  (default)", style="dim")
        lines += [
            title,
            indented(
                Text(variant.summary),
                Text(variant.plain, style="italic dim"),
                Text.assemble(("$ ", "dim"), _example(row, variant.name)),
            ),
        ]
    return Lines(lines[0], indented(*lines[1:]), Text())


def _heading(row: FamilyInfo) -> Text:
    status = status_text(row.status)
    status.plain = status.plain.capitalize()
    if row.status == "missing":
        status.append(f": {row.reason + '; ' if row.reason else ''}{row.install}")
    origin = [row.framework, f"{row.distribution} {row.version}".strip()]
    return Text.assemble(
        (row.name, "bold"), "  ", status, "  ", (", ".join(filter(None, origin)), "dim")
    )
