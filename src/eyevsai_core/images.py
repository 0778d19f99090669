"""Pictures: whatever a file holds becomes an RGB array, or an error that says why not.

The size is read from the header and checked before anything is decoded, so that a small file
cannot claim a picture larger than memory.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

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

ImageLike: TypeAlias = "npt.NDArray[np.uint8] | bytes | str | Path | Image.Image"

_RANK = 3
_SIXTEEN_BIT = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I"})
# What Pillow raises for damaged files, beside OSError, differs from format to format.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError)


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
    with _open(source, name) as picture:
        try:
            upright = ImageOps.exif_transpose(picture)
            array = np.asarray(_to_rgb(upright))
        except (*_DAMAGED, Image.DecompressionBombError) as error:
            raise ImageError(
                f"{name} is damaged or cut short: {error}; save it anew or leave it out"
            ) from error
    return np.ascontiguousarray(array)


def picture_info(path: Path) -> dict[str, Any]:
    """Read width, height, mode, format, frames and EXIF orientation from the header only.

    Raises `ImageError`.
    """
    with _open(path, repr(str(path))) as picture:
        return {
            "width": picture.width,
            "height": picture.height,
            "mode": picture.mode,
            "format": picture.format or "",
            "frames": getattr(picture, "n_frames", 1),
            "orientation": int(picture.getexif().get(0x0112, 1)),
        }


def as_image(image: ImageLike) -> npt.NDArray[np.uint8]:
    """Turn an array, a path, the bytes of a file or a PIL picture into uint8 (h, w, 3), RGB.

    Raises `ImageError`.
    """
    if isinstance(image, str | Path):
        return decode_image(Path(image))
    if isinstance(image, bytes | bytearray | memoryview):
        return decode_image(bytes(image))
    if isinstance(image, Image.Image):
        if image.width * image.height > MAX_PIXELS:
            raise _too_large("the picture", image.width, image.height)
        return np.asarray(_to_rgb(ImageOps.exif_transpose(image)))
    return check_array(np.asarray(image), ranks=(_RANK,))


def check_array(array: npt.NDArray[Any], *, ranks: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Return `array` if it is uint8 (..., height, width, 3) of an allowed rank.

    Raises `ImageError`: floats are not guessed at, because 0-1 and 0-255 look alike.
    """
    if array.dtype != np.uint8 or array.ndim not in ranks or array.shape[-1] != _RANK:
        raise ImageError(
            "a picture must be a uint8 array of shape (height, width, 3), RGB, 0-255, but got "
            f"{array.dtype} of shape {array.shape}; convert it, for example with "
            "(255 * x).round().astype('uint8')"
        )
    if 0 in array.shape[-_RANK:]:
        raise ImageError(f"a picture must have at least one pixel, but got shape {array.shape}")
    return array


def _open(source: bytes | Path, name: str) -> Image.Image:
    try:
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        if size == 0:
            raise ImageError(f"{name} is empty (0 bytes); leave it out")
        if size > MAX_BYTES:
            raise ImageError(
                f"{name} is {size / 2**20:.0f} MiB; pictures up to {MAX_BYTES >> 20} MiB are read"
            )
        picture = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name} is not a picture that can be read, whatever its name says; expected JPEG, "
            "PNG, WebP, GIF, BMP, TIFF or PNM"
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} is too large: {error}; scale it down") from error
    except ImageError:
        raise
    except _DAMAGED as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{name} cannot be read: {reason}") from error
    if picture.width * picture.height > MAX_PIXELS:
        picture.close()
        raise _too_large(name, picture.width, picture.height)
    return picture


def _too_large(name: str, width: int, height: int) -> ImageError:
    return ImageError(
        f"{name} has {width} x {height} pixels; up to {MAX_PIXELS // 10**6} megapixels are read: "
        "scale it down"
    )


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB":
        return picture
    if picture.mode in _SIXTEEN_BIT:
        values = np.asarray(picture).astype(np.int64)
        # v * 255 / 65535 to the nearest integer; 65535 = 257 * 255.
        return Image.fromarray(((values.clip(0, 65535) + 128) // 257).astype(np.uint8)).convert(
            "RGB"
        )
    if picture.mode == "F":
        raise ValueError("floating-point pictures have no defined range of brightness")
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        clear = picture.convert("RGBA")
        white = Image.new("RGBA", clear.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, clear).convert("RGB")
    return picture.convert("RGB")
