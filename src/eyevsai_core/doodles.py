"""The bundled data set: 1 700 drawings by people, 20 classes, redrawn with smooth strokes.

The drawings are from "Quick, Draw!" by Google (CC BY 4.0). They are kept as strokes, traced by
`tools/pack_doodles.py` from pictures of 28 x 28 pixels, and drawn when they are first used.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from eyevsai_core.files import cache_home, staging_directory
from eyevsai_core.parallel import map_ordered

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

__all__ = [
    "ATTRIBUTION",
    "CLASSES",
    "LICENCE",
    "PICTURES",
    "SIDE",
    "SOURCE",
    "Drawing",
    "draw",
    "materialise",
    "read_drawings",
]

SIDE = 96
"""Side of the drawings as the data set holds them, in pixels."""
PICTURES = 1700
LICENCE = "CC-BY-4.0"
SOURCE = "https://github.com/googlecreativelab/quickdraw-dataset"
ATTRIBUTION = (
    "Quick, Draw! Dataset, made available by Google, Inc. under the Creative Commons Attribution "
    "4.0 International licence; a selection, redrawn at a larger size"
)
CLASSES = (
    "asparagus",
    "broccoli",
    "carrot",
    "cat",
    "dog",
    "donut",
    "drums",
    "fish",
    "guitar",
    "hamburger",
    "harp",
    "hot dog",
    "ice cream",
    "mushroom",
    "onion",
    "parrot",
    "piano",
    "pizza",
    "rabbit",
    "trumpet",
)

_VERSION = 2  # of the drawing: a change makes other pictures, and so another folder
_UNITS = 1024  # of the packed points, along the frame's side
_PEN = 19  # radius in those units: 3.6 pixels wide in a drawing of 96 pixels
_PIECES = 4  # of the curve between two points
_FINE = 4  # fine pixels in a pixel, each way, for smooth edges
_GRAIN = 16  # steps in a fine pixel
_STORED_BLOCK = 65535


@dataclass(frozen=True, slots=True)
class Drawing:
    """One drawing as a pen would draw it again.

    ``strokes`` are the lines, in the order in which they were found, and ``fills`` the outlines
    of areas full of ink; each is int64 (n, 2), (x, y) in units of 1/1024 of the frame's side,
    with at most about 40 units from point to point. A stroke of one point is a dot.
    """

    split: str
    label: str
    strokes: tuple[npt.NDArray[np.int64], ...]
    fills: tuple[npt.NDArray[np.int64], ...]


def read_drawings() -> list[Drawing]:
    """Read the packed drawings, ordered by split and label."""
    packed = resources.files("eyevsai_core") / "data" / "doodles.zip"
    with packed.open("rb") as file, zipfile.ZipFile(file) as archive:
        index = json.loads(archive.read("index.json"))
        shapes = iter(np.frombuffer(archive.read("shapes"), "<u2").tolist())
        starts = iter(np.frombuffer(archive.read("starts"), "<i2").reshape(-1, 2).astype(np.int64))
        steps = np.frombuffer(archive.read("steps"), "i1").reshape(-1, 2)
    drawings, used = [], 0
    for split, label in [(split, label) for split, label, n in index for _ in range(n)]:
        curves: tuple[list[npt.NDArray[np.int64]], ...] = ([], [])
        for shape in islice(shapes, next(shapes)):
            points, is_fill = divmod(shape, 2)
            moves = steps[used : used + points - 1]
            used += points - 1
            curves[is_fill].append(np.cumsum(np.vstack([next(starts), moves]), axis=0))
        drawings.append(Drawing(split, label, tuple(curves[0]), tuple(curves[1])))
    return drawings


def draw(drawing: Drawing, size: int) -> npt.NDArray[np.uint8]:
    """Draw with a round pen and smooth edges, uint8 (size, size), 255 is paper.

    Computed in integers alone: the same bytes on every machine.
    """
    side = size * _FINE
    ink = np.zeros((side, side), bool)
    if drawing.strokes:
        ink |= _stroked(np.concatenate([_curve(line, side) for line in drawing.strokes]), side)
    if drawing.fills:
        ink |= _filled([_curve(outline, side) for outline in drawing.fills], side)
    # One axis at a time, in bytes: several times quicker than both at once.
    columns = ink.view(np.uint8).reshape(size, _FINE, side).sum(axis=1, dtype=np.uint8)
    covered = columns.reshape(size, size, _FINE).sum(axis=2, dtype=np.int64)
    full = _FINE * _FINE
    return np.asarray(255 - (covered * 255 + full // 2) // full, np.uint8)


def _curve(points: npt.NDArray[np.int64], side: int) -> npt.NDArray[np.int64]:
    """Lay a Catmull-Rom spline through the points, int64 (m, 2), in 1/`_GRAIN` of a fine pixel."""
    if len(points) > 1:
        closed = bool((points[0] == points[-1]).all())
        before = points[-2] if closed else 2 * points[0] - points[1]
        after = points[1] if closed else 2 * points[-1] - points[-2]
        a, b, c, d = (
            p[:, None]
            for p in (
                np.vstack([before, points[:-2]]),
                points[:-1],
                points[1:],
                np.vstack([points[2:], after]),
            )
        )
        n = _PIECES
        t = np.arange(n)[:, None]
        # Twice the spline at t / n, times n cubed, so that everything is an integer.
        curve = (
            2 * b * n**3
            + (c - a) * t * n**2
            + (2 * a - 5 * b + 4 * c - d) * t**2 * n
            + (3 * (b - c) + d - a) * t**3
        ).reshape(-1, 2)
        points = np.vstack([curve, 2 * n**3 * points[-1:]])
    else:
        points = points * 2 * _PIECES**3
    return points * side * _GRAIN // (2 * _PIECES**3 * _UNITS)


def _stroked(centres: npt.NDArray[np.int64], side: int) -> npt.NDArray[np.bool_]:
    """Mark every fine pixel within the pen's radius of a centre, bool (side, side).

    Each disc is a few spans; a running sum along each row joins the spans of all discs.
    """
    radius = _PEN * side * _GRAIN // _UNITS
    reach = radius // _GRAIN + 1
    rows = centres[:, 1:] // _GRAIN + np.arange(-reach, reach + 1)
    across = rows * _GRAIN + _GRAIN // 2 - centres[:, 1:]
    room = radius**2 - across**2
    # The root of an integer below 2**52, rounded down, is the same on every machine.
    half = np.sqrt(np.maximum(room, 0)).astype(np.int64)
    # The first fine pixel whose middle is inside, and the first that is outside again.
    first = (centres[:, :1] - half + _GRAIN // 2 - 1) // _GRAIN
    beyond = (centres[:, :1] + half + _GRAIN // 2) // _GRAIN
    inside = (room >= 0) & (rows >= 0) & (rows < side) & (first < beyond)
    begin = (rows * (side + 1) + first.clip(0, side))[inside]
    end = (rows * (side + 1) + beyond.clip(0, side))[inside]
    n = side * (side + 1)
    change = np.bincount(begin, minlength=n) - np.bincount(end, minlength=n)
    depth = change.reshape(side, side + 1).cumsum(axis=1, dtype=np.int16)
    return np.asarray(depth[:, :side] > 0)


def _filled(outlines: list[npt.NDArray[np.int64]], side: int) -> npt.NDArray[np.bool_]:
    """Mark every fine pixel whose middle is inside an odd number of outlines."""
    start = np.concatenate([points[:-1] for points in outlines])
    stop = np.concatenate([points[1:] for points in outlines])
    # Rows whose middle lies between an edge's ends, the lower end left out.
    low = (np.minimum(start, stop)[:, 1] + _GRAIN // 2 - 1) // _GRAIN
    high = (np.maximum(start, stop)[:, 1] + _GRAIN // 2 - 1) // _GRAIN
    count = high - low
    edge = np.repeat(np.arange(len(start)), count)
    row = np.repeat(low, count) + np.arange(count.sum()) - np.repeat(count.cumsum() - count, count)
    (x0, y0), (x1, y1) = start[edge].T, stop[edge].T
    middle = row * _GRAIN + _GRAIN // 2
    crossing = x0 + (middle - y0) * (x1 - x0) // (y1 - y0)
    column = ((crossing + _GRAIN // 2 - 1) // _GRAIN).clip(0, side)
    inside = (row >= 0) & (row < side)
    place = (row * (side + 1) + column)[inside]
    crossed = np.bincount(place, minlength=side * (side + 1))
    before = crossed.reshape(side, side + 1).cumsum(axis=1, dtype=np.int16)
    return np.asarray(before[:, :side] % 2 == 1)


def materialise() -> Path:
    """Put the drawings on the disk as ``<split>/<label>/<number>.png``, once; return the folder.

    Safe when many processes do it at once: the first to finish wins, the others use its folder.
    Raises `OutputError`.
    """
    place = cache_home() / "datasets"
    folder = place / f"doodles-{_VERSION}-{SIDE}"
    if _is_whole(folder):
        return folder
    with staging_directory(place) as staging:
        new = staging / "doodles"
        drawings = read_drawings()
        pictures = map_ordered(lambda drawing: _png(draw(drawing, SIDE)), drawings)
        for number, (drawing, png) in enumerate(zip(drawings, pictures, strict=True)):
            path = new / drawing.split / drawing.label / f"{number:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png)
        if folder.exists() and not _is_whole(folder):
            folder.rename(staging / "damaged")
        try:
            new.rename(folder)
        except OSError:
            if not _is_whole(folder):
                raise
    return folder


def _is_whole(folder: Path) -> bool:
    """Tell whether every drawing is there: people and systems clean cache folders."""
    return sum(1 for _ in folder.glob("*/*/*.png")) == PICTURES


def _png(grey: npt.NDArray[np.uint8]) -> bytes:
    """Encode uint8 (h, w) as a PNG without compression.

    Compressed bytes differ between versions of zlib, and the fingerprint of this data set must
    be the same everywhere. PNG specification, third edition, sections 5 and 10; RFC 1950 and 1951.
    """
    height, width = grey.shape
    rows = b"".join(b"\x00" + row.tobytes() for row in grey)
    blocks = [rows[i : i + _STORED_BLOCK] for i in range(0, len(rows), _STORED_BLOCK)]
    stored = b"".join(
        struct.pack("<BHH", i == len(blocks) - 1, len(block), len(block) ^ 0xFFFF) + block
        for i, block in enumerate(blocks)
    )
    body = b"\x78\x01" + stored + struct.pack(">I", zlib.adler32(rows))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
