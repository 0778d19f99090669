"""Where pictures and labels stand: folder trees and tables."""

from __future__ import annotations

import csv
import json
import os
from typing import TYPE_CHECKING, Any

from eyevsai_core.dataset import Sample, Split
from eyevsai_core.errors import DatasetError
from eyevsai_core.images import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["read_folder", "read_table"]

_NAMED = 5  # missing files that an error names
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

    Folders are splits when every one that holds pictures has a split's name and any of them has
    folders with pictures of its own. Below a label, folders may nest. A link to a folder is
    followed, a link that leads back is an error. Hidden files and folders are left out. Raises
    `DatasetError`.
    """
    found: list[Sample | tuple[Path, str]] = []
    folders = [folder for folder in _folders(root) if _is_used(folder)]
    splits = [_SPLITS.get(folder.name.lower()) for folder in folders]
    if all(splits) and any(_is_used(label) for folder in folders for label in _folders(folder)):
        for folder, split in zip(folders, splits, strict=True):
            _check_split(folder)
            for label in _folders(folder):
                found += [Sample(path, label.name, split) for path in _pictures(label) if split]
    else:
        found += [(path, label.name) for label in folders for path in _pictures(label)]
    if not found:
        loose = next(_pictures(root), None)
        why = f"{loose.name!r} lies beside them" if loose else "there is no picture in it"
        raise DatasetError(
            f"a data set is a folder of <label>/<picture> or <split>/<label>/<picture>, but in "
            f"{str(root)!r} no folder holds pictures ({why}); make a folder for each class"
        )
    return found


def _folders(root: Path) -> list[Path]:
    return [root / entry.name for entry in _entries(root) if _is_folder(entry)]


def _is_used(folder: Path) -> bool:
    return next(_pictures(folder), None) is not None


def _check_split(folder: Path) -> None:
    stray = next((entry.name for entry in _entries(folder) if _is_picture(entry)), None)
    if stray:
        raise DatasetError(
            f"{folder.name!r} is the name of a split, which holds a folder for each class, but "
            f"{str(folder / stray)!r} lies in none; move it into its class"
        )


def _pictures(folder: Path) -> Iterator[Path]:
    """Walk a folder in a fixed order."""
    yield from _walk(folder, frozenset({folder.resolve()}))


def _walk(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    for entry in _entries(folder):
        path = folder / entry.name
        if _is_picture(entry):
            yield path
        elif _is_folder(entry):
            # Only a link can lead back; resolving every folder would cost time.
            real = path.resolve() if entry.is_symlink() else path
            if entry.is_symlink() and any(real == up or real in up.parents for up in above):
                raise DatasetError(
                    f"the link {str(path)!r} leads back to {str(real)!r}, which contains it; "
                    "remove the link"
                )
            yield from _walk(path, above | {real})


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as scan:
            visible = [entry for entry in scan if not entry.name.startswith(".")]
    except OSError as error:
        raise DatasetError(f"cannot list {str(folder)!r}: {error.strerror}") from error
    return sorted(visible, key=lambda entry: entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_picture(entry: os.DirEntry[str]) -> bool:
    # Files only by name: whether one can be read shows when it is decoded, and is counted.
    suffix = "." + entry.name.rpartition(".")[2].lower()
    return suffix in IMAGE_SUFFIXES and not _is_folder(entry)


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
    _check_files(path, found)
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
        except (ValueError, RecursionError) as error:
            raise DatasetError(f"line {number} of {str(path)!r} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise DatasetError(
                f"line {number} of {str(path)!r} must be an object with path and label, "
                f"but is {line.strip()[:60]!r}"
            )
        yield number, row


def _table_row(table: Path, number: int, row: dict[str, Any]) -> Sample | tuple[Path, str]:
    name, label, split = row.get("path"), _text(row.get("label")), _text(row.get("split"))
    where = f"line {number} of {str(table)!r}"
    if not name or not label or not isinstance(name, str):
        raise DatasetError(f"{where} must have a path and a label, but has {row!r}")
    path = table.parent / name
    if not split:
        return path, label
    known = _SPLITS.get(split.lower())
    if known is None:
        raise DatasetError(
            f"{where} has the split {split!r}; expected train, validation, calibration or test"
        )
    return Sample(path, label, known)


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _check_files(table: Path, found: list[Sample | tuple[Path, str]]) -> None:
    paths = (item.path if isinstance(item, Sample) else item[0] for item in found)
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise DatasetError(
            f"{len(missing)} of {len(found)} files that {str(table)!r} names are not there: "
            f"{', '.join(map(repr, missing[:_NAMED]))}{more}; paths are relative to the table"
        )
