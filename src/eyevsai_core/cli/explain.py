"""``eyevsai explain PICTURE``: where a model looks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eyevsai_core.cli.console import plain, print_json
from eyevsai_core.cli.options import Json, Registry, Threads, complete_model
from eyevsai_core.cli.predict import choose_model
from eyevsai_core.cli.progress import progress_bars

__all__ = ["explain_command"]


def explain_command(
    picture: Annotated[Path, typer.Argument(help="Picture to explain.")],
    *,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", help="Model [default: the newest].", autocompletion=complete_model
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Label to explain [default: the best].")
    ] = None,
    method: Annotated[str, typer.Option("--method", help="occlusion or rise.")] = "occlusion",
    samples: Annotated[
        int, typer.Option("--samples", min=1, help="Random masks of rise.")
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="Seed of rise.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", help="PNG to write [default: PICTURE-why.png here].")
    ] = None,
    side: Annotated[
        int, typer.Option("--side", min=16, max=4096, help="Side of the PNG in pixels.")
    ] = 384,
    registry: Registry = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Draw a heat map of the places that speak for a label (orange) and against it (blue)."""
    import io

    from PIL import Image

    from eyevsai_core.explain import explain_image
    from eyevsai_core.files import write_atomic

    classifier = choose_model(model, registry, threads)
    with progress_bars(quiet=as_json) as progress:
        found = explain_image(
            classifier,
            picture,
            label=label,
            method=method,
            samples=samples,
            seed=seed,
            progress=(lambda done, total: progress("explain", done, total, {}))
            if progress
            else None,
        )
    buffer = io.BytesIO()
    Image.fromarray(found.picture(side)).save(buffer, "PNG")
    target = out or Path(f"{picture.stem}-why.png")
    write_atomic(target, buffer.getvalue())
    if as_json:
        print_json(
            {
                "model": classifier.name,
                "label": found.label,
                "probability": found.probability,
                "method": method,
                "out": str(target),
                "heatmap": found.heatmap.round(6).tolist(),
            }
        )
    else:
        plain(f"{found.label} {found.probability:.1%}; wrote {target}")
