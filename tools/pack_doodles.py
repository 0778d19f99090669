"""Pack the drawings of `doodles20.zip` into the core's wheel.

    python tools/pack_doodles.py path/to/doodles20.zip

The source holds ``doodles20/<split>/<label>/<number>.png``, 28 x 28 grey, ink on white.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from itertools import groupby
from pathlib import Path

from PIL import Image

TARGET = Path(__file__).parents[1] / "src" / "eyevsai_core" / "data" / "doodles.zip"


def main(source: str) -> None:
    """Write the packed file, in the order of split, label and number."""
    with zipfile.ZipFile(source) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".png"))
        raw = b"".join(
            Image.open(io.BytesIO(archive.read(name))).convert("L").tobytes() for name in names
        )
    places = [tuple(name.split("/")[1:3]) for name in names]
    index = [(split, label, len(list(group))) for (split, label), group in groupby(places)]
    TARGET.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(TARGET, "w", zipfile.ZIP_LZMA) as packed:
        for name, content in (("index.json", json.dumps(index).encode()), ("drawings.raw", raw)):
            # A fixed date keeps the packed file the same from one packing to the next.
            packed.writestr(
                zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), content, zipfile.ZIP_LZMA
            )
    print(f"{len(names)} drawings, {TARGET.stat().st_size} bytes: {TARGET}")


if __name__ == "__main__":
    main(sys.argv[1])
