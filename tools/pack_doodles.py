"""Pack the drawings of `doodles20.zip` into the core's wheel, as strokes.

    python tools/pack_doodles.py path/to/doodles20.zip

The source holds ``doodles20/<split>/<label>/<number>.png``, 28 x 28 grey, ink on white. Takes
about five minutes on one core; `eyevsai_core.doodles` reads the result.
"""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from itertools import groupby
from multiprocessing import Pool
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from trace_strokes import trace_strokes

if TYPE_CHECKING:
    import numpy.typing as npt

TARGET = Path(__file__).parents[1] / "src" / "eyevsai_core" / "data" / "doodles.zip"
UNIT = 32  # of a source pixel
FRAME = 32  # source pixels, so that there is paper around 28; 1024 units


def main(source: str) -> None:
    """Trace every drawing and write the packed file, ordered by split, label and number."""
    with zipfile.ZipFile(source) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".png"))
        pictures = [np.array(Image.open(io.BytesIO(archive.read(n))).convert("L")) for n in names]
    with Pool(int(os.environ.get("JOBS", "1"))) as pool:
        drawings = pool.map(trace_strokes, pictures, chunksize=8)
    places = [tuple(name.split("/")[1:3]) for name in names]
    index = [(split, label, len(list(group))) for (split, label), group in groupby(places)]
    members = {"index.json": json.dumps(index).encode(), **pack(drawings)}
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(TARGET, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for name, content in members.items():
            # A fixed date keeps the packed file the same from one packing to the next.
            info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            packed.writestr(info, content, zipfile.ZIP_DEFLATED)
    print(f"{len(names)} drawings, {TARGET.stat().st_size} bytes: {TARGET}")


def pack(drawings: list[list[tuple[int, npt.NDArray[np.floating[Any]]]]]) -> dict[str, bytes]:
    """Return the packed members by name.

    ``shapes``: for each drawing its number of curves, then for each curve twice its number of
    points, plus 1 when it is a filled outline; uint16. ``starts``: x, y of each curve's first
    point; int16. ``steps``: from each point to the next; int8.
    """
    shapes: list[int] = []
    starts, steps = [], []
    for curves in drawings:
        shapes.append(len(curves))
        everything = np.concatenate([points for _, points in curves])
        # The source has its drawings at the top left; here they are in the middle.
        middle = (FRAME - everything.min(axis=0) - everything.max(axis=0)) / 2
        for kind, points in curves:
            fixed = np.rint((points + middle) * UNIT).astype(np.int64)
            shapes.append(2 * len(fixed) + kind)
            starts.append(fixed[0])
            steps.append(np.diff(fixed, axis=0))
    moves = np.concatenate(steps)
    if np.abs(moves).max() > np.iinfo(np.int8).max:
        message = "points lie too far apart for int8: lower STEP in trace_strokes.py"
        raise ValueError(message)
    return {
        "shapes": np.array(shapes, "<u2").tobytes(),
        "starts": np.array(starts, "<i2").tobytes(),
        "steps": moves.astype("i1").tobytes(),
    }


if __name__ == "__main__":
    main(sys.argv[1])
