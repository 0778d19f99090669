"""PixelCache: each picture decoded once, into one memory-mapped file of uint8 rows.

Every family reads its batches from it without copying; an epoch decodes nothing, and a set
larger than memory works because the operating system pages rows in and out.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eyevsai_core.dataset import Dataset, Split
from eyevsai_core.errors import DatasetError, ImageError
from eyevsai_core.files import cache_home, flush_folder, staging_directory
from eyevsai_core.fingerprint import merkle_root
from eyevsai_core.images import decode_image, picture_info
from eyevsai_core.resize import resize_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from eyevsai_core.dataset import Sample

__all__ = ["PixelCache", "auto_image_size"]

_FORMAT = 1
_CHUNK = 256
_UNREADABLE_SHARE = 0.01
_SMALLEST, _LARGEST, _STEP = 32, 128, 8
_PROBED = 500


@dataclass(frozen=True)
class PixelCache:
    """The pictures of a data set at one size, on disk; made by `PixelCache.open`.

    `unreadable` holds (path, reason) of the pictures that were left out.
    """

    folder: Path
    image_size: int
    counts: dict[str, int]
    unreadable: tuple[tuple[str, str], ...]

    @classmethod
    def open(
        cls,
        dataset: Dataset,
        image_size: int,
        *,
        folder: Path | None = None,
        threads: int = 2,
        allow_unreadable: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> PixelCache:
        """Open the cache of a data set at a size, decoding it first if it is not there.

        Safe when several processes do it at once, and after a kill. Raises `DatasetError` when
        more than 1 % of the pictures are unreadable, unless they are allowed; `OutputError`
        when the disk is full.
        """
        key = merkle_root(
            (str(number), s.split, s.label, s.sha256) for number, s in enumerate(dataset.samples)
        )
        place = folder or cache_home() / "pixels"
        home = place / f"{key[:32]}-{image_size}"
        if not (home / "index.json").is_file():
            with staging_directory(place) as staging:
                new = staging / "cache"
                new.mkdir()
                _decode(dataset, image_size, new, threads=threads, progress=progress)
                flush_folder(new)
                try:
                    new.rename(home)
                except OSError:
                    # Another process was faster: its rows are the same.
                    if not (home / "index.json").is_file():
                        raise
        index = json.loads((home / "index.json").read_text(encoding="utf-8"))
        cache = cls(home, image_size, index["counts"], tuple(map(tuple, index["unreadable"])))
        _check_unreadable(cache, dataset, allow=allow_unreadable)
        return cache

    @cached_property
    def _rows(self) -> npt.NDArray[np.uint8]:
        shape = (sum(self.counts.values()), self.image_size, self.image_size, 3)
        return np.memmap(self.folder / "pixels.u8", np.uint8, "r", shape=shape)

    @cached_property
    def _labels(self) -> npt.NDArray[np.int64]:
        labels: npt.NDArray[np.int64] = np.load(self.folder / "labels.npy", allow_pickle=False)
        return labels

    @cached_property
    def _keep(self) -> npt.NDArray[np.int64]:
        kept: npt.NDArray[np.int64] = np.load(self.folder / "samples.npy", allow_pickle=False)
        return kept

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
        """Return the sample behind each row of `images`."""
        return [dataset.samples[i] for i in self._keep[self._slice(split)]]


def _decode(
    dataset: Dataset,
    size: int,
    folder: Path,
    *,
    threads: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    def load(sample: Sample) -> npt.NDArray[np.uint8] | str:
        try:
            return resize_image(decode_image(sample.path), size)
        except ImageError as error:
            return str(error)

    class_index = {label: i for i, label in enumerate(dataset.classes)}
    counts = {split.value: 0 for split in Split if dataset.split(split)}
    ordered = [(i, s) for split in counts for i, s in enumerate(dataset.samples) if s.split == split]
    kept: list[int] = []
    unreadable: list[tuple[str, str]] = []
    # A bounded window of pictures in flight: memory does not grow with the data set.
    with (folder / "pixels.u8").open("wb") as file, ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(ordered), _CHUNK):
            chunk = ordered[start : start + _CHUNK]
            for (i, sample), row in zip(chunk, pool.map(load, [s for _, s in chunk]), strict=True):
                if isinstance(row, str):
                    unreadable.append((str(sample.path), row))
                    continue
                file.write(np.ascontiguousarray(row).data)
                kept.append(i)
                counts[sample.split.value] += 1
            if progress:
                progress(min(start + _CHUNK, len(ordered)), len(ordered))
    labels = [class_index[dataset.samples[i].label] for i in kept]
    np.save(folder / "labels.npy", np.array(labels, np.int64))
    np.save(folder / "samples.npy", np.array(kept, np.int64))
    index: dict[str, Any] = {"format": _FORMAT, "counts": counts, "unreadable": unreadable}
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")


def _check_unreadable(cache: PixelCache, dataset: Dataset, *, allow: bool) -> None:
    bad, total = cache.unreadable, len(dataset.samples)
    empty = [split for split, count in cache.counts.items() if not count]
    lost = set(range(len(dataset.classes))) - set(cache.labels(Split.TRAIN).tolist())
    if empty or lost:
        missing = [*empty, *(dataset.classes[i] for i in sorted(lost))]
        raise DatasetError(
            f"no readable picture is left of {', '.join(missing)}; first unreadable: {bad[0][1]}"
            if bad
            else f"no picture to learn from for {', '.join(missing)}"
        )
    if bad and not allow and len(bad) > _UNREADABLE_SHARE * total:
        listed = "; ".join(reason for _, reason in bad[:5])
        raise DatasetError(
            f"{len(bad)} of {total} pictures cannot be read, more than 1 %: {listed}"
            f"{'; ...' if len(bad) > 5 else ''}. Remove them, or pass --allow-unreadable"  # noqa: PLR2004
        )


def auto_image_size(dataset: Dataset) -> int:
    """Choose the input size: the median short side, 32 to 128 pixels, a multiple of 8."""
    step = max(1, len(dataset.samples) // _PROBED)
    sides = [side for s in dataset.samples[::step] if (side := _short_side(s.path))]
    typical = float(np.median(sides)) if sides else _LARGEST
    return int(np.clip(round(typical / _STEP) * _STEP, _SMALLEST, _LARGEST))


def _short_side(path: Path) -> int:
    try:
        info = picture_info(path)
    except ImageError:
        return 0
    return min(info["width"], info["height"])
