"""A model's folder: the card, and the files that it vouches for."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from eyevsai_core.card import ModelCard
from eyevsai_core.errors import ModelCorruptError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CARD", "file_sha256", "model_files", "verify_folder"]

CARD = "card.json"


def model_files(folder: Path) -> list[str]:
    """Return the files below a folder, by their names in it, sorted."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def file_sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_folder(folder: Path) -> tuple[ModelCard | None, list[str]]:
    """Check every file of a model against its card; return the card and what is wrong.

    Without a card that can be read, there is one thing wrong.
    """
    try:
        card = ModelCard.read(folder / CARD)
    except ModelCorruptError as error:
        return None, [str(error)]
    there = set(model_files(folder)) - {CARD}
    problems = [f"{name} is missing" for name in sorted(set(card.files) - there)]
    problems += [f"{name} is not in the card" for name in sorted(there - set(card.files))]
    problems += [
        f"{name} was changed: its SHA-256 is not the card's"
        for name in sorted(there & set(card.files))
        if file_sha256(folder / name) != card.files[name]
    ]
    return card, problems
