"""One way to a model, whatever one has of it: a reference, a folder or a file."""

from __future__ import annotations

from pathlib import Path

from eyevsai_core.classifier import OnnxClassifier
from eyevsai_core.errors import ModelNotFoundError
from eyevsai_core.model_registry import ModelRegistry

__all__ = ["load_model"]


def load_model(
    model: str | Path, *, registry: ModelRegistry | None = None, threads: int | None = None
) -> OnnxClassifier:
    """Load a model by reference, by its folder, or by its ``.onnx`` file.

    A reference is ``family/variant/dataset[@version or alias]``. In a folder, and so in the
    registry, the file's SHA-256 is checked against the card first. Raises `ModelNotFoundError`
    and `ModelCorruptError`.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        return OnnxClassifier.from_folder(path, threads=threads)
    if path.is_file():
        return OnnxClassifier.from_file(path, threads=threads)
    if path.suffix == ".onnx" or path.is_absolute() or str(model).startswith("."):
        raise ModelNotFoundError(
            f"there is no file or folder {str(path)!r}; expected a model folder, a .onnx file, or "
            "a reference such as shallow/svm_hog_lbp/doodles"
        )
    return (registry or ModelRegistry()).load(str(model), threads=threads)
