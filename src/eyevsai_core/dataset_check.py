"""Is a data set fit to learn from? Damaged files, duplicates, leaks, contradicting labels."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from eyevsai_core.dataset import Split
from eyevsai_core.errors import DatasetError, ImageError
from eyevsai_core.images import decode_image, picture_info
from eyevsai_core.parallel import map_ordered
from eyevsai_core.resize import resize_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from eyevsai_core.dataset import Dataset, Sample

__all__ = ["DatasetCheck", "NearPair", "check_dataset", "refuse_conflicts", "refuse_leaks"]

_THUMB = 16  # side of the thumbnails that are compared, in pixels
_ALIKE = 0.995  # correlation of thumbnails from which two pictures count as nearly the same
_FLAT = 2.0  # levels; a thumbnail that varies less shows nothing that could be compared
_ROWS = 256  # thumbnails compared at once: 100 MB against 100 000 others
_KEPT = 1000  # near pairs that are listed; all are counted
_NAMED = 5  # files that a text names
_FEW = 10  # pictures to learn from
_UNBALANCED = 10  # times


@dataclass(frozen=True, slots=True)
class NearPair:
    """Two pictures in different splits that look almost the same; `likeness` is up to 1."""

    first: str
    second: str
    likeness: float


@dataclass(frozen=True, kw_only=True)
class DatasetCheck:
    """What was found; made by `check_dataset`.

    ``unreadable`` holds (path, reason). ``duplicates`` (within a split), ``leaks`` (across
    splits) and ``conflicts`` (under several labels) are groups of files with the same bytes.
    ``widths`` and ``heights`` are smallest, median and largest, in pixels.
    """

    name: str
    fingerprint: str
    counts: dict[str, dict[str, int]]
    unreadable: tuple[tuple[str, str], ...] = ()
    duplicates: tuple[tuple[str, ...], ...] = ()
    leaks: tuple[tuple[str, ...], ...] = ()
    conflicts: tuple[tuple[str, ...], ...] = ()
    near_leaks: tuple[NearPair, ...] = ()
    near_leak_count: int = 0
    formats: dict[str, int] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)
    rotated: int = 0
    animated: int = 0
    widths: tuple[int, int, int] = (0, 0, 0)
    heights: tuple[int, int, int] = (0, 0, 0)

    @property
    def ok(self) -> bool:
        """Whether there is nothing that makes results wrong."""
        return not self.problems

    @cached_property
    def problems(self) -> tuple[str, ...]:
        """What makes results wrong and has to be mended, a sentence each."""
        found = []
        if self.unreadable:
            reasons = [reason for _, reason in self.unreadable]
            found.append(f"{_files(len(reasons))} cannot be read: {_some(reasons)}")
        if self.leaks:
            groups = [" = ".join(group) for group in self.leaks]
            found.append(f"{_pictures(len(groups))} in more than one split: {_some(groups)}")
        if self.conflicts:
            groups = [" = ".join(group) for group in self.conflicts]
            found.append(f"{_pictures(len(groups))} under more than one label: {_some(groups)}")
        return tuple(found)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What is worth a look, a sentence each."""
        found = []
        if self.near_leak_count:
            pairs = [f"{p.first} ~ {p.second}" for p in self.near_leaks]
            verb = "pair looks" if self.near_leak_count == 1 else "pairs look"
            found.append(
                f"{self.near_leak_count} {verb} nearly the same in different splits: {_some(pairs)}"
            )
        if self.duplicates:
            groups = [" = ".join(group) for group in self.duplicates]
            found.append(f"{_pictures(len(groups))} more than once in one split: {_some(groups)}")
        train = self.counts.get(Split.TRAIN, {})
        few = [f"{label!r} ({n})" for label, n in train.items() if n < _FEW]
        if few:
            found.append(f"few pictures to learn from (under {_FEW}): {_some(few)}")
        if train and max(train.values()) > _UNBALANCED * max(1, min(train.values())):
            most, least = max(train, key=train.__getitem__), min(train, key=train.__getitem__)
            found.append(
                f"unbalanced: {train[most]} pictures of {most!r}, {train[least]} of {least!r}"
            )
        if self.rotated:
            one = self.rotated == 1
            whose, what = ("is turned by its", "it") if one else ("are turned by their", "them")
            found.append(f"{_files(self.rotated)} {whose} EXIF data; we turn {what} back")
        if self.animated:
            verb = "is" if self.animated == 1 else "are"
            found.append(f"{_files(self.animated)} {verb} animated; the first frame is used")
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {
            "ok": self.ok,
            "problems": list(self.problems),
            "notes": list(self.notes),
            **asdict(self),
        }

    def to_text(self) -> str:
        """Return lines for people."""
        total = sum(sum(labels.values()) for labels in self.counts.values())
        sizes = ", ".join(f"{split} {sum(n.values())}" for split, n in self.counts.items())
        classes = len(next(iter(self.counts.values()), {}))
        small, middle, large = (f"{w}x{h}" for w, h in zip(self.widths, self.heights, strict=True))
        kinds = f"{_shares(self.formats)}; {_shares(self.modes)}"
        lines = [
            f"{self.name}: {total} pictures in {classes} classes ({sizes})",
            f"sizes {small} to {large}, median {middle}; {kinds}",
            *(f"problem: {text}" for text in self.problems),
            *(f"note: {text}" for text in self.notes),
            "fit to learn from" if self.ok else "mend the problems first",
        ]
        return "\n".join(lines)


def check_dataset(
    dataset: Dataset,
    *,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> DatasetCheck:
    """Read every picture of a data set and say what is wrong with it."""
    total = len(dataset.samples)
    thumbs = np.zeros((total, _THUMB * _THUMB), np.float32)
    infos: list[dict[str, Any]] = []
    unreadable: list[tuple[str, str]] = []
    looked = map_ordered(_look, (sample.path for sample in dataset.samples), threads=threads)
    for i, (sample, seen) in enumerate(zip(dataset.samples, looked, strict=True)):
        if isinstance(seen, str):
            unreadable.append((str(sample.path), seen))
        else:
            info, thumbs[i] = seen
            infos.append(info)
        if progress:
            progress(i + 1, total)
    near, near_count = _near_pairs(dataset.samples, thumbs)
    return DatasetCheck(
        name=dataset.name,
        fingerprint=dataset.fingerprint,
        counts=dataset.counts(),
        unreadable=tuple(unreadable),
        **_groups(dataset.samples),
        near_leaks=tuple(near),
        near_leak_count=near_count,
        formats=dict(Counter(info["format"] for info in infos).most_common()),
        modes=dict(Counter(info["mode"] for info in infos).most_common()),
        rotated=sum(info["orientation"] != 1 for info in infos),
        animated=sum(info["frames"] > 1 for info in infos),
        widths=_spread([info["width"] for info in infos]),
        heights=_spread([info["height"] for info in infos]),
    )


def refuse_conflicts(dataset: Dataset) -> None:
    """Refuse a picture under two labels: one of them is wrong, and no answer can be right.

    Raises `DatasetError`.
    """
    known: dict[str, Sample] = {}
    pairs = [
        (twin, sample)
        for sample in dataset.samples
        if (twin := known.setdefault(sample.sha256, sample)).label != sample.label
    ]
    if pairs:
        twin, first = pairs[0]
        raise DatasetError(
            f"a picture must have one label, but {len(pairs)} are also under another, first "
            f"{str(first.path)!r} ({first.label!r}) = {str(twin.path)!r} ({twin.label!r}); remove "
            "the wrong one of each, or pass --allow-conflicts and learn from both"
        )


def refuse_leaks(dataset: Dataset) -> None:
    """Refuse a test split that shares pictures with what the model learns from.

    Raises `DatasetError`.
    """
    learned = {s.sha256: s for split in Split if split != Split.TEST for s in dataset.split(split)}
    leaks = [s for s in dataset.split(Split.TEST) if s.sha256 in learned]
    if leaks:
        twin = learned[leaks[0].sha256]
        raise DatasetError(
            f"the test split must share no picture with the other splits, but {len(leaks)} are "
            f"in both, first {str(leaks[0].path)!r} = {str(twin.path)!r} ({twin.split}); remove "
            "one of each, or pass --allow-leaks and do not trust the test figures"
        )


def _look(path: Path) -> tuple[dict[str, Any], npt.NDArray[np.float32]] | str:
    """Return what the header says, and a thumbnail of length 1 about its mean; or why not."""
    try:
        small = resize_image(decode_image(path), _THUMB)
        info = picture_info(path)
    except ImageError as error:
        return str(error)
    grey = small.mean(axis=2, dtype=np.float32).ravel()
    grey -= grey.mean()
    length = float(np.linalg.norm(grey))
    # A flat picture is like no other: all of them would be alike.
    return info, grey / length if length > _FLAT * _THUMB else np.zeros_like(grey)


def _groups(samples: Sequence[Sample]) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Find files with the same bytes: leaks, conflicts, and duplicates that are neither."""
    by_hash: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_hash[sample.sha256].append(sample)
    found: dict[str, list[tuple[str, ...]]] = {"leaks": [], "conflicts": [], "duplicates": []}
    for same in by_hash.values():
        if len(same) > 1:
            paths = tuple(str(sample.path) for sample in same)
            across = len({sample.split for sample in same}) > 1
            contradicting = len({sample.label for sample in same}) > 1
            if across:
                found["leaks"].append(paths)
            if contradicting:
                found["conflicts"].append(paths)
            if not across and not contradicting:
                found["duplicates"].append(paths)
    return {kind: tuple(groups) for kind, groups in found.items()}


def _near_pairs(
    samples: Sequence[Sample], thumbs: npt.NDArray[np.float32]
) -> tuple[list[NearPair], int]:
    """Compare every picture with those of the other splits; same bytes are left out."""
    split_of = np.array([list(Split).index(sample.split) for sample in samples])
    pairs: list[NearPair] = []
    count = 0
    for split in range(1, len(Split)):
        mine, before = np.flatnonzero(split_of == split), np.flatnonzero(split_of < split)
        others = thumbs[before]
        for start in range(0, len(mine), _ROWS):
            rows = mine[start : start + _ROWS]
            likeness = thumbs[rows] @ others.T
            for r, c in np.argwhere(likeness >= _ALIKE):
                one, other = samples[rows[r]], samples[before[c]]
                if one.sha256 != other.sha256:
                    count += 1
                    if len(pairs) < _KEPT:
                        alike = min(1.0, float(likeness[r, c]))
                        pairs.append(NearPair(str(one.path), str(other.path), alike))
    return sorted(pairs, key=lambda pair: -pair.likeness), count


def _spread(values: Sequence[int]) -> tuple[int, int, int]:
    return (min(values), int(np.median(values)), max(values)) if values else (0, 0, 0)


def _shares(counted: dict[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counted.items()) or "nothing readable"


def _files(n: int) -> str:
    return f"{n} file" if n == 1 else f"{n} files"


def _pictures(n: int) -> str:
    return "1 picture is" if n == 1 else f"{n} pictures are"


def _some(texts: Sequence[str]) -> str:
    more = f"; and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    return "; ".join(texts[:_NAMED]) + more
