"""A model's card in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from eyevsai_core.cli.console import (
    SPLITS,
    bytes_text,
    facts,
    printable,
    seconds_text,
    show,
    table,
    value_text,
)
from eyevsai_core.cli.help import indented

if TYPE_CHECKING:
    from pathlib import Path

    from eyevsai_core.card import ModelCard

__all__ = ["show_card"]

_METRICS = {
    "accuracy": "accuracy",
    "top_5_accuracy": "top-5 accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "log_loss": "log loss",
    "brier": "Brier score",
    "ece": "calibration error",
}


def show_card(card: ModelCard, folder: Path) -> None:
    """Print what is known of a model."""
    show(
        Text(card.ref or f"{card.family}/{card.variant}", "bold"),
        indented(Text(card.summary), Text(card.plain, "italic dim"), Text()),
        *_part("Data", _data(card)),
        Text("Metrics", "bold"),
        indented(_metrics(card)),
        Text(),
        *_part("Made", _made(card)),
        *_part("Options", {name: value_text(value) for name, value in card.config.items()}),
        *_part("Versions", card.versions),
        *_part("Files", _files(card, folder)),
        *_part("Use", {"for": card.intended_use, "limits": card.limits}),
    )


def _part(title: str, values: dict[str, Any]) -> list[Any]:
    return [Text(title, "bold"), indented(facts(values)), Text()]


def _data(card: ModelCard) -> dict[str, Any]:
    data = card.dataset
    counts = data.get("counts", {})
    return {
        "name": data.get("name"),
        "pictures": ", ".join(f"{counts[s]} {s}" for s in SPLITS if s in counts),
        "classes": f"{len(card.classes)}: {', '.join(card.classes)}",
        "licence": data.get("licence"),
        "attribution": data.get("attribution"),
        "source": data.get("source"),
        "fingerprint": data.get("fingerprint"),
    }


def _metrics(card: ModelCard) -> Any:
    splits = [split for split in ("test", "validation") if split in card.metrics]
    rows = table("", *splits)
    for name, title in _METRICS.items():
        cells = [_interval(card.metrics[split].get(name)) for split in splits]
        if any(cells):
            rows.add_row(title, *cells)
    return rows


def _interval(metric: Any) -> Text:
    if not isinstance(metric, dict):
        return Text()
    return Text.assemble(
        (f"{metric['value']:.3f}", "bold"),
        (f"  {metric['low']:.3f} to {metric['high']:.3f}", "dim"),
    )


def _made(card: ModelCard) -> dict[str, Any]:
    calibration = card.calibration.get("method", "")
    parity = card.parity.get("largest_difference")
    machine = ", ".join(f"{key} {value}" for key, value in card.machine.items())
    return {
        "when": f"{card.created}, in {seconds_text(card.duration_s)}",
        "command": card.command,
        "looked at in": f"{card.image_size} x {card.image_size} pixels",
        "calibration": calibration,
        "file and model": f"differ by at most {parity:.1e}" if isinstance(parity, float) else "",
        "machine": machine,
    }


def _files(card: ModelCard, folder: Path) -> dict[str, Any]:
    rows: dict[str, Any] = {"in": folder}
    for name, digest in card.files.items():
        path = folder / name
        size = bytes_text(path.stat().st_size) if path.is_file() else "missing"
        rows[printable(name)] = Text.assemble(f"{size:>9}  ", (f"SHA-256 {digest[:16]}", "dim"))
    return rows
