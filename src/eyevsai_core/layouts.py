"""Where pictures and labels stand: folder trees and tables."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eyevsai_core.dataset import Sample, Split
from eyevsai_core.errors import DatasetError
from eyevsai_core.images import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["read_folder", "read_table"]

_SPLITS = {
    "train": Split.TRAIN,
    "training": Split.TRAIN,
    "val": Split.VALIDATION,
    "valid": Split.VALIDATION,
    "validation": Split.VALIDATION,
    "dev": Split.VALIDATION,
    "calibration": Split.CALIBRATION,
    "test": Split.TEST,
    "testing": Split.TEST,
}


def read_folder(root: Path) -> list[Sample | tuple[Path, str]]:
    """List ``root/<split>/<label>/**`` or ``root/<label>/**``.

    Folders are splits when every one that holds pictures has a split's name and one is
    ``train``. Below a label, folders may nest. Links to folders are followed once. Raises
    `DatasetError`.
    """
    folders = [f for f in _folders(root) if _is_used(f)]
    splits = [_SPLITS.get(folder.name.lower()) for folder in folders]
    if folders and all(splits) and Split.TRAIN in splits:
        found: list[Sample | tuple[Path, str]] = [
            Sample(path, label.name, split)
            for folder, split in zip(folders, splits, strict=True)
            if split
            for label in _folders(folder)
            for path in _pictures(label)
        ]
    else:
        found = [(path, label.name) for label in folders for path in _pictures(label)]
    if not found:
        loose = next(_pictures(root), None)
        why = f"{loose.name!r} lies beside them" if loose else "there is no picture in it"
        raise DatasetError(
            f"a data set is a folder of <label>/<picture> or <split>/<label>/<picture>, but in "
            f"{str(root)!r} no folder holds pictures ({why}); make a folder for each class"
        )
    return found


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(
            entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")
        )
    except OSError as error:
        raise DatasetError(f"cannot list {str(root)!r}: {error.strerror}") from error


def _is_used(folder: Path) -> bool:
    return next(_pictures(folder), None) is not None


def _pictures(folder: Path) -> Iterator[Path]:
    """Walk a folder in a fixed order; a link that leads back into itself is an error."""
    yield from _walk(folder, {folder.resolve()})


def _walk(folder: Path, above: set[Path]) -> Iterator[Path]:
    try:
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as error:
        raise DatasetError(f"cannot list {str(folder)!r}: {error.strerror}") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = folder / entry.name
        if entry.is_dir():
            if not entry.is_symlink():
                yield from _walk(path, above)
                continue
            real = path.resolve()
            if real in above or any(real in parent.parents for parent in above):
                raise DatasetError(
                    f"the link {str(path)!r} leads back to {str(real)!r}, which contains it; "
                    "remove the link"
                )
            yield from _walk(path, above | {real})
        elif path.suffix.lower() in IMAGE_SUFFIXES:
            yield path


def read_table(path: Path) -> list[Sample | tuple[Path, str]]:
    """Read a ``.csv`` with a header, or a ``.jsonl``, of path, label and perhaps split.

    Paths are relative to the table. Either every row has a split or none. Raises `DatasetError`
    that names the line.
    """
    readers = {".csv": _csv_rows, ".jsonl": _jsonl_rows}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DatasetError(
            f"a data set is a folder, a .csv or a .jsonl file, but got {str(path)!r}"
        )
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            found = [_table_row(path, number, row) for number, row in reader(path, file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"cannot read the table {str(path)!r}: {error}") from error
    if not found:
        raise DatasetError(f"the table {str(path)!r} has no rows; expected path,label[,split]")
    if len({isinstance(row, Sample) for row in found}) > 1:
        raise DatasetError(
            f"either every row of {str(path)!r} must have a split, or none; some have"
        )
    return found


def _csv_rows(path: Path, file: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(file)
    missing = {"path", "label"} - set(reader.fieldnames or ())
    if missing:
        raise DatasetError(
            f"the first line of {str(path)!r} must name the columns path,label[,split], but "
            f"{', '.join(sorted(missing))} is missing: it says {reader.fieldnames!r}"
        )
    for row in reader:
        yield reader.line_num, row


def _jsonl_rows(path: Path, file: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DatasetError(f"line {number} of {str(path)!r} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise DatasetError(
                f"line {number} of {str(path)!r} must be an object with path and label, "
                f"but is {line.strip()[:60]!r}"
            )
        yield number, row


def _table_row(table: Path, number: int, row: dict[str, Any]) -> Sample | tuple[Path, str]:
    name, label, split = row.get("path"), row.get("label"), row.get("split")
    where = f"line {number} of {str(table)!r}"
    if not name or not label or not isinstance(name, str):
        raise DatasetError(f"{where} must have a path and a label, but has {row!r}")
    path = table.parent / name
    if not path.is_file():
        raise DatasetError(f"{where} names {name!r}, but there is no such file beside the table")
    if not split:
        return path, str(label)
    known = _SPLITS.get(str(split).lower())
    if known is None:
        raise DatasetError(
            f"{where} has the split {split!r}; expected train, validation, calibration or test"
        )
    return Sample(path, str(label), known)
