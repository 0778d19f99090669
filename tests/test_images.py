from __future__ import annotations

import contextlib
import io
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageOps

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


def test_bytes_above_the_limit_are_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eyevsai_core.images.MAX_BYTES", 10)
    with pytest.raises(ImageError, match="pictures up to 0 MiB are read"):
        decode_image(save(red()))


def test_frames_that_cannot_be_counted_are_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(save(red(), "GIF", save_all=True, append_images=[red().rotate(180)]))

    def lose_count(_: object) -> int:
        raise EOFError

    monkeypatch.setattr("PIL.GifImagePlugin.GifImageFile.n_frames", property(lose_count))
    assert picture_info(path)["frames"] == 1


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


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_every_orientation_is_undone_as_pillow_does(orientation: int, form: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = save(Image.fromarray(noise), form, exif=exif)
    with Image.open(io.BytesIO(content)) as picture:
        upright = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    np.testing.assert_array_equal(decode_image(content), upright)
    with Image.open(io.BytesIO(content)) as picture:
        np.testing.assert_array_equal(as_image(picture), upright)


def test_damaged_exif_does_not_cost_the_picture() -> None:
    for exif in (b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0", b"nonsense"):
        assert decode_image(save(red(), "JPEG", exif=exif)).shape == (6, 4, 3)
    wild = Image.Exif()
    wild[0x0112] = 77
    assert decode_image(save(red(), "JPEG", exif=wild)).shape == (6, 4, 3)


def test_exif_that_cannot_be_read_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(_: object) -> None:
        raise SyntaxError("not a TIFF file")

    exif = Image.Exif()
    exif[0x0112] = 6
    content = save(red(), "PNG", exif=exif)
    assert decode_image(content).shape == (4, 6, 3)
    monkeypatch.setattr(Image.Image, "getexif", damaged)
    assert decode_image(content).shape == (6, 4, 3)


def test_formats_that_start_another_program_are_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "innocent.jpg"
    path.write_bytes(save(red(), "EPS"))
    with pytest.raises(ImageError, match="is not a picture that can be read"):
        decode_image(path)
    with pytest.raises(ImageError, match="is not a picture that can be read"):
        picture_info(path)


def pictures_of_every_kind() -> dict[str, bytes]:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (24, 32, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    more = [noise.rotate(90), noise.rotate(180)]
    return {
        "png": save(noise, exif=exif),
        "palette": save(noise.quantize(16), transparency=3),
        "grey-alpha": save(noise.convert("LA")),
        "deep": save(Image.fromarray(np.arange(99, dtype=np.uint16).reshape(9, 11))),
        "animated png": save(noise, save_all=True, append_images=more),
        "jpeg": save(noise, "JPEG", exif=exif),
        "progressive": save(noise, "JPEG", progressive=True),
        "cmyk": save(noise.convert("CMYK"), "JPEG"),
        "two pictures": save(noise, "MPO", save_all=True, append_images=more),
        "gif": save(noise.quantize(16), "GIF", save_all=True, append_images=more),
        "webp": save(noise, "WEBP", save_all=True, append_images=more),
        "bmp": save(noise, "BMP"),
        "ppm": save(noise, "PPM"),
        "tiff": save(noise, "TIFF"),
    }


@pytest.mark.parametrize("kind", pictures_of_every_kind())
def test_damage_is_survived_or_is_an_image_error(kind: str, tmp_path: Path) -> None:
    whole = pictures_of_every_kind()[kind]
    dice = np.random.default_rng(sum(kind.encode()))
    path = tmp_path / "damaged"
    assert decode_image(whole).dtype == np.uint8
    for _ in range(120):
        damaged = bytearray(whole)
        reach = len(damaged) if dice.random() < 0.5 else min(len(damaged), 120)
        for place in dice.integers(0, reach, 2):
            damaged[place] = dice.choice([0, 255, int(dice.integers(256))])
        if dice.random() < 0.3:
            del damaged[int(dice.integers(len(damaged))) :]
        path.write_bytes(damaged)
        with contextlib.suppress(ImageError):
            assert decode_image(bytes(damaged)).shape[-1] == 3
        with contextlib.suppress(ImageError):
            assert picture_info(path)["width"] > 0


def test_picture_info_does_not_decode(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path.write_bytes(save(Image.fromarray(noise))[:2000])
    assert picture_info(path)["width"] == 64
    with pytest.raises(ImageError, match="damaged or cut short"):
        decode_image(path)
    for name, content, message in (
        ("none.png", None, "cannot be read"),
        ("empty.png", b"", "is empty"),
        ("text.png", b"text", "is not a picture"),
        ("huge.png", huge_png(50_000, 50_000), "too large"),
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(ImageError, match=message):
            picture_info(tmp_path / name)


def test_pil_pictures_are_checked_like_files() -> None:
    with pytest.raises(ImageError, match="at least one pixel"):
        as_image(Image.new("RGB", (0, 5)))
    with pytest.raises(ImageError, match="megapixels"):
        as_image(Image.new("1", (20_000, 10_000)))
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    cut = Image.open(io.BytesIO(save(Image.fromarray(noise))[:2000]))
    with cut, pytest.raises(ImageError, match="the picture is damaged or cut short"):
        as_image(cut)


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        (RED / 255, r"astype\('uint8'\)"),
        (RED[..., 0], "a grey one becomes RGB"),
        (RED[..., :1], "a grey one becomes RGB"),
        (np.dstack([RED, RED[..., :1]]), "leave its alpha out"),
        (np.zeros((3, 8, 9), np.uint8), "put the channels last"),
        (RED[None], "one picture is given as it is"),
        ([[1, 2], [3]], "must be an array, a path"),
    ],
)
def test_the_message_says_how_it_becomes_a_picture(wrong: object, advice: str) -> None:
    with pytest.raises(ImageError, match=advice):
        as_image(wrong)  # type: ignore[arg-type]


def test_the_advice_for_grey_pictures_works() -> None:
    grey = RED[..., 0]
    x = as_image(np.repeat(grey.reshape(*grey.shape[:2], 1), 3, axis=2))
    assert x.shape == RED.shape
