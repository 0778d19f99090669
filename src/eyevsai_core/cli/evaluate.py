"""``eyevsai evaluate MODEL --data ...``: every number of a model on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eyevsai_core.cli.console import notice, plain, print_json, print_table
from eyevsai_core.cli.options import (
    Json,
    Registry,
    Threads,
    complete_data,
    complete_model,
    open_registry,
)
from eyevsai_core.cli.progress import progress_bars

if TYPE_CHECKING:
    from eyevsai_core.evaluation import Evaluation

__all__ = ["evaluate_command"]


def evaluate_command(
    model: Annotated[
        str,
        typer.Argument(help="Reference, folder or .onnx file.", autocompletion=complete_model),
    ],
    *,
    data: Annotated[
        str,
        typer.Option(
            "--data", help="Data set: a name, folder or table.", autocompletion=complete_data
        ),
    ],
    split: Annotated[str, typer.Option("--split", help="Split to evaluate on.")] = "test",
    seed: Annotated[int, typer.Option("--seed", help="Seed of the split, if it has none.")] = 0,
    predictions: Annotated[
        Path | None,
        typer.Option("--predictions", help="Also write each answer to a .csv or .jsonl."),
    ] = None,
    registry: Registry = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Evaluate a model on a split of a data set, with 95 % intervals."""
    from eyevsai_core.catalog import load_dataset
    from eyevsai_core.classifier import load_model
    from eyevsai_core.dataset import Split
    from eyevsai_core.errors import ConfigError
    from eyevsai_core.evaluation import evaluate_model, export_predictions
    from eyevsai_core.splits import with_splits

    if split not in list(Split):
        raise ConfigError(f"split must be one of {', '.join(Split)}, but got {split!r}")
    classifier = load_model(model, registry=open_registry(registry), threads=threads)
    dataset = load_dataset(data, seed=seed)
    if not dataset.split(split):
        dataset = with_splits(dataset, seed=seed)
    with progress_bars(quiet=as_json) as progress:
        evaluation = evaluate_model(
            classifier,
            dataset,
            split=split,
            progress=(lambda done, total: progress("evaluate", done, total, {}))
            if progress
            else None,
        )
    if predictions:
        export_predictions(evaluation, predictions)
        notice(f"wrote {predictions}")
    if as_json:
        print_json({"model": classifier.name, **evaluation.to_dict()})
    else:
        _show(classifier.name, evaluation)


def _show(name: str, evaluation: Evaluation) -> None:
    from eyevsai_core.report import METRIC_NAMES

    plain(f"{name} on {evaluation.dataset}, {evaluation.split}: {len(evaluation.labels)} pictures")
    rows = [
        (METRIC_NAMES[key][0], f"{m.value:.3f}", f"{m.low:.3f} to {m.high:.3f}")
        for key, m in evaluation.metrics.items()
    ]
    print_table(("metric", "value", "95 % interval"), rows, numbers="value,95 % interval")
    rows = [
        (r.label, str(r.support), f"{r.recall.value:.3f}", f"{r.precision.value:.3f}", f"{r.f1:.3f}")
        for r in evaluation.per_class
    ]
    print_table(
        ("class", "pictures", "recall", "precision", "F1"),
        rows,
        numbers="pictures,recall,precision,F1",
    )
