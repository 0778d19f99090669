"""ModelCard: the JSON beside an artefact that says what it is, of what it was made, how good it is.

After Mitchell et al. 2019, "Model Cards for Model Reporting".
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from eyevsai_core.errors import ModelCorruptError

if TYPE_CHECKING:
    import types
    from pathlib import Path

__all__ = ["CARD_FORMAT", "ModelCard"]

CARD_FORMAT = 1
_MAX_BYTES = 64 * 2**20


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Everything that is known of a trained model, in plain JSON values.

    ``metrics`` is ``{split: {metric: {value, low, high, n}}}`` with 95 % intervals, ``files`` the
    SHA-256 of every file beside the card, ``dataset`` name, fingerprint, licence, attribution,
    source and pictures by split, ``started_from`` the reference and the card's digest of the
    model that this one continued, or nothing.
    """

    family: str
    variant: str
    classes: tuple[str, ...]
    image_size: int
    config: dict[str, Any]
    seed: int
    dataset: dict[str, Any]
    metrics: dict[str, Any]
    calibration: dict[str, Any]
    parity: dict[str, Any]
    versions: dict[str, str]
    machine: dict[str, Any]
    created: str
    duration_s: float
    summary: str = ""
    plain: str = ""
    intended_use: str = ""
    limits: str = ""
    command: str = ""
    name: str = ""
    ref: str = ""
    started_from: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    format_version: int = CARD_FORMAT

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return {**values, "classes": list(self.classes)}

    def to_json(self) -> str:
        """Return the card as JSON with sorted keys."""
        return json.dumps(
            self.to_dict(), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False
        )

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the card without `files` and `ref`, which are known only afterwards."""
        values = {k: v for k, v in self.to_dict().items() if k not in ("files", "ref")}
        if not self.started_from:
            del values["started_from"]  # cards were written before there was such a field
        text = json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a card. Raises `ModelCorruptError` that says what is wrong with it."""
        try:
            values = json.loads(text)
            # Not a number, infinity and half a surrogate pair: what could not be written again.
            json.dumps(values, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError) as error:
            raise ModelCorruptError(f"the model card is not JSON: {error}") from error
        if not isinstance(values, dict):
            raise ModelCorruptError(f"a model card is a JSON object, but got {text[:60]!r}")
        version = values.get("format_version")
        if isinstance(version, int) and version > CARD_FORMAT:
            raise ModelCorruptError(
                f"the model was written by a newer eyevsai (card format {version}, this one reads "
                f"up to {CARD_FORMAT}); run: pip install --upgrade eyevsai-core"
            )
        return cls(**_checked(cls, values))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a card from a file. Raises `ModelCorruptError`."""
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise ModelCorruptError(f"the model card {str(path)!r} is larger than 64 MiB")
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelCorruptError(f"cannot read the model card {str(path)!r}: {error}") from error
        return cls.from_json(text)

    def to_markdown(self) -> str:
        """Return the card as a page to read."""
        test = self.metrics.get("test", {})
        rows = [
            f"| {name} | {m['value']:.4f} | {m['low']:.4f} to {m['high']:.4f} | {m['n']} |"
            for name, m in test.items()
        ]
        origin = self.started_from.get("ref")
        counts = ", ".join(f"{n} {split}" for split, n in self.dataset.get("counts", {}).items())
        return "\n".join(
            [
                f"# {self.ref or f'{self.family}/{self.variant}'}",
                "",
                f"{self.plain}",
                "",
                f"*Technically:* {self.summary}.",
                "",
                f"- **Data:** {self.dataset.get('name')} ({counts})",
                f"- **Licence of the data:** {self.dataset.get('licence') or 'not stated'}",
                f"- **Attribution:** {self.dataset.get('attribution') or 'none'}",
                f"- **Classes:** {', '.join(self.classes)}",
                f"- **Input:** any RGB picture, looked at in {self.image_size} x {self.image_size}",
                *([f"- **Continued from:** {origin}"] if origin else []),
                f"- **Intended use:** {self.intended_use}",
                f"- **Limits:** {self.limits}",
                "",
                "| metric (test split) | value | 95 % interval | n |",
                "|---|---|---|---|",
                *rows,
                "",
            ]
        )


def _checked(card: type[ModelCard], values: dict[str, Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(card)
    fields = {item.name: item for item in dataclasses.fields(card)}
    required = {n for n, item in fields.items() if item.default is item.default_factory}
    missing, unknown = required - set(values), set(values) - set(fields)
    if missing or unknown:
        raise ModelCorruptError(
            f"the model card is damaged: missing {sorted(missing)}, unknown {sorted(unknown)[:5]}"
        )
    for name, value in values.items():
        kind = hints[name]
        origin = typing.get_origin(kind) or kind
        accepted: type | types.UnionType = {tuple: list, float: int | float}.get(origin, origin)
        if not isinstance(value, accepted) or isinstance(value, bool):
            raise ModelCorruptError(
                f"the model card is damaged: {name!r} must be {origin.__name__}, is {value!r:.60}"
            )
    if not all(isinstance(label, str) for label in values["classes"]):
        raise ModelCorruptError("the model card is damaged: 'classes' must be texts")
    if not all(_is_measured(split) for split in values["metrics"].values()):
        raise ModelCorruptError(
            "the model card is damaged: 'metrics' must be {split: {metric: {value, low, high, n}}}"
        )
    if not isinstance(values["dataset"].get("counts", {}), dict):
        raise ModelCorruptError("the model card is damaged: 'counts' must be {split: pictures}")
    return {**values, "classes": tuple(values["classes"])}


def _is_measured(split: Any) -> bool:
    return isinstance(split, dict) and all(
        isinstance(metric, dict)
        and all(isinstance(metric.get(key), int | float) for key in ("value", "low", "high", "n"))
        for metric in split.values()
    )
