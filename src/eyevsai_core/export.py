"""Taking a registered model elsewhere: the artefact, the native model, its answers, its card."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from eyevsai_core.catalog import list_datasets
from eyevsai_core.errors import ConfigError, ExportError, ModelCorruptError, did_you_mean
from eyevsai_core.evaluation import evaluate_source, export_predictions
from eyevsai_core.families import get_family, list_families
from eyevsai_core.files import flush_folder, staging_directory, write_atomic
from eyevsai_core.loading import load_model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from eyevsai_core.card import ModelCard
    from eyevsai_core.family import Exporter, ModelFamily
    from eyevsai_core.model_ref import ModelRef
    from eyevsai_core.model_registry import ModelRegistry

    Progress = Callable[[str, int, int, dict[str, float]], None]

__all__ = ["export_formats", "export_model", "named_data"]

_ALWAYS = ("card", "report")
_WITHOUT_FAMILY = ("onnx", "native", "predictions")
_NAMES = {
    "onnx": "model.onnx",
    "predictions": "predictions.csv",
    "card": "card.json",
    "report": "report.html",
}


def export_model(
    registry: ModelRegistry,
    ref: ModelRef,
    format_: str,
    out: Path,
    *,
    data: str | None = None,
    split: str = "test",
    force: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write a model as ``onnx``, ``native``, ``predictions``, ``card`` or ``report`` to `out`.

    Or as a format that its family has beyond these, such as ``torchscript``.

    The model is verified against its card before. ``native`` is a folder, ``card`` is JSON, or
    Markdown for ``.md``; ``predictions`` are ``.csv`` or ``.jsonl``, of the split of `data` or of
    the data set with a name that the model learned from. In a folder, a file gets a name of its
    own. Returns what was written. Raises `ConfigError` for an unknown format, `ExportError` when
    `out` exists and `force` is not set, `ModelCorruptError` when the model is damaged.
    """
    formats = export_formats(ref.family)
    if format_ not in formats:
        raise ConfigError(
            f"format must be one of {', '.join(formats)}, but got {format_!r}."
            + did_you_mean(format_, formats)
        )
    if out.is_dir() and format_ != "native":
        own = family_exporters(ref.family).get(format_)
        out = out / (f"model{own.suffix}" if own else _NAMES[format_])
    if out.exists() and not force:
        raise ExportError(f"{str(out)!r} exists; choose another place, or replace it with --force")
    problems = registry.verify(ref)
    if problems:
        raise ModelCorruptError(f"model {str(ref)!r} is damaged: {'; '.join(problems[:3])}")
    folder, card = registry.path(ref), registry.card(ref)
    if format_ == "native":
        _copy_folder(folder / "native", out)
    elif format_ == "predictions":
        evaluation, _ = evaluate_source(
            load_model(folder),
            data or named_data(card),
            split=split,
            seed=card.seed,
            progress=progress,
        )
        export_predictions(evaluation, out)
    elif format_ in family_exporters(ref.family):
        _write_native(registry, ref, format_, out)
    elif format_ == "card":
        text = card.to_markdown() if out.suffix == ".md" else card.to_json() + "\n"
        write_atomic(out, text.encode())
    else:
        write_atomic(out, (folder / _NAMES[format_]).read_bytes())
    return out


def export_formats(family_name: str) -> tuple[str, ...]:
    """Return what the models of a family can be written as, known or not."""
    family = _installed(family_name)
    own = (*family.export_formats, *family.exporters) if family else _WITHOUT_FAMILY
    return (*own, *_ALWAYS)


def family_exporters(family_name: str) -> Mapping[str, Exporter]:
    """Return the formats of its own that a family writes; none if it is not installed."""
    family = _installed(family_name)
    return family.exporters if family else {}


def _installed(name: str) -> ModelFamily | None:
    return next((row.family for row in list_families() if row.name == name), None)


def named_data(card: ModelCard) -> str:
    """Return the data set of a card if it can be opened by its name. Raises `ConfigError`."""
    name = str(card.dataset.get("name", ""))
    if name in {info.name for info in list_datasets()}:
        return name
    raise ConfigError(
        f"the model learned from {name!r}, which was a folder or table of its own; say where the "
        "pictures are with --data NAME|PATH"
    )


def _write_native(registry: ModelRegistry, ref: ModelRef, format_: str, out: Path) -> None:
    """Let the model's family write a format of its own; what fails leaves nothing behind."""
    family = get_family(ref.family)
    native = family.load_classifier(registry.path(ref) / "native")
    exporter = family.exporters[format_]
    with staging_directory(out.absolute().parent) as staging:
        written = staging / f"model{exporter.suffix}"
        exporter.write(native, written)
        flush_folder(staging)
        written.replace(out)


def _copy_folder(source: Path, out: Path) -> None:
    with staging_directory(out.absolute().parent) as staging:
        shutil.copytree(source, staging / "native")
        if out.exists():
            out.rename(staging / "old")
        (staging / "native").rename(out)
