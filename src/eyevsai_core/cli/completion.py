"""What the shell offers after TAB: families, variants, models, data sets, runs.

Completion must be quick and must never print or fail: what cannot be read is not offered.
"""

from __future__ import annotations

import io
from contextlib import redirect_stderr, suppress
from typing import TYPE_CHECKING

from eyevsai_core.cli.console import SPLITS
from eyevsai_core.errors import EyevsaiError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eyevsai_core.families import FamilyInfo

__all__ = [
    "complete_aliases",
    "complete_data",
    "complete_families",
    "complete_models",
    "complete_runs",
    "complete_splits",
    "complete_variants",
]


def complete_families(incomplete: str) -> list[tuple[str, str]]:
    """Offer every family that can be installed or is installed."""
    return _matching(incomplete, ((row.name, _summary(row)) for row in _families()))


def complete_variants(incomplete: str) -> list[tuple[str, str]]:
    """Offer the installed families and their variants."""
    found = [(row.name, _summary(row)) for row in _families() if row.family]
    for row in _families():
        variants = row.family.variants if row.family else ()
        found += [(f"{row.name}/{variant.name}", variant.summary) for variant in variants]
    return _matching(incomplete, found)


def complete_models(incomplete: str) -> list[tuple[str, str]]:
    """Offer the registered models, with and without version or alias, and aliases alone."""
    from eyevsai_core.model_registry import ModelRegistry

    found: dict[str, str] = {}
    with suppress(EyevsaiError, OSError):
        for row in ModelRegistry().list_models():
            found[row.ref.series] = "the latest version"
            found |= dict.fromkeys(
                [f"{row.ref.series}@{name}" for name in row.aliases], str(row.ref)
            )
            found |= dict.fromkeys(row.aliases, "an alias")
            found[str(row.ref)] = row.card.created[:10] if row.card else "damaged"
    return _matching(incomplete, found.items())


def complete_aliases(incomplete: str) -> list[tuple[str, str]]:
    """Offer the aliases that are in use."""
    from eyevsai_core.model_registry import ModelRegistry

    with suppress(EyevsaiError, OSError):
        rows = ModelRegistry().list_models()
        return _matching(incomplete, ((name, str(r.ref)) for r in rows for name in r.aliases))
    return []


def complete_data(incomplete: str) -> list[tuple[str, str]]:
    """Offer the data sets that have a name, and folders and tables."""
    from pathlib import Path

    from eyevsai_core.catalog import list_datasets

    found = [(info.name, info.summary) for info in list_datasets()]
    place = Path(incomplete if incomplete.endswith("/") else Path(incomplete).parent)
    with suppress(OSError):
        for path in sorted(place.iterdir()):
            shown = path.as_posix() if "/" in incomplete else path.name
            if path.name.startswith(".") and not Path(incomplete).name.startswith("."):
                continue
            if path.is_dir() or path.suffix in {".csv", ".jsonl"}:
                found.append((shown + ("/" if path.is_dir() else ""), ""))
    return _matching(incomplete, found)


def complete_runs(incomplete: str) -> list[tuple[str, str]]:
    """Offer the runs, the newest first."""
    from eyevsai_core.run import list_runs

    with suppress(EyevsaiError, OSError):
        rows = [(run.id, run.state.value) for run in reversed(list_runs())]
        return _matching(incomplete, [("last", "the newest that is not finished"), *rows])
    return []


def complete_splits(incomplete: str) -> list[str]:
    """Offer the four splits, and all of them."""
    return [name for name in (*SPLITS, "all") if name.startswith(incomplete)]


def _families() -> tuple[FamilyInfo, ...]:
    from eyevsai_core.families import list_families

    with suppress(EyevsaiError), redirect_stderr(io.StringIO()):
        return list_families()
    return ()


def _summary(row: FamilyInfo) -> str:
    return f"{row.status}: {row.summary}" if row.summary else row.status


def _matching(incomplete: str, found: object) -> list[tuple[str, str]]:
    rows: Iterator[tuple[str, str]] = iter(found)  # type: ignore[call-overload]
    return [row for row in rows if row[0].startswith(incomplete)]
