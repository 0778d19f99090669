"""Taking a registered model elsewhere: the artefact, the native model, its answers, its card."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from eyevsai_core.catalog import load_dataset
from eyevsai_core.classifier import load_model
from eyevsai_core.errors import ConfigError, ExportError, ModelCorruptError, did_you_mean
from eyevsai_core.evaluation import evaluate_model, export_predictions
from eyevsai_core.families import get_family
from eyevsai_core.files import staging_directory, write_atomic
from eyevsai_core.splits import with_splits

if TYPE_CHECKING:
    from eyevsai_core.model_ref import ModelRef
    from eyevsai_core.model_registry import ModelRegistry

__all__ = ["export_model"]

_ALWAYS = ("card", "report")


def export_model(
    registry: ModelRegistry,
    model: str,
    format_: str,
    out: Path,
    *,
    data: str | None = None,
    split: str = "test",
    force: bool = False,
) -> Path:
    """Write a model as ``onnx``, ``native``, ``predictions``, ``card`` or ``report`` to `out`.

    The model is verified against its card before. ``predictions`` needs `data` and writes
    ``.csv`` or ``.jsonl``, by the ending. Raises `ExportError` when `out` exists and `force` is
    not set, `ModelCorruptError` when the model is damaged.
    """
    ref = registry.resolve(model)
    formats = (*get_family(ref.family).export_formats, *_ALWAYS)
    if format_ not in formats:
        raise ConfigError(
            f"format must be one of {', '.join(formats)}, but got {format_!r}."
            + did_you_mean(format_, formats)
        )
    if out.is_dir() and format_ != "native":
        name = {"onnx": "model.onnx", "card": "card.md", "report": "report.html"}
        out = out / name.get(format_, "predictions.csv")
    if out.exists() and not force:
        raise ExportError(f"{str(out)!r} exists; choose another --out, or replace it with --force")
    problems = registry.verify(ref)
    if problems:
        raise ModelCorruptError(f"model {str(ref)!r} is damaged: {'; '.join(problems[:3])}")
    folder = registry.path(ref)
    if format_ == "native":
        _copy_folder(folder / "native", out)
    elif format_ == "predictions":
        _predictions(ref, registry, out, data, split)
    elif format_ == "card":
        write_atomic(out, registry.card(ref).to_markdown().encode())
    else:
        name = {"onnx": "model.onnx", "report": "report.html"}[format_]
        write_atomic(out, (folder / name).read_bytes())
    return out


def _copy_folder(source: Path, out: Path) -> None:
    with staging_directory(out.absolute().parent) as staging:
        shutil.copytree(source, staging / "native")
        if out.exists():
            out.rename(staging / "old")
        (staging / "native").rename(out)


def _predictions(
    ref: ModelRef, registry: ModelRegistry, out: Path, data: str | None, split: str
) -> None:
    if data is None:
        raise ConfigError("predictions are made on a data set; name it with --data NAME|PATH")
    dataset = load_dataset(data)
    if not dataset.split(split):
        dataset = with_splits(dataset, seed=0)
    classifier = load_model(registry.path(ref))
    export_predictions(evaluate_model(classifier, dataset, split=split), out)
