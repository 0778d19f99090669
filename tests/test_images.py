from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from eyevsai_core.errors import ImageError
from eyevsai_core.images import MAX_PIXELS, as_image, check_array, decode_image, picture_info

if TYPE_CHECKING:
    from pathlib import Path

RED = np.full((6, 4, 3), (200, 30, 10), np.uint8)


def save(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def red() -> Image.Image:
    return Image.fromarray(RED)


def test_rgb_is_taken_as_it_is() -> None:
    np.testing.assert_array_equal(decode_image(save(red())), RED)


def test_grey_becomes_three_equal_channels() -> None:
    image = decode_image(save(red().convert("L")))
    assert image.shape == (6, 4, 3)
    assert (image[..., 0] == image[..., 2]).all()


def test_transparency_is_laid_over_white() -> None:
    clear = red().convert("RGBA")
    clear.putalpha(0)
    assert (decode_image(save(clear)) == 255).all()
    assert (decode_image(save(clear.convert("LA"))) == 255).all()


def test_palette_transparency_is_laid_over_white() -> None:
    palette = red().quantize(4)
    assert (decode_image(save(palette, transparency=palette.getpixel((0, 0)))) == 255).all()


def test_sixteen_bits_are_scaled_not_cut() -> None:
    deep = Image.fromarray(np.array([[0, 257, 32768, 65535]], np.uint16))
    assert decode_image(save(deep))[0, :, 0].tolist() == [0, 1, 128, 255]
    assert decode_image(save(deep, "TIFF"))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_cmyk_becomes_rgb() -> None:
    image = decode_image(save(red().convert("CMYK"), "JPEG", quality=100))
    assert np.abs(image.astype(int) - RED).max() < 12


def test_one_bit_becomes_black_and_white() -> None:
    image = decode_image(save(Image.new("1", (2, 2), 1)))
    assert (image == 255).all()


@pytest.mark.parametrize(
    ("orientation", "shape"), [(1, (6, 4)), (3, (6, 4)), (6, (4, 6)), (8, (4, 6))]
)
def test_exif_orientation_is_applied(orientation: int, shape: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = save(red(), "JPEG", exif=exif)
    assert decode_image(content).shape[:2] == shape


def test_of_an_animation_the_first_frame_is_taken() -> None:
    blue = Image.new("RGB", (4, 6), (0, 0, 255))
    content = save(red(), "GIF", save_all=True, append_images=[blue])
    assert decode_image(content)[0, 0, 0] > 150


def huge_png(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that claims any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks
    )


@pytest.mark.parametrize("side", [10_001, 20_000, 50_000, 2**31 - 1])
def test_a_picture_larger_than_the_limit_is_refused_from_its_header(side: int) -> None:
    assert side * side > MAX_PIXELS
    with pytest.raises(ImageError, match=r"scale it down|too large|cannot be read"):
        decode_image(huge_png(side, side))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"this is text, whatever its name says", "is not a picture that can be read"),
        (save(Image.effect_noise((64, 64), 90))[:900], "is damaged or cut short"),
        (save(Image.effect_noise((64, 64), 90), "JPEG")[:900], "is damaged or cut short"),
        (save(red(), "JPEG")[:300], "cannot be read|damaged"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "cannot be read|is not a picture|damaged"),
        (save(Image.fromarray(np.zeros((2, 2), np.float32)), "TIFF"), "no defined range"),
    ],
)
def test_damaged_files_are_errors_that_say_why(
    content: bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ImageError, match=message):
        decode_image(content)
    path = tmp_path / "na me ü.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match="na me ü"):
        decode_image(path)


def test_a_missing_file_or_a_folder_is_an_error(tmp_path: Path) -> None:
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(ImageError, match="cannot be read"):
            decode_image(path)


def test_a_file_above_the_limit_of_bytes_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eyevsai_core.images.MAX_BYTES", 10)
    (tmp_path / "a.png").write_bytes(save(red()))
    with pytest.raises(ImageError, match="pictures up to 0 MiB are read"):
        decode_image(tmp_path / "a.png")


def test_as_image_takes_arrays_paths_bytes_and_pictures(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(save(red()))
    for given in (RED, path, str(path), path.read_bytes(), red(), memoryview(path.read_bytes())):
        np.testing.assert_array_equal(as_image(given), RED)


@pytest.mark.parametrize(
    "wrong",
    [RED.astype(float), RED[..., 0], RED[None], np.zeros((4, 4, 4), np.uint8), [[1, 2]], None],
)
def test_as_image_does_not_guess(wrong: object) -> None:
    with pytest.raises(ImageError, match="must be a uint8 array of shape"):
        as_image(wrong)  # type: ignore[arg-type]


def test_empty_pictures_are_refused() -> None:
    with pytest.raises(ImageError, match="at least one pixel"):
        check_array(np.zeros((0, 4, 3), np.uint8), ranks=(3,))


def test_picture_info_reads_the_header(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    path.write_bytes(save(red(), "JPEG", exif=exif))
    info = picture_info(path)
    assert (info["width"], info["height"], info["format"]) == (4, 6, "JPEG")
    assert (info["mode"], info["frames"], info["orientation"]) == ("RGB", 1, 6)
