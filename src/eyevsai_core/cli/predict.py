"""`eyevsai predict`: what pictures show."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from eyevsai_core.cli.console import EXIT_ERROR, bar, note, print_json, printable, show, table
from eyevsai_core.cli.help import Command
from eyevsai_core.cli.options import Json, Model, Registry, Threads
from eyevsai_core.cli.progress import Bars
from eyevsai_core.cli.references import load_named, open_registry
from eyevsai_core.errors import DatasetError, ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eyevsai_core.classifier import OnnxClassifier
    from eyevsai_core.prediction import Prediction

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_EXAMPLES = """
eyevsai predict cat.jpg dog.png
eyevsai predict holiday/ --model shallow/svm_hog_lbp/doodles@best --top 1
curl -s https://example.org/cat.jpg | eyevsai predict -
"""
_STDIN = "-"


@app.command(cls=Command, epilog=_EXAMPLES)
def predict_command(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILES...", help="pictures, folders of pictures, or - for stdin"),
    ],
    *,
    model: Model = None,
    top: Annotated[
        int, typer.Option("--top", "-k", metavar="K", min=1, help="how many labels to show")
    ] = 3,
    threads: Threads = None,
    registry: Registry = None,
    as_json: Json = False,
) -> None:
    """Say what pictures show, and how sure the model is."""
    places = list(_pictures(files))
    classifier = load_named(model, open_registry(registry), threads)
    if model is None:
        note(("answers of ", "dim"), classifier.name)
    rows = []
    with Bars() as bars:
        for number, place in enumerate(places, start=1):
            rows.append((place, _answer(classifier, place)))
            bars("predict", number, len(places))
    if as_json:
        plain = [_plain(place, answer, top) for place, answer in rows]
        print_json({"model": classifier.name, "predictions": plain})
    else:
        _show(rows, top)
    if any(isinstance(answer, ImageError) for _, answer in rows):
        raise typer.Exit(EXIT_ERROR)


def _pictures(files: list[str]) -> Iterator[str]:
    """List what was named, folders with the pictures in them."""
    from eyevsai_core.images import IMAGE_SUFFIXES

    for name in files:
        if not Path(name).is_dir():
            yield name
            continue
        inside = [p for p in sorted(Path(name).rglob("*")) if p.suffix.lower() in IMAGE_SUFFIXES]
        if not inside:
            raise DatasetError(f"there is no picture in the folder {name!r}")
        yield from map(str, inside)


def _answer(classifier: OnnxClassifier, place: str) -> Prediction | ImageError:
    """Ask about one picture; one that cannot be read does not stop the others."""
    try:
        content = sys.stdin.buffer.read() if place == _STDIN else Path(place)
        return classifier.prediction(content)
    except ImageError as error:
        return error


def _plain(place: str, answer: Prediction | ImageError, top: int) -> dict[str, Any]:
    if isinstance(answer, ImageError):
        return {"file": place, "error": str(answer)}
    return {
        "file": place,
        "label": answer.label,
        "confidence": answer.confidence,
        "top": [{"label": label, "probability": p} for label, p in answer.top(top)],
    }


def _show(rows: list[tuple[str, Prediction | ImageError]], top: int) -> None:
    """Print the best labels of each picture with a bar as long as the model is sure."""
    made = table("picture", "label", "", "", right=())
    for place, answer in rows:
        if isinstance(answer, ImageError):
            note(("error: ", "bold red"), printable(answer))
            continue
        for number, (label, share) in enumerate(answer.top(top)):
            style = "bold" if number == 0 else "dim"
            made.add_row(
                printable(place) if number == 0 else "",
                Text(printable(label), style),
                bar(share, style="cyan" if number == 0 else "dim"),
                Text(f"{share:6.1%}", style),
            )
    if made.row_count:
        show(made)
