"""Data sets by name, and the one door to all of them: `load_dataset`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eyevsai_core import doodles
from eyevsai_core.assembly import finish_dataset
from eyevsai_core.dataset import Dataset
from eyevsai_core.errors import DatasetError, did_you_mean
from eyevsai_core.layouts import read_folder, read_table

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DatasetInfo", "list_datasets", "load_dataset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """A named data set: what it holds, whose it is, and how it is put on the disk."""

    name: str
    summary: str
    classes: tuple[str, ...]
    pictures: int
    licence: str
    attribution: str
    source: str
    materialise: Callable[[], Path]


_CATALOG = (
    DatasetInfo(
        name="doodles",
        summary="drawings by people: pets, vegetables, instruments, street foods (bundled)",
        classes=doodles.CLASSES,
        pictures=doodles.PICTURES,
        licence=doodles.LICENCE,
        attribution=doodles.ATTRIBUTION,
        source=doodles.SOURCE,
        materialise=doodles.materialise,
    ),
)


def list_datasets() -> tuple[DatasetInfo, ...]:
    """Return every data set that has a name."""
    return _CATALOG


def load_dataset(source: str | Path | Dataset, *, seed: int = 0) -> Dataset:
    """Open a data set by its name, or a folder or table by its path.

    A source without splits is split 70/20/10 into train, validation and test, stratified, by
    `seed`. Raises `DatasetError`.
    """
    if isinstance(source, Dataset):
        return source
    named = {info.name: info for info in _CATALOG}
    info = named.get(str(source))
    if info:
        root = info.materialise()
        return finish_dataset(
            read_folder(root),
            name=info.name,
            root=root,
            seed=seed,
            licence=info.licence,
            attribution=info.attribution,
            source=info.source,
        )
    path = Path(source).expanduser()
    if not os.path.exists(path):  # noqa: PTH110  unlike Path.exists, never raises
        raise DatasetError(
            f"no data set or path {str(source)!r}; expected one of {', '.join(named)}, a folder "
            f"of <label>/<picture>, or a .csv or .jsonl table." + did_you_mean(str(source), named)
        )
    found = read_folder(path) if path.is_dir() else read_table(path)
    return finish_dataset(found, name=_name(path), root=path, seed=seed)


def _name(path: Path) -> str:
    """Make a name, fit for a reference and a folder, from a path."""
    real = path.resolve()
    stem = (real.stem if path.is_file() else real.name).lower()
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in stem)
    return safe.strip("-_")[:60] or "data"
