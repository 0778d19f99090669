"""The parity gate: is the artefact the model that was trained?

Exporters are known to write broken files without raising, so nothing is registered before the
artefact has been run on real files of every kind, and on the data set's own pictures, and has
given the native classifier's answers.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from eyevsai_core.errors import ParityError
from eyevsai_core.files import writing
from eyevsai_core.images import decode_image
from eyevsai_core.resize import resize_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from eyevsai_core.calibration import Calibration
    from eyevsai_core.classifier import OnnxClassifier
    from eyevsai_core.family import Classifier

__all__ = ["Parity", "check_parity", "write_odd_files"]

_EXIF_ORIENTATION = 0x0112
_ROTATE_90 = 6
_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How closely the artefact follows the native classifier.

    `largest_difference` is the largest absolute difference of any probability;
    `argmax_agreement` the share (0-1) of pictures with the same best label; a disagreement
    between two labels that the native model itself holds within twice the tolerance of each
    other is a near tie and is counted in `near_ties`.
    """

    pictures: int
    odd_files: int
    largest_difference: float
    argmax_agreement: float
    near_ties: int
    tolerance: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the model card."""
        return asdict(self)


def check_parity(
    artefact: OnnxClassifier,
    native: Classifier,
    calibration: Calibration,
    paths: Sequence[Path],
    *,
    tolerance: float,
) -> Parity:
    """Compare artefact and native classifier on files, and raise `ParityError` if they differ.

    The artefact gets each file's pixels as they were decoded, of any size; the native classifier
    gets them through the reference resize. `paths` are pictures of the data set; a fixed set of
    odd files (`write_odd_files`) made from the first of them is added.
    """
    ours: list[npt.NDArray[np.float32]] = []
    theirs: list[npt.NDArray[np.float32]] = []
    names: list[str] = []
    first = decode_image(paths[0])
    with (
        writing(Path(tempfile.gettempdir())),
        tempfile.TemporaryDirectory(prefix="eyevsai-parity-") as folder,
    ):
        odd = write_odd_files(first, Path(folder))
        for chunk in _chunks([*odd, *paths]):
            images = [decode_image(path) for path in chunk]
            small = np.stack([resize_image(image, native.image_size) for image in images])
            ours.append(artefact.predict_proba(images))
            theirs.append(calibration.apply(native.predict_scores(small)))
            names.extend(path.name for path in chunk)
    return _judge(
        np.concatenate(ours), np.concatenate(theirs), names, odd_files=len(odd), tolerance=tolerance
    )


def _judge(
    ours: npt.NDArray[np.float32],
    theirs: npt.NDArray[np.float32],
    names: Sequence[str],
    *,
    odd_files: int,
    tolerance: float,
) -> Parity:
    difference = np.abs(ours.astype(np.float64) - theirs).max(axis=1)
    # A NaN on either side must fail, and comparisons with NaN are false.
    wrong = ~(difference <= tolerance)
    if wrong.any():
        worst = int(np.argmax(np.where(np.isnan(difference), np.inf, difference)))
        raise ParityError(
            f"the artefact must give the trained model's probabilities within {tolerance:g}, but "
            f"{int(wrong.sum())} of {len(names)} pictures differ, {names[worst]!r} most, by "
            f"{difference[worst]:.3g}; nothing was registered. This is a defect of the family's "
            "to_graph: report it to the plugin's author"
        )
    flipped = ours.argmax(axis=1) != theirs.argmax(axis=1)
    # Each of two labels is within the tolerance by now: only near ties can have been flipped.
    return Parity(
        pictures=len(names) - odd_files,
        odd_files=odd_files,
        largest_difference=float(difference.max()),
        argmax_agreement=float(1 - flipped.mean()),
        near_ties=int(flipped.sum()),
        tolerance=tolerance,
    )


def write_odd_files(image: npt.NDArray[np.uint8], folder: Path) -> list[Path]:
    """Write one picture, uint8 (height, width, 3), as every kind of file that users have.

    Grey, grey with alpha, RGBA, CMYK, 16 bit, palette, rotated by EXIF, animated, one pixel,
    a thin line, and 12 megapixels.
    """
    picture = Image.fromarray(image)
    alpha = picture.convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize(picture.size))
    deep = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[_EXIF_ORIENTATION] = _ROTATE_90
    odd: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "grey.png": (picture.convert("L"), {}),
        "grey-alpha.png": (alpha.convert("LA"), {}),
        "alpha.png": (alpha, {}),
        "cmyk.jpg": (picture.convert("CMYK"), {"quality": 95}),
        "sixteen-bit.png": (deep, {}),
        "palette.gif": (picture.quantize(64), {}),
        "rotated.jpg": (picture, {"quality": 90, "exif": exif}),
        "animated.gif": (
            picture.quantize(32),
            {"save_all": True, "append_images": [picture.quantize(8)]},
        ),
        "one-pixel.png": (picture.resize((1, 1)), {}),
        "line.png": (picture.resize((3, 1000)), {}),
        "twelve-megapixels.jpg": (picture.resize((4000, 3000)), {"quality": 75}),
    }
    for name, (kind, options) in odd.items():
        kind.save(folder / name, **options)
    return [folder / name for name in odd]


def _chunks(paths: Sequence[Path]) -> Iterator[Sequence[Path]]:
    for start in range(0, len(paths), _BATCH):
        yield paths[start : start + _BATCH]
