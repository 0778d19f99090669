"""The identity of pictures and data sets: SHA-256 of each file, and a Merkle root over them."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

from eyevsai_core.errors import DatasetError
from eyevsai_core.files import cache_home

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["hash_files", "merkle_root"]

_CHUNK = 1 << 20
_LEAF, _NODE = b"\x00", b"\x01"


def merkle_root(leaves: Iterable[Sequence[str]]) -> str:
    """Return the hex Merkle root over tuples of texts, whatever their order.

    Leaves and inner nodes are hashed with different first bytes, as in RFC 6962, so that no
    inner node can pass for a leaf.
    """
    level = sorted(
        hashlib.sha256(_LEAF + json.dumps(list(leaf), ensure_ascii=False).encode()).digest()
        for leaf in leaves
    )
    if not level:
        return hashlib.sha256(b"").hexdigest()
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        above = [hashlib.sha256(_NODE + left + right).digest() for left, right in pairs]
        level = above + level[len(above) * 2 :]
    return level[0].hex()


def hash_files(paths: Sequence[Path], *, threads: int = 8) -> list[str]:
    """Return the hex SHA-256 of each file, in order.

    Hashes are remembered by path, size and time of change, so that a large data set is read
    once. Raises `DatasetError` naming the first file that cannot be read.
    """
    with ThreadPoolExecutor(threads) as pool:
        keys = list(pool.map(_key, paths))
        known = _recall(keys)
        missing = [i for i, key in enumerate(keys) if key not in known]
        fresh = dict(
            zip(missing, pool.map(_sha256, [paths[i] for i in missing]), strict=True)
        )
    _remember({keys[i]: digest for i, digest in fresh.items()})
    return [fresh[i] if i in fresh else known[key] for i, key in enumerate(keys)]


def _key(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError as error:
        raise DatasetError(f"cannot read {str(path)!r}: {error.strerror}") from error
    return f"{path.absolute()}\x00{stat.st_size}\x00{stat.st_mtime_ns}\x00{stat.st_ino}"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise DatasetError(f"cannot read {str(path)!r}: {error.strerror}") from error
    return digest.hexdigest()


def _connect() -> sqlite3.Connection:
    home = cache_home()
    home.mkdir(parents=True, exist_ok=True)
    base = sqlite3.connect(home / "hashes.sqlite3", timeout=30)
    base.execute("CREATE TABLE IF NOT EXISTS hash (key TEXT PRIMARY KEY, sha256 TEXT) WITHOUT ROWID")
    return base


def _recall(keys: Sequence[str]) -> dict[str, str]:
    """Look keys up in the memory; without a usable one everything is hashed anew."""
    try:
        with closing(_connect()) as base:
            base.execute("CREATE TEMP TABLE wanted (key TEXT)")
            base.executemany("INSERT INTO wanted VALUES (?)", ((key,) for key in keys))
            return dict(base.execute("SELECT key, sha256 FROM hash JOIN wanted USING (key)"))
    except (OSError, sqlite3.Error):
        return {}


def _remember(digests: dict[str, str]) -> None:
    if not digests:
        return
    try:
        with closing(_connect()) as base, base:
            base.executemany("INSERT OR REPLACE INTO hash VALUES (?, ?)", digests.items())
    except (OSError, sqlite3.Error):
        return  # only speed is lost: a full disk must not stop the work here
