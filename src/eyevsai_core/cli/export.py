"""``eyevsai export MODEL --format ...``: a model as a file to take elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eyevsai_core.cli.console import plain, print_json
from eyevsai_core.cli.options import Json, Registry, complete_data, complete_model, open_registry

__all__ = ["export_command"]


def export_command(
    model: Annotated[
        str, typer.Argument(help="Reference of a model.", autocompletion=complete_model)
    ],
    *,
    format_: Annotated[
        str,
        typer.Option(
            "--format", "-f", help="onnx, native, predictions, card (Markdown) or report (HTML)."
        ),
    ] = "onnx",
    out: Annotated[Path, typer.Option("--out", help="File, or folder for native.")],
    data: Annotated[
        str | None,
        typer.Option(
            "--data", help="Data set for predictions.", autocompletion=complete_data
        ),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="Split for predictions.")] = "test",
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    registry: Registry = None,
    as_json: Json = False,
) -> None:
    """Export a registered model; it is verified first, and loads from the exported file."""
    from eyevsai_core.export import export_model

    written = export_model(
        open_registry(registry), model, format_, out, data=data, split=split, force=force
    )
    if as_json:
        print_json({"model": model, "format": format_, "out": str(written)})
    else:
        plain(f"wrote {written}")
