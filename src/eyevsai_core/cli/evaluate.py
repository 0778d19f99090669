"""`eyevsai evaluate`: how good a model is on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from eyevsai_core.cli.console import interval_text, note, print_json, printable, show, table
from eyevsai_core.cli.help import Command, indented
from eyevsai_core.cli.options import (
    AllowUnreadable,
    Data,
    Json,
    ModelArgument,
    Registry,
    SplitName,
    Threads,
)
from eyevsai_core.cli.progress import Bars
from eyevsai_core.cli.references import load_named, open_registry
from eyevsai_core.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from eyevsai_core.classifier import OnnxClassifier
    from eyevsai_core.evaluation import Evaluation

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_EXAMPLES = """
eyevsai evaluate shallow/svm_hog_lbp/doodles
eyevsai evaluate model.onnx --data pictures/ --split all --report report.html
"""
_CLASSES, _PAIRS = 8, 5


@app.command(cls=Command, epilog=_EXAMPLES)
def evaluate_command(
    model: ModelArgument,
    *,
    data: Data = None,
    split: SplitName = "test",
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", help="seed of the split (default: the model's own)"),
    ] = None,
    predictions: Annotated[
        str | None,
        typer.Option("--predictions", metavar="FILE", help="write every answer to .csv or .jsonl"),
    ] = None,
    report: Annotated[
        str | None, typer.Option("--report", metavar="FILE", help="write the report as HTML")
    ] = None,
    threads: Threads = None,
    allow_unreadable: AllowUnreadable = False,
    registry: Registry = None,
    as_json: Json = False,
) -> None:
    """Measure a model on pictures: accuracy, calibration, classes, with 95 % intervals."""
    from eyevsai_core.evaluation import evaluate_source, export_predictions
    from eyevsai_core.export import named_data

    with Bars("open") as bars:
        classifier = load_named(model, open_registry(registry), threads)
        card = classifier.card
        if data is None and card is None:
            raise ConfigError(f"{model!r} has no card; name the pictures with --data NAME|PATH")
        evaluation, pixels = evaluate_source(
            classifier,
            data or named_data(card),  # type: ignore[arg-type]  # checked just above
            split=split,
            seed=(card.seed if card else 0) if seed is None else seed,
            threads=threads,
            allow_unreadable=allow_unreadable,
            progress=bars,
        )
    if predictions:
        export_predictions(evaluation, Path(predictions))
        note(("wrote ", "dim"), predictions)
    if report:
        _write_report(Path(report), classifier, evaluation, pixels)
    if as_json:
        print_json({"model": classifier.name, **evaluation.to_dict()})
    else:
        _show(classifier.name, evaluation)


def _write_report(
    path: Path,
    classifier: OnnxClassifier,
    evaluation: Evaluation,
    pixels: npt.NDArray[np.uint8],
) -> None:
    from eyevsai_core.files import write_atomic
    from eyevsai_core.report import render_report
    from eyevsai_core.report_history import model_history

    if classifier.card is None:
        raise ConfigError("a report needs the model's card; evaluate a registered model")
    page = render_report(
        card=classifier.card,
        evaluation=evaluation,
        history=model_history(classifier.card),
        pixels=pixels,
        command=classifier.card.command,
    )
    write_atomic(path, page.encode())
    note(("wrote ", "dim"), str(path))


def _show(name: str, evaluation: Evaluation) -> None:
    from eyevsai_core.report import METRIC_NAMES

    n = len(evaluation.labels)
    rows = table("metric", "value", "")
    for key, interval in evaluation.metrics.items():
        title, meaning = METRIC_NAMES.get(key, (key, ""))
        rows.add_row(title, interval_text(interval), Text(meaning, "dim"))
    show(
        Text.assemble((name, "bold"), f" on {printable(evaluation.dataset)}, ", evaluation.split),
        Text(f"{n} pictures, {len(evaluation.classes)} classes\n", "dim"),
        indented(rows),
        Text(),
        *_classes(evaluation),
        *_mixed_up(evaluation),
    )


def _classes(evaluation: Evaluation) -> list[Any]:
    """List the classes, the worst first; not all of a hundred."""
    found = sorted((c for c in evaluation.per_class if c.support), key=lambda c: c.f1)
    rows = table("class", "pictures", "recall", "precision", "F1", right=_NUMBERS)
    for each in found[:_CLASSES]:
        rows.add_row(
            printable(each.label),
            str(each.support),
            f"{each.recall.value:.3f}",
            f"{each.precision.value:.3f}",
            f"{each.f1:.3f}",
        )
    title = "Classes, worst first" + (
        f" ({_CLASSES} of {len(found)}; --json has all)" if len(found) > _CLASSES else ""
    )
    return [Text(title, "bold"), indented(rows), Text()]


_NUMBERS = ("pictures", "recall", "precision", "F1")


def _mixed_up(evaluation: Evaluation) -> list[Any]:
    """List which classes are taken for which."""
    confusion = evaluation.confusion
    pairs = [
        (int(confusion[i, j]), i, j)
        for i in range(len(confusion))
        for j in range(len(confusion))
        if i != j and confusion[i, j]
    ]
    if not pairs:
        return []
    rows = table("is", "taken for", "times", right=("times",))
    for count, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1:]))[:_PAIRS]:
        labels = evaluation.classes
        rows.add_row(printable(labels[i]), printable(labels[j]), str(count))
    return [Text("Most often mixed up", "bold"), indented(rows)]
