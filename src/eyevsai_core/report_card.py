"""The card in words: what a model is, of what it was made, and how that was proven."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eyevsai_core.card import ModelCard

__all__ = ["calibration_text", "card_facts", "percent", "plain", "split_count"]


def percent(value: float, digits: int = 1) -> str:
    """Write a share such as 0.7333 as ``73.3 %``."""
    return f"{100 * value:.{digits}f}\N{NO-BREAK SPACE}%"


def plain(value: object) -> str:
    """Write a value of an option or of a history row."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)


def _dict(value: object) -> dict[str, Any]:
    """Return what should be a table of the card; cards of other makers may lack some."""
    return value if isinstance(value, dict) else {}


def split_count(card: ModelCard, split: str) -> int:
    """Return how many pictures a split had when the model was trained; 0 if it is not stated."""
    count = _dict(card.dataset.get("counts")).get(split)
    return count if isinstance(count, int) else 0


def calibration_text(card: ModelCard) -> str:
    """Say in words how the probabilities were calibrated."""
    method = str(card.calibration.get("method", "not stated"))
    if method == "none":
        return "The probabilities are the model's own, not calibrated."
    temperature = _dict(card.calibration.get("parameters")).get("temperature")
    detail = f" (T = {temperature:.3f})" if isinstance(temperature, int | float) else ""
    count = split_count(card, "calibration")
    return f"Calibrated by {method}{detail}, on {count} pictures kept for nothing else."


def card_facts(card: ModelCard) -> list[tuple[str, str]]:
    """Return the card as rows of a table; what is not stated is left out."""
    data, parity, machine = card.dataset, card.parity, card.machine
    counts = ", ".join(f"{n} {split}" for split, n in _dict(data.get("counts")).items())
    unreadable = f"; {data['unreadable']} unreadable, left out" if data.get("unreadable") else ""
    licence = [data.get("licence") or "not stated", data.get("attribution"), data.get("source")]
    rows: list[tuple[str, str]] = [
        ("model", f"{card.family}/{card.variant}: {card.summary}"),
        ("looks at", f"{card.image_size} by {card.image_size} pixels, whatever the picture's size"),
        ("learned from", f"{data.get('name', '?')}: {counts}{unreadable}"),
        ("licence of the data", " — ".join(str(part) for part in licence if part)),
        ("fingerprint of the data", str(data.get("fingerprint", ""))),
        ("options", ", ".join(f"{k} = {plain(v)}" for k, v in card.config.items())),
        ("proven equal", _proof(parity)),
        ("made with", ", ".join(f"{name} {version}" for name, version in card.versions.items())),
        ("made on", _machine(machine, card)),
        ("intended use", card.intended_use),
        ("limits", card.limits),
    ]
    return [(name, text) for name, text in rows if text]


def _proof(parity: dict[str, Any]) -> str:
    """Say how closely the exported file follows the model that was trained."""
    try:
        return (
            f"the exported file against the model that was trained, on {parity['pictures']} "
            f"pictures and {parity['odd_files']} odd files: probabilities differ by at most "
            f"{parity['largest_difference']:.1e} (allowed {parity['tolerance']:.0e}), same answer "
            f"on {percent(parity['argmax_agreement'], 2)}"
        )
    except (KeyError, TypeError, ValueError):
        return ""


def _machine(machine: dict[str, Any], card: ModelCard) -> str:
    parts: Iterable[str] = (
        card.created,
        f"Python {machine['python']}" if "python" in machine else "",
        " ".join(str(machine[k]) for k in ("system", "machine") if k in machine),
        f"{machine['threads']} threads" if "threads" in machine else "",
        f"{card.duration_s:.1f} s",
    )
    return ", ".join(part for part in parts if part)
