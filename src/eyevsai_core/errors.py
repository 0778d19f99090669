"""Every error that eyevsai raises on purpose.

The tree:

    EyevsaiError
    ├── PluginError              a plugin is broken, or two plugins claim one name
    ├── UnknownFamilyError       (LookupError)   no such family or variant
    ├── MissingDependencyError   (ImportError)   a package that the user can install
    ├── ConfigError              (ValueError)    an option is unknown or out of range
    ├── ImageError               (ValueError)    a picture cannot be read or is refused
    ├── DatasetError             (ValueError)    a data set cannot be used as it is
    ├── ModelNotFoundError       (LookupError)   no such registered model
    ├── ModelCorruptError        (ValueError)    a model's files are damaged, hostile or too new
    ├── ExportError              a model cannot be turned into the file asked for
    │   └── ParityError          the artefact does not equal the model that was trained
    ├── RunError                 a training run cannot start, go on or be resumed
    └── OutputError              (OSError)       a file or folder cannot be written

The command line prints the message without a traceback and exits with 1. Whatever is not an
`EyevsaiError` is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ConfigError",
    "DatasetError",
    "ExportError",
    "EyevsaiError",
    "ImageError",
    "MissingDependencyError",
    "ModelCorruptError",
    "ModelNotFoundError",
    "OutputError",
    "ParityError",
    "PluginError",
    "RunError",
    "UnknownFamilyError",
    "did_you_mean",
]


class EyevsaiError(Exception):
    """Root of every error that eyevsai raises on purpose."""


class PluginError(EyevsaiError):
    """A plugin is broken, or two plugins claim the same family name."""


class UnknownFamilyError(EyevsaiError, LookupError):
    """No installed family or variant has this name."""

    __str__ = Exception.__str__


class MissingDependencyError(EyevsaiError, ImportError):
    """A package is missing that the user can install; the message names the command."""


class ConfigError(EyevsaiError, ValueError):
    """An option is unknown, of the wrong type or out of range."""


class ImageError(EyevsaiError, ValueError):
    """A picture cannot be decoded, or is refused because of its size."""


class DatasetError(EyevsaiError, ValueError):
    """A data set is missing, empty, damaged or unfit for the purpose."""


class ModelNotFoundError(EyevsaiError, LookupError):
    """No registered model, version or alias answers to this reference."""


class ModelCorruptError(EyevsaiError, ValueError):
    """A model's files are damaged, hostile, or written by a newer eyevsai."""


class ExportError(EyevsaiError):
    """A model cannot be turned into the file that was asked for."""


class ParityError(ExportError):
    """The artefact's answers differ from those of the model that was trained."""


class RunError(EyevsaiError):
    """A training run cannot be started, continued or read."""


class OutputError(EyevsaiError, OSError):
    """A file or folder cannot be written; what was there before is untouched."""

    __str__ = Exception.__str__


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest known name, or an empty string.

    >>> did_you_mean("dep-v1", ["deep-v1", "shallow"])
    " Did you mean 'deep-v1'?"
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
