"""The identity of pictures and data sets: SHA-256 of each file, and a Merkle root over them."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from eyevsai_core.files import cache_home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

__all__ = ["hash_files", "merkle_root"]

_T = TypeVar("_T")

_READ = 1 << 20  # bytes read at once
_BATCH = 256  # files that a thread takes at once
_SETTLED = 3_000_000_000  # ns; younger files may change again within one tick of their clock
_LEAF, _NODE = b"\x00", b"\x01"


def merkle_root(leaves: Iterable[Sequence[str]]) -> str:
    """Return the hex Merkle root over tuples of texts, whatever their order.

    Leaves and inner nodes are hashed with different first bytes, as in RFC 6962, so that no
    inner node can pass for a leaf.
    """
    level = sorted(
        hashlib.sha256(_LEAF + json.dumps(list(leaf)).encode()).digest() for leaf in leaves
    )
    if not level:
        return hashlib.sha256(b"").hexdigest()
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        above = [hashlib.sha256(_NODE + left + right).digest() for left, right in pairs]
        level = above + level[len(above) * 2 :]
    return level[0].hex()


def hash_files(paths: Sequence[Path], *, threads: int | None = None) -> list[str]:
    """Return the hex SHA-256 of each file, in order.

    A file that is empty or cannot be read gets a hash of its place among the others, so that two
    of them do not count as the same picture.
    Hashes are remembered by path, size and times of change, so that a large data set is read
    once.
    """
    with ThreadPoolExecutor(threads or min(16, 2 * (os.cpu_count() or 1))) as pool:
        keys = _each(pool, _key, paths)
        known = _recall([key for key in keys if key])
        new = [i for i, key in enumerate(keys) if key not in known]
        digests = [known.get(key, "") for key in keys]
        for i, digest in zip(new, _each(pool, _sha256, [paths[i] for i in new]), strict=True):
            digests[i] = digest
    _remember({keys[i]: digests[i] for i in new if keys[i] and digests[i]})
    above = _above_all(paths) if not all(digests) else ""
    return [
        digest or hashlib.sha256(b"unreadable " + _place(path, above)).hexdigest()
        for path, digest in zip(paths, digests, strict=True)
    ]


def _above_all(paths: Sequence[Path]) -> str:
    """Return the folder that all files are in, or nothing."""
    try:
        return os.path.commonpath([path.absolute().parent for path in paths])
    except ValueError:  # on different drives
        return ""


def _place(path: Path, above: str) -> bytes:
    """Return a path below a folder: the same wherever the data set lies."""
    whole = path.absolute()
    return os.fsencode((whole.relative_to(above) if above else whole).as_posix())


def _each(
    pool: ThreadPoolExecutor, function: Callable[[Path], _T], paths: Sequence[Path]
) -> list[_T]:
    """Apply a function to every path, in batches: one task a file would cost more than the work."""

    def batch(start: int) -> list[_T]:
        return [function(path) for path in paths[start : start + _BATCH]]

    return [value for found in pool.map(batch, range(0, len(paths), _BATCH)) for value in found]


def _key(path: Path) -> bytes:
    """Return what tells whether a file is still the same, or nothing if that cannot be told."""
    try:
        stat = path.stat()
    except OSError:
        return b""
    if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) < _SETTLED:
        return b""
    numbers = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino} "
    return numbers.encode() + os.fsencode(path.absolute())


def _sha256(path: Path) -> str:
    """Return the hash of a file; of one that is empty or cannot be read, nothing."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_READ):
                digest.update(chunk)
            if file.tell():
                return digest.hexdigest()
    except OSError:
        pass  # not known here; whoever decodes the file says what is wrong with it
    return ""


def _connect() -> sqlite3.Connection:
    home = cache_home()
    home.mkdir(parents=True, exist_ok=True)
    base = sqlite3.connect(home / "hashes.sqlite3", timeout=30)
    base.execute(
        "CREATE TABLE IF NOT EXISTS hash (key BLOB PRIMARY KEY, sha256 TEXT) WITHOUT ROWID"
    )
    return base


def _recall(keys: Sequence[bytes]) -> dict[bytes, str]:
    """Look keys up in the memory; without a usable one everything is hashed anew."""
    if not keys:
        return {}
    try:
        with closing(_connect()) as base:
            base.execute("CREATE TEMP TABLE wanted (key BLOB)")
            base.executemany("INSERT INTO wanted VALUES (?)", ((key,) for key in keys))
            return dict(base.execute("SELECT key, sha256 FROM hash JOIN wanted USING (key)"))
    except (OSError, sqlite3.Error):
        return {}


def _remember(digests: dict[bytes, str]) -> None:
    if not digests:
        return
    try:
        with closing(_connect()) as base, base:
            base.executemany("INSERT OR REPLACE INTO hash VALUES (?, ?)", digests.items())
    except (OSError, sqlite3.Error):
        return  # only speed is lost: a full disk must not stop the work here
