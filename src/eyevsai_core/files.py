"""Files that are either whole or not there: atomic writes, staging folders, homes.

A reader never sees half a file: everything is written beside its destination, flushed to the
disk, and renamed into place. A full disk leaves what was there before.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from eyevsai_core.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "STAGING_PREFIX",
    "cache_home",
    "check_writable",
    "data_home",
    "flush_folder",
    "staging_directory",
    "write_atomic",
    "write_json",
    "writing",
]

STAGING_PREFIX = ".staging-"
"""Begins the name of every folder that is still being written; readers skip them."""


def data_home() -> Path:
    """Return the folder of models and runs: ``EYEVSAI_HOME`` or the platform's convention."""
    home = os.environ.get("EYEVSAI_HOME")
    return Path(home) if home else platformdirs.user_data_path("eyevsai")


def cache_home() -> Path:
    """Return the folder of what can be made again: ``EYEVSAI_CACHE`` or the platform's."""
    home = os.environ.get("EYEVSAI_CACHE")
    return Path(home) if home else platformdirs.user_cache_path("eyevsai")


def check_writable(folder: Path) -> None:
    """Make `folder` and write into it once, so that a long job fails before it starts.

    Raises `OutputError`.
    """
    probe = folder / f".eyevsai-probe-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise OutputError(
            f"the folder {str(folder)!r} must be writable, but: {error.strerror or error}; "
            "choose another one"
        ) from error


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all. Raises `OutputError`."""
    name = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=STAGING_PREFIX, delete=False
        ) as file:
            name = file.name
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError as error:
        if name:
            Path(name).unlink(missing_ok=True)
        raise OutputError(
            f"cannot write {str(path)!r}: {error.strerror or error}; what was there before is "
            "untouched. Free some space or choose another folder"
        ) from error


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, keys sorted, whole or not at all. Raises `OutputError`."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_atomic(path, (text + "\n").encode())


def flush_folder(folder: Path) -> None:
    """Make sure that every file below `folder` is on the disk, not only in its cache."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn an `OSError` of the body, such as a full disk, into an `OutputError` that names it."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        # What numpy raises when the disk is full has a text of its own, and no number.
        reason = error.strerror or f"not all of it could be written ({error})"
        raise OutputError(
            f"cannot write into {str(folder)!r}: {reason}; nothing was kept. Free some space or "
            "choose another folder"
        ) from error


@contextmanager
def staging_directory(parent: Path) -> Iterator[Path]:
    """Give a new folder inside `parent`, on its file system; what is left in it is removed.

    The caller renames what it wants to keep out of it. An `OSError` of the body, such as a full
    disk, becomes an `OutputError`.
    """
    folder: Path | None = None
    try:
        with writing(parent):
            parent.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(dir=parent, prefix=STAGING_PREFIX))
            yield folder
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
