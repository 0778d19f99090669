"""Pictures: whatever a file holds becomes an RGB array, or an error that says why not.

The size is read from the header and checked before anything is decoded, so that a small file
cannot claim a picture larger than memory. Only formats that are decoded inside this process are
opened: Pillow would hand PostScript to another program, whatever the file is called.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image, UnidentifiedImageError

from eyevsai_core.errors import ImageError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_BYTES",
    "MAX_PIXELS",
    "ImageLike",
    "as_image",
    "check_array",
    "decode_image",
    "picture_info",
]

MAX_PIXELS = 100_000_000
"""Pictures with more pixels are refused: 100 megapixels are 300 MB as RGB."""
MAX_BYTES = 256 * 2**20
"""Files larger than this are refused unread."""
IMAGE_SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)

ImageLike: TypeAlias = "npt.ArrayLike | bytes | str | Path | Image.Image"

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_RANK = 3
_ALPHA_CHANNELS = 4
_ORIENTATION = 0x0112  # the EXIF tag
_SIXTEEN_BIT = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I"})
_TRANSPARENT = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
# What Pillow raises for damaged files differs from format to format.
_DAMAGED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

# Pillow warns about damaged metadata, and about sizes, which we check ourselves. Silenced once,
# not around each call: `warnings.catch_warnings` is not safe when threads decode.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def decode_image(source: bytes | Path) -> npt.NDArray[np.uint8]:
    """Decode a picture to uint8 (height, width, 3), RGB, 0-255, upright.

    The EXIF orientation is applied, transparency is laid over white, 16-bit values are scaled
    to 8, of an animation the first frame is taken. Raises `ImageError`.
    """
    name = "the picture" if isinstance(source, bytes) else repr(str(source))
    content = source if isinstance(source, bytes) else _read(source, name)
    if not content:
        raise ImageError(f"{name} is empty (0 bytes); leave it out")
    if len(content) > MAX_BYTES:
        raise _too_long(name, len(content))
    with _open(io.BytesIO(content), name) as picture:
        pixels = _pixels(picture, name)
        return np.ascontiguousarray(_upright(pixels, _orientation(picture)))


def picture_info(path: Path) -> dict[str, Any]:
    """Read width, height, mode, format, frames and EXIF orientation without decoding.

    Raises `ImageError` when the header cannot be read.
    """
    name = repr(str(path))
    try:
        if path.stat().st_size == 0:
            raise ImageError(f"{name} is empty (0 bytes); leave it out")
    except OSError as error:
        raise _unreadable(name, error) from error
    with _open(path, name) as picture:
        # Pillow decodes a whole PNG to look for EXIF behind the pixels.
        in_header = picture.format != "PNG" or "exif" in picture.info
        return {
            "width": picture.width,
            "height": picture.height,
            "mode": picture.mode,
            "format": picture.format or "",
            "frames": _frames(picture),
            "orientation": _orientation(picture) if in_header else 1,
        }


def as_image(image: ImageLike) -> npt.NDArray[np.uint8]:
    """Turn an array, a path, the bytes of a file or a PIL picture into uint8 (h, w, 3), RGB.

    Raises `ImageError`.
    """
    if isinstance(image, np.ndarray):
        return check_array(image, ranks=(_RANK,))
    if isinstance(image, str | Path):
        return decode_image(Path(image))
    if isinstance(image, bytes | bytearray | memoryview):
        return decode_image(bytes(image))
    if isinstance(image, Image.Image):
        name = "the picture"
        _check_size(image, name)
        pixels = _pixels(image, name)
        return np.ascontiguousarray(_upright(pixels, _orientation(image)))
    try:
        array = np.asarray(image)
    except (TypeError, ValueError) as error:
        raise ImageError(
            "a picture must be an array, a path, the bytes of a file or a PIL picture, but got "
            f"{type(image).__name__}: {error}"
        ) from error
    return check_array(array, ranks=(_RANK,))


def check_array(array: npt.NDArray[Any], *, ranks: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Return `array` if it is uint8 (..., height, width, 3) of an allowed rank.

    Raises `ImageError`: floats are not guessed at, because 0-1 and 0-255 look alike.
    """
    if array.dtype != np.uint8 or array.ndim not in ranks or array.shape[-1] != _RANK:
        raise ImageError(
            "a picture must be a uint8 array of shape (height, width, 3), RGB, 0-255, but got "
            f"{array.dtype} of shape {array.shape}; {_advice(array)}"
        )
    if array.size == 0:
        raise ImageError(f"a picture must have at least one pixel, but got shape {array.shape}")
    return array


def _advice(array: npt.NDArray[Any]) -> str:
    """Say how what came becomes a picture."""
    if array.dtype != np.uint8:
        return "convert it, for example with (255 * x).round().astype('uint8')"
    if array.ndim == _RANK - 1 or array.shape[-1:] == (1,):
        return "a grey one becomes RGB with np.repeat(x.reshape(*x.shape[:2], 1), 3, axis=2)"
    if array.shape[-1:] == (_ALPHA_CHANNELS,):
        return "leave its alpha out with x[..., :3], or give the PIL picture"
    if array.shape[-_RANK:-2] == (_RANK,):
        return "put the channels last with np.moveaxis(x, -3, -1)"
    return "one picture is given as it is, several as a list or as (n, height, width, 3)"


def _read(path: Path, name: str) -> bytes:
    """Read a file, and one byte beyond the limit at most."""
    try:
        with path.open("rb") as file:
            length = path.stat().st_size
            if length > MAX_BYTES:
                raise _too_long(name, length)
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _unreadable(name, error) from error


def _open(source: io.BytesIO | Path, name: str) -> Image.Image:
    """Read the header, and refuse what is too large to be decoded."""
    try:
        picture = Image.open(source, formats=_FORMATS)
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name} is not a picture that can be read, whatever its name says; expected JPEG, "
            "PNG, WebP, GIF, BMP, TIFF or PNM"
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{name} is too large: up to {MAX_PIXELS // 10**6} megapixels are read: scale it down"
        ) from error
    except _DAMAGED as error:
        raise _unreadable(name, error) from error
    try:
        _check_size(picture, name)
    except ImageError:
        picture.close()
        raise
    return picture


def _check_size(picture: Image.Image, name: str) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{name} has {width} x {height} pixels; up to {MAX_PIXELS // 10**6} megapixels are "
            "read: scale it down"
        )
    if width * height == 0:
        raise ImageError(f"{name} must have at least one pixel, but is {width} x {height}")


def _unreadable(name: str, error: Exception) -> ImageError:
    return ImageError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}")


def _too_long(name: str, length: int) -> ImageError:
    return ImageError(
        f"{name} is {length / 2**20:.0f} MiB; pictures up to {MAX_BYTES >> 20} MiB are read"
    )


def _pixels(picture: Image.Image, name: str) -> npt.NDArray[np.uint8]:
    """Decode with Pillow to uint8 (height, width, 3), not yet upright."""
    if picture.mode == "F":
        raise ImageError(
            f"{name} has floating-point pixels, which have no defined range of brightness; save "
            "it with 8 or 16 bits"
        )
    try:
        return np.asarray(_to_rgb(picture))
    except _DAMAGED as error:
        raise ImageError(
            f"{name} is damaged or cut short: {error}; save it anew or leave it out"
        ) from error


def _to_rgb(picture: Image.Image) -> Image.Image:
    picture.load()
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture
    if picture.mode in _SIXTEEN_BIT:
        values = np.asarray(picture).astype(np.int64).clip(0, 65535)
        # v * 255 / 65535 to the nearest integer; 65535 = 257 * 255.
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
    if picture.mode in _TRANSPARENT or "transparency" in picture.info:
        clear = picture.convert("RGBA")
        white = Image.new("RGBA", clear.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, clear).convert("RGB")
    return picture.convert("RGB")


def _orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation, 1-8; damaged EXIF says nothing, the picture counts."""
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except _DAMAGED:
        return 1
    return value if isinstance(value, int) and value in range(1, 9) else 1


def _frames(picture: Image.Image) -> int:
    try:
        return int(getattr(picture, "n_frames", 1))
    except _DAMAGED:
        return 1


def _upright(pixels: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """Undo an EXIF orientation: 2-4 mirror and turn by 180 degrees, 5-8 also swap the axes."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
