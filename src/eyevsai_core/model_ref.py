"""How registered models are named: ``family/variant/dataset@version``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from eyevsai_core.errors import ConfigError, ModelNotFoundError

__all__ = ["COMPUTED", "ModelRef", "check_alias", "is_name", "is_version", "parse_reference"]

COMPUTED = ("latest", "best")
"""The aliases that follow from the models themselves: nobody sets them."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_.-]{0,62}[a-z0-9])?")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True, order=True)
class ModelRef:
    """The full name of one registered model."""

    family: str
    variant: str
    dataset: str
    version: int

    @property
    def series(self) -> str:
        """The name without the version: ``family/variant/dataset``."""
        return f"{self.family}/{self.variant}/{self.dataset}"

    def __str__(self) -> str:
        """Return ``family/variant/dataset@version``."""
        return f"{self.series}@{self.version}"


def is_name(text: str) -> bool:
    """Say whether `text` may be part of a reference, and so of a path: no dots alone, no slash."""
    return _NAME.fullmatch(text) is not None and ".." not in text


def parse_reference(text: str) -> tuple[str, str, str, str]:
    """Split a reference into family, variant, dataset and version or alias (``latest`` if none).

    Raises `ModelNotFoundError` for what cannot be a reference.
    """
    series, _, version = text.partition("@")
    parts = series.split("/")
    version = version or "latest"
    if len(parts) != 3 or not all(map(is_name, [*parts, version])):  # noqa: PLR2004
        raise ModelNotFoundError(
            f"a model is named family/variant/dataset, with @version or @alias if you like, "
            f"such as shallow/svm_hog_lbp/doodles@latest, but got {text!r}"
        )
    return parts[0], parts[1], parts[2], version


def is_version(text: str) -> bool:
    """Say whether `text` is a version number rather than an alias."""
    return _VERSION.fullmatch(text) is not None


def check_alias(text: str) -> None:
    """Raise `ConfigError` unless `text` may be set as an alias."""
    if not is_name(text) or is_version(text) or text in COMPUTED:
        raise ConfigError(
            f"an alias is a lower-case name, not a number and not {' or '.join(COMPUTED)}, "
            f"but got {text!r}"
        )
