"""PixelCache: each picture decoded once, into one memory-mapped file of uint8 rows.

Every family reads its batches from it without copying; an epoch decodes nothing, and a set
larger than memory works because the operating system pages rows in and out.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from eyevsai_core.dataset import Dataset, Split
from eyevsai_core.errors import DatasetError, ImageError, OutputError
from eyevsai_core.files import STAGING_PREFIX, cache_home, flush_folder, staging_directory
from eyevsai_core.fingerprint import merkle_root
from eyevsai_core.images import decode_image, picture_info
from eyevsai_core.parallel import map_ordered
from eyevsai_core.resize import resize_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from eyevsai_core.dataset import Sample

__all__ = ["PixelCache", "auto_image_size"]

_FORMAT = 1
_CHANNELS = 3
_TOLD = 64  # pictures between two reports of progress
_ABANDONED = 3600.0  # seconds
_NAMED = 5  # unreadable pictures that an error names
_UNREADABLE_SHARE = 0.01
_SMALLEST, _LARGEST, _STEP = 32, 128, 8
_PROBED = 500


@dataclass(frozen=True, eq=False, kw_only=True)
class PixelCache:
    """The pictures of a data set at one size, on disk; made by `PixelCache.open`.

    `counts` holds the number of rows by split, `unreadable` (path, reason) of the pictures that
    were left out. The map stays valid when the folder is deleted.
    """

    folder: Path
    image_size: int
    counts: dict[str, int]
    unreadable: tuple[tuple[str, str], ...]
    _rows: npt.NDArray[np.uint8]
    _labels: npt.NDArray[np.int64]
    _numbers: npt.NDArray[np.int64]

    @classmethod
    def open(
        cls,
        dataset: Dataset,
        image_size: int,
        *,
        folder: Path | None = None,
        threads: int | None = None,
        allow_unreadable: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> PixelCache:
        """Open the cache of a data set at a size, decoding it first if it is not there.

        Safe when several processes do it at once, and after a kill. `folder` holds all caches,
        `threads` is one a core unless given. Raises `DatasetError` when more than 1 % of the
        pictures are unreadable, unless they are allowed; `OutputError` when the disk is full.
        """
        key = merkle_root(
            (str(number), s.split, s.label, s.sha256) for number, s in enumerate(dataset.samples)
        )
        place = folder or cache_home() / "pixels"
        home = place / f"{key[:32]}-{image_size}"
        cache = cls._read(home, image_size)
        if cache is None:
            _sweep(place)
            with staging_directory(place) as staging:
                new = staging / "new"
                new.mkdir()
                _check_space(new, len(dataset.samples) * image_size**2 * _CHANNELS)
                _decode(dataset, image_size, new, threads=threads, progress=progress)
                flush_folder(new)
                if home.exists() and cls._read(home, image_size) is None:
                    home.rename(staging / "damaged")
                # If another process was faster, its rows are the same.
                with suppress(OSError):
                    new.rename(home)
                cache = cls._read(home, image_size)
        if cache is None:
            raise OutputError(f"cannot write the pixel cache {str(home)!r}; choose another folder")
        _check_unreadable(cache, dataset, allow=allow_unreadable)
        return cache

    @classmethod
    def _read(cls, home: Path, size: int) -> PixelCache | None:
        """Open what lies in `home`; None if it is not there or not whole."""
        try:
            index = json.loads((home / "index.json").read_text(encoding="utf-8"))
            counts = {str(split): int(n) for split, n in index["counts"].items()}
            unreadable = tuple((str(path), str(reason)) for path, reason in index["unreadable"])
            labels = np.load(home / "labels.npy", allow_pickle=False)
            numbers = np.load(home / "samples.npy", allow_pickle=False)
            shape = (sum(counts.values()), size, size, _CHANNELS)
            whole = (home / "pixels.u8").stat().st_size == math.prod(shape)
            if not whole or not shape[0] == len(labels) == len(numbers):
                return None
            # A file of no bytes cannot be mapped.
            rows = (
                np.memmap(home / "pixels.u8", np.uint8, "r", shape=shape)
                if shape[0]
                else np.empty(shape, np.uint8)
            )
        except (OSError, ValueError, LookupError, TypeError, AttributeError, EOFError):
            return None
        return cls(
            folder=home,
            image_size=size,
            counts=counts,
            unreadable=unreadable,
            _rows=rows,
            _labels=labels,
            _numbers=numbers,
        )

    def _slice(self, split: str) -> slice:
        start = 0
        for name, count in self.counts.items():
            if name == Split(split).value:
                return slice(start, start + count)
            start += count
        return slice(0, 0)

    def images(self, split: str) -> npt.NDArray[np.uint8]:
        """Return the pictures of a split, uint8 (n, size, size, 3): a read-only view, no copy."""
        return self._rows[self._slice(split)]

    def labels(self, split: str) -> npt.NDArray[np.int64]:
        """Return the class index of each row of `images`, int64 (n,)."""
        return self._labels[self._slice(split)]

    def samples(self, dataset: Dataset, split: str) -> list[Sample]:
        """Return the sample behind each row of `images`; `dataset` is the one of `open`."""
        return [dataset.samples[i] for i in self._numbers[self._slice(split)]]


def _sweep(place: Path) -> None:
    """Remove what killed processes left; what is being written now is younger than an hour."""
    for left in place.glob(f"{STAGING_PREFIX}*"):
        with suppress(OSError):
            newest = max(path.stat().st_mtime for path in (left, *left.rglob("*")))
            if time.time() - newest > _ABANDONED:
                shutil.rmtree(left)


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OutputError(
            f"the pixel cache needs {needed / 1e9:.1f} GB, but {str(folder.parent.parent)!r} has "
            f"{free / 1e9:.1f} GB left; free some space, set EYEVSAI_CACHE to a folder on a larger "
            "disk, or choose a smaller image size"
        )


def _decode(
    dataset: Dataset,
    size: int,
    folder: Path,
    *,
    threads: int | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Write the rows of every readable picture, split after split, and what they are."""
    counts = {split.value: 0 for split in Split if dataset.split(split)}
    order = {split: place for place, split in enumerate(counts)}
    ordered = sorted(enumerate(dataset.samples), key=lambda numbered: order[numbered[1].split])
    kept: list[int] = []
    unreadable: list[tuple[str, str]] = []
    rows = map_ordered(partial(_load, size), (s.path for _, s in ordered), threads=threads)
    with (folder / "pixels.u8").open("wb") as file:
        for done, ((number, sample), row) in enumerate(zip(ordered, rows, strict=True), start=1):
            if isinstance(row, str):
                unreadable.append((str(sample.path), row))
            else:
                file.write(np.ascontiguousarray(row).data)
                kept.append(number)
                counts[sample.split.value] += 1
            if progress and (done % _TOLD == 0 or done == len(ordered)):
                progress(done, len(ordered))
    index = {label: i for i, label in enumerate(dataset.classes)}
    labels = [index[dataset.samples[number].label] for number in kept]
    np.save(folder / "labels.npy", np.array(labels, np.int64))
    np.save(folder / "samples.npy", np.array(kept, np.int64))
    about = {"format": _FORMAT, "counts": counts, "unreadable": unreadable}
    (folder / "index.json").write_text(json.dumps(about), encoding="utf-8")


def _load(size: int, path: Path) -> npt.NDArray[np.uint8] | str:
    try:
        return resize_image(decode_image(path), size)
    except ImageError as error:
        return str(error)


def _check_unreadable(cache: PixelCache, dataset: Dataset, *, allow: bool) -> None:
    bad, total = cache.unreadable, len(dataset.samples)
    if bad and not allow and len(bad) > _UNREADABLE_SHARE * total:
        listed = "; ".join(reason for _, reason in bad[:_NAMED])
        raise DatasetError(
            f"{len(bad)} of {total} pictures cannot be read, more than 1 %: {listed}"
            f"{'; ...' if len(bad) > _NAMED else ''}. Remove them, or pass --allow-unreadable"
        )
    missing = [f"split {split}" for split, count in cache.counts.items() if not count]
    if Split.TRAIN.value in cache.counts:
        seen = set(cache.labels(Split.TRAIN).tolist())
        missing += [repr(label) for i, label in enumerate(dataset.classes) if i not in seen]
    if missing:
        first = f"; the first that cannot be read: {bad[0][1]}" if bad else ""
        raise DatasetError(f"no picture is left to learn from for {', '.join(missing)}{first}")


def auto_image_size(dataset: Dataset) -> int:
    """Choose the input size: the median short side, 32 to 128 pixels, a multiple of 8."""
    step = -(-len(dataset.samples) // _PROBED)
    sides = [side for s in dataset.samples[::step] if (side := _short_side(s.path))]
    typical = float(np.median(sides)) if sides else _LARGEST
    return int(np.clip(round(typical / _STEP) * _STEP, _SMALLEST, _LARGEST))


def _short_side(path: Path) -> int:
    try:
        info = picture_info(path)
    except ImageError:
        return 0
    return int(min(info["width"], info["height"]))
