"""The bundled data set: 1 700 drawings by people, 20 classes, redrawn with smooth strokes.

The drawings are from "Quick, Draw!" by Google (CC BY 4.0). They are kept as 28 x 28 grey pictures,
ink on white, and drawn larger when they are first used.
"""

from __future__ import annotations

import json
import shutil
import struct
import zipfile
import zlib
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from eyevsai_core.files import cache_home, staging_directory

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
    "draw",
    "materialise",
    "read_packed",
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

_VERSION = 1  # of the drawing: a change makes other pictures, and so another folder
_SOURCE_SIDE = 28
_STORED_BLOCK = 65535


def read_packed() -> tuple[npt.NDArray[np.uint8], list[tuple[str, str]]]:
    """Return the packed drawings, uint8 (1700, 28, 28), 255 is paper, and (split, label) of each."""
    packed = resources.files("eyevsai_core") / "data" / "doodles.zip"
    with packed.open("rb") as file, zipfile.ZipFile(file) as archive:
        index = json.loads(archive.read("index.json"))
        pixels = np.frombuffer(archive.read("drawings.raw"), np.uint8)
    pictures = pixels.reshape(-1, _SOURCE_SIDE, _SOURCE_SIDE)
    return pictures, [(split, label) for split, label, n in index for _ in range(n)]


def draw(small: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """Draw a 28 x 28 grey picture with smooth strokes, uint8 (size, size), 255 is paper.

    Enlarged by cubic interpolation in fixed point, then the soft edge is made as narrow as a
    pen's by a smooth step on integers: the same bytes on every machine.
    """
    # A margin of paper, so that strokes which touch the edge end round instead of cut off.
    framed = np.pad(small, 2, constant_values=255).astype(np.int64)
    # Weights 1 4 1 each way take out the staircase of the source's pixels.
    rows = framed[:-2] + 4 * framed[1:-1] + framed[2:]
    smooth = ((rows[:, :-2] + 4 * rows[:, 1:-1] + rows[:, 2:] + 18) // 36).astype(np.uint8)
    softened = Image.fromarray(smooth).resize((size * 2, size * 2), Image.Resampling.BICUBIC)
    edge = np.arange(256)
    low, high = 95, 205  # between them lies the edge of a smoothed stroke
    t = ((edge - low).clip(0, high - low) * 1024) // (high - low)
    # Smooth step 3t^2 - 2t^3 with t in units of 1/1024.
    table = (255 * (3 * t * t * 1024 - 2 * t * t * t) // 1024**3).clip(0, 255)
    crisp = softened.point([int(v) for v in table])
    return np.asarray(crisp.resize((size, size), Image.Resampling.BOX))


def materialise() -> Path:
    """Put the drawings on the disk as ``<split>/<label>/<number>.png``, once; return the folder.

    Safe when many processes do it at once: the first to finish wins, the others use its folder.
    """
    place = cache_home() / "datasets"
    folder = place / f"doodles-{_VERSION}-{SIDE}"
    if folder.is_dir():
        return folder
    pictures, places = read_packed()
    with staging_directory(place) as staging:
        new = staging / "doodles"
        for number, (picture, (split, label)) in enumerate(zip(pictures, places, strict=True)):
            path = new / split / label / f"{number:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_png(draw(picture, SIDE)))
        try:
            new.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
            shutil.rmtree(new)
    return folder


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
