"""`eyevsai explain`: which part of a picture an answer rests on."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from eyevsai_core.cli.console import note, out, print_json, printable, say
from eyevsai_core.cli.help import Command
from eyevsai_core.cli.options import Json, Model, Registry, Threads
from eyevsai_core.cli.progress import Bars
from eyevsai_core.cli.references import load_named, open_registry

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_EXAMPLES = """
eyevsai explain cat.jpg
eyevsai explain cat.jpg --label dog --method rise --samples 4000 --out why.png
"""
_COLUMNS = 36


@app.command(cls=Command, epilog=_EXAMPLES)
def explain_command(
    file: Annotated[str, typer.Argument(metavar="FILE", help="the picture")],
    *,
    model: Model = None,
    label: Annotated[
        str | None,
        typer.Option("--label", metavar="LABEL", help="what to explain (default: the best label)"),
    ] = None,
    method: Annotated[
        str, typer.Option("--method", metavar="METHOD", help="occlusion or rise")
    ] = "occlusion",
    samples: Annotated[
        int, typer.Option("--samples", metavar="N", min=1, help="random masks of rise")
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="seed of rise")] = 0,
    output: Annotated[
        str | None,
        typer.Option("--out", metavar="PNG", help="where to write (default: FILE-explained.png)"),
    ] = None,
    side: Annotated[
        int,
        typer.Option("--side", metavar="PIXELS", min=16, max=4096, help="side of what is written"),
    ] = 384,
    threads: Threads = None,
    registry: Registry = None,
    as_json: Json = False,
) -> None:
    """Colour the places that speak for a label orange, and those against it blue."""
    from eyevsai_core.explain import explain_image

    classifier = load_named(model, open_registry(registry), threads)
    if model is None:
        note(("answers of ", "dim"), classifier.name)
    with Bars() as bars:
        found = explain_image(
            classifier,
            Path(file),
            label=label,
            method=method,
            samples=samples,
            seed=seed,
            progress=bars.stage("explain"),
        )
    path = Path(output) if output else Path(f"{Path(file).stem}-explained.png")
    found.save(path, side=side)
    if as_json:
        plain = {"model": classifier.name, "label": found.label, "probability": found.probability}
        heat = found.heatmap.round(6).tolist()
        print_json({**plain, "method": method, "out": path, "heatmap": heat})
        return
    if out().is_terminal:
        out().print(_small(found.picture(_COLUMNS)))
    say((printable(found.label), "bold"), f" {found.probability:.1%}  ", ("in ", "dim"), str(path))


def _small(picture: npt.NDArray[np.uint8]) -> Text:
    """Draw a picture, uint8 (h, w, 3), with half blocks: two pixels a character."""
    text = Text()
    for upper, lower in zip_longest(picture[::2].tolist(), picture[1::2].tolist()):
        for i, (r, g, b) in enumerate(upper):
            # Of an odd height the last row has nothing below it.
            below = " on rgb({},{},{})".format(*lower[i]) if lower else ""
            text.append("▀", style=f"rgb({r},{g},{b}){below}")
        text.append("\n")
    return text
