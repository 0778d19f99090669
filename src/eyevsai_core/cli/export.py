"""`eyevsai export`: a model, its predictions, its report or its card as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eyevsai_core.cli.console import bytes_text, print_json, say
from eyevsai_core.cli.help import Command
from eyevsai_core.cli.options import Data, Json, ModelArgument, Registry, SplitName
from eyevsai_core.cli.progress import Bars
from eyevsai_core.cli.references import find_model, open_registry

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_EXAMPLES = """
eyevsai export shallow/svm_hog_lbp/doodles --out model.onnx
eyevsai export shallow/svm_hog_lbp/doodles@best --format native --out native/
eyevsai export production --format predictions --split test --out answers.jsonl
"""


def _formats(incomplete: str) -> list[str]:
    from eyevsai_core.export import export_formats
    from eyevsai_core.families import list_families

    names = {name: None for row in list_families() for name in export_formats(row.name)}
    return [name for name in names if name.startswith(incomplete)]


@app.command(cls=Command, epilog=_EXAMPLES)
def export_command(
    model: ModelArgument,
    *,
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help="onnx, native, predictions, card, report, or a format of the model's family",
            autocompletion=_formats,
        ),
    ] = "onnx",
    output: Annotated[
        str, typer.Option("--out", metavar="PATH", help="file or folder to write to")
    ] = ".",
    data: Data = None,
    split: SplitName = "test",
    force: Annotated[bool, typer.Option("--force", help="replace what is there")] = False,
    registry: Registry = None,
    as_json: Json = False,
) -> None:
    """Write a registered model, or something about it, to a file; it is verified first."""
    from eyevsai_core.export import export_model

    models = open_registry(registry)
    ref = find_model(models, model)
    place = Path(output)
    if format_ == "native" and output == ".":
        place = Path(f"{ref.family}-{ref.variant}-{ref.dataset}-{ref.version}")
    with Bars() as bars:
        written = export_model(
            models, ref, format_, place, data=data, split=split, force=force, progress=bars
        )
    size = sum(p.stat().st_size for p in [written, *written.rglob("*")] if p.is_file())
    if as_json:
        print_json({"ref": str(ref), "format": format_, "out": written, "bytes": size})
    else:
        say(("✓ ", "green"), f"{written} ", (f"({bytes_text(size)}, {format_} of {ref})", "dim"))
