"""What a user calls a model: a reference, less than one, an alias, a folder, a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eyevsai_core.errors import ModelNotFoundError, did_you_mean

if TYPE_CHECKING:
    from eyevsai_core.classifier import OnnxClassifier
    from eyevsai_core.model_ref import ModelRef
    from eyevsai_core.model_registry import ModelRegistry, ModelRow

__all__ = ["find_model", "load_named", "open_registry"]

_PARTS = 3


def open_registry(folder: str | None) -> ModelRegistry:
    """Return the registry in `folder`, or the default one."""
    from eyevsai_core.model_registry import ModelRegistry

    return ModelRegistry(Path(folder) if folder else None)


def find_model(registry: ModelRegistry, text: str | None) -> ModelRef:
    """Return the registered model that `text` means; the newest one without a text.

    ``family/variant/data[@version or alias]`` as everywhere; also an alias alone, and
    ``family`` or ``family/variant``, which mean their newest model. Raises `ModelNotFoundError`.
    """
    if text and len(text.partition("@")[0].split("/")) == _PARTS:
        return registry.resolve(text)
    rows = registry.list_models()
    if not rows:
        raise ModelNotFoundError(
            f"there is no model in {str(registry.root)!r} yet; make one with: "
            "eyevsai train shallow --data doodles"
        )
    found = [row for row in rows if row.card and _is_meant(row, text)]
    if not found:
        known = {name for row in rows for name in (str(row.ref), row.ref.series, *row.aliases)}
        raise ModelNotFoundError(
            f"no model is called {text!r}; `eyevsai models list` shows them."
            + did_you_mean(str(text), known)
        )
    same = {row.ref.series for row in found}
    if text and len(same) > 1 and all(text in row.aliases for row in found) and text != "latest":
        raise ModelNotFoundError(
            f"{text!r} is an alias of several models; say which: "
            + ", ".join(f"{series}@{text}" for series in sorted(same))
        )
    return max(found, key=lambda row: (row.card.created if row.card else "", row.ref)).ref


def load_named(text: str | None, registry: ModelRegistry, threads: int | None) -> OnnxClassifier:
    """Load the model that `text` means: a folder, a ``.onnx`` file, or as `find_model` says."""
    from eyevsai_core.loading import load_model

    if text and (text.endswith(".onnx") or text.startswith((".", "/", "~"))):
        return load_model(text, threads=threads)
    if text and (Path(text).is_file() or Path(text, "card.json").is_file()):
        return load_model(text, threads=threads)
    return registry.load(find_model(registry, text), threads=threads)


def _is_meant(row: ModelRow, text: str | None) -> bool:
    if text is None or text == "latest" or text in row.aliases:
        return True
    return row.ref.series.startswith(text.rstrip("/") + "/")
