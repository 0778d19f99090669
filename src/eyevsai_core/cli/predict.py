"""``eyevsai predict FILES...``: what a model says of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eyevsai_core.cli.console import FAILED, notice, plain, print_json
from eyevsai_core.cli.options import Json, Registry, Threads, complete_model, open_registry

if TYPE_CHECKING:
    from eyevsai_core.classifier import OnnxClassifier

__all__ = ["choose_model", "predict_command"]


def predict_command(
    files: Annotated[list[Path], typer.Argument(help="Pictures.", show_default=False)],
    *,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="Reference, alias, folder or .onnx file [default: the newest model].",
            autocompletion=complete_model,
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Labels to show.")] = 3,
    registry: Registry = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Classify pictures."""
    from eyevsai_core.errors import ImageError

    classifier = choose_model(model, registry, threads)
    results, failed = [], 0
    for path in files:
        try:
            answer = classifier.prediction(path)
        except ImageError as error:
            failed += 1
            results.append({"file": str(path), "error": str(error)})
            if not as_json:
                notice(f"error: {error}")
            continue
        best = answer.top(top)
        results.append({"file": str(path), "label": answer.label, "probabilities": dict(best)})
        if not as_json:
            shown = "  ".join(f"{label} {p:.1%}" for label, p in best)
            plain(f"{path}: {shown}")
    if as_json:
        print_json({"model": classifier.name, "predictions": results})
    if failed:
        raise typer.Exit(FAILED)


def choose_model(
    model: str | None, registry: Path | None, threads: int | None = None
) -> OnnxClassifier:
    """Load the model that was named, or the one that was registered last."""
    from eyevsai_core.classifier import load_model
    from eyevsai_core.errors import ModelNotFoundError

    models = open_registry(registry)
    if model is None:
        rows = [row for row in models.list_models() if row.card]
        if not rows:
            raise ModelNotFoundError(
                "there is no model yet; train one: eyevsai train shallow --data doodles"
            )
        newest = max(rows, key=lambda row: (row.card.created if row.card else "", row.ref))
        model = str(newest.ref)
        notice(f"using the newest model, {model}")
    return load_model(model, registry=models, threads=threads)
