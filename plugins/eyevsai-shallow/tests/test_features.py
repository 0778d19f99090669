"""The array code: against scikit-image, against itself, and against bad input."""

from __future__ import annotations

import gzip
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2hsv
from skimage.feature import graycomatrix, graycoprops, hog, local_binary_pattern

from eyevsai_core.errors import ConfigError
from eyevsai_shallow.features import FeatureConfig, FeatureExtractor
from eyevsai_shallow.hog import gradient_tables
from eyevsai_shallow.lbp import ACROSS, ALONG, lbp_codes, pattern_table, turned_table
from eyevsai_shallow.planes import Geometry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    Pictures = npt.NDArray[np.uint8]

SIZES = (32, 64, 128)
TOLERANCE = 1e-4


def generated(size: int, seed: int = 0) -> Pictures:
    """Flat, ramps, noise, dimmed noise, one hue, stripes, a disc, blurred blobs."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:size, :size].astype(np.float64)
    flat = [np.full((size, size, 3), level) for level in (0, 1, 127, 255)]
    ramps = [
        np.repeat((ramp * 255 / (2 * size))[..., None], 3, axis=2)
        for ramp in (2 * row, 2 * column, row + column)
    ]
    noise = [rng.integers(0, top, (size, size, 3)) for top in (256, 256, 40, 3, 2)]
    hue = np.array([200.0, 100.0, 50.0]) * rng.random((size, size, 1))
    stripes = np.where((row + 2 * column) % 7 < 3, 255, 0)[..., None] * [1, 0.5, 0]
    disc = np.where((row - size / 2) ** 2 + (column - size / 3) ** 2 < size**2 / 9, 180, 60)
    blobs = sum(
        np.exp(-((row - y) ** 2 + (column - x) ** 2) / size)[..., None] * rng.integers(0, 255, 3)
        for y, x in rng.random((6, 2)) * size
    )
    primaries = rng.choice([0, 255], (size, size, 3))
    pictures = [*flat, *ramps, *noise, hue, stripes, disc[..., None] * [1, 1, 1], blobs, primaries]
    return np.stack(pictures).clip(0, 255).astype(np.uint8)


def real(folder: Path, size: int, each: int = 4) -> Pictures:
    """A few pictures out of every set, resized."""
    archives = sorted(folder.glob("*.zip"))
    assert archives, f"no data sets in {folder}"
    pictures = [picture for path in archives for picture in _from_zip(path, each)]
    idx = gzip.decompress((folder / "fashion-mnist/t10k-images-idx3-ubyte.gz").read_bytes())
    grey = np.frombuffer(idx, np.uint8, offset=16).reshape(-1, 28, 28)[:each]
    pictures += [Image.fromarray(picture).convert("RGB") for picture in grey]
    bilinear = Image.Resampling.BILINEAR
    return np.stack([np.asarray(p.resize((size, size), bilinear)) for p in pictures])


def _from_zip(path: Path, each: int) -> Iterator[Image.Image]:
    with zipfile.ZipFile(path) as archive:
        names = sorted(n for n in archive.namelist() if n.endswith((".jpg", ".jpeg", ".png")))
        for name in names[:: max(1, len(names) // each)][:each]:
            yield Image.open(BytesIO(archive.read(name))).convert("RGB")


@pytest.fixture(
    scope="module",
    params=[
        *(pytest.param((size, False), id=f"{size}-generated") for size in SIZES),
        *(pytest.param((size, True), id=f"{size}", marks=pytest.mark.realdata) for size in SIZES),
    ],
)
def pictures(request: pytest.FixtureRequest) -> Pictures:
    size, is_real = request.param
    return real(request.getfixturevalue("test_data"), size) if is_real else generated(size)


def reference_small(picture: Pictures) -> Pictures:
    """The half-size copy that edges and colours of large pictures are measured on."""
    size = len(picture)
    if not Geometry(size).halved:
        return picture
    four = picture.astype(int).reshape(size // 2, 2, size // 2, 2, 3).sum((1, 3))
    return ((four + 2) // 4).astype(np.uint8)


def grey(picture: Pictures) -> Pictures:
    return np.asarray(Image.fromarray(picture).convert("L"))


def block(pictures: Pictures, name: str, **flags: object) -> npt.NDArray[np.float32]:
    extractor = FeatureExtractor(FeatureConfig(**flags), pictures.shape[1])
    return extractor.extract(pictures)[:, extractor.slices[name]]


@pytest.mark.parametrize("cells", [8, 4, 2])
def test_hog_of_the_grey_picture_is_scikit_image(pictures: Pictures, cells: int) -> None:
    several = (cells, 8 if cells < 8 else 4)
    name = f"hog_{cells}"
    ours = block(pictures, name, hog_colour=False, hog_cells=several, hog_signed=())
    for picture, row in zip(pictures, ours, strict=True):
        small = grey(reference_small(picture))
        cell = len(small) // cells
        theirs = hog(small, 9, (cell, cell), (2, 2), block_norm="L2-Hys")
        assert np.abs(row - theirs).max() < TOLERANCE


def test_hog_of_the_colours_is_scikit_image(pictures: Pictures) -> None:
    ours = block(pictures, "hog_8", hog_signed=())
    compared = 0
    for picture, row in zip(pictures, ours, strict=True):
        small = reference_small(picture)
        if ambiguous(small):
            continue
        cell = len(small) // 8
        theirs = hog(small, 9, (cell, cell), (2, 2), block_norm="L2-Hys", channel_axis=-1)
        assert np.abs(row - theirs).max() < TOLERANCE
        compared += 1
    assert compared > len(pictures) // 4


def ambiguous(picture: Pictures) -> bool:
    """Whether two channels somewhere have equally long gradients of different directions.

    Which of them counts is then a matter of rounding in scikit-image, and of order here.
    """
    pixels = picture.astype(int)
    gx, gy = np.zeros((2, *picture.shape), int)
    gx[:, 1:-1] = pixels[:, 2:] - pixels[:, :-2]
    gy[1:-1] = pixels[2:] - pixels[:-2]
    squares = gx * gx + gy * gy
    top = squares == squares.max(axis=2, keepdims=True)
    first = squares.argmax(axis=2)[..., None]
    same = (gx == np.take_along_axis(gx, first, 2)) & (gy == np.take_along_axis(gy, first, 2))
    return bool((top & ~same & (squares > 0)).any())


def test_folding_signed_orientations_gives_the_unsigned_ones() -> None:
    bins, lengths = gradient_tables()
    square = bins.reshape(511, 511)
    opposite = square[::-1, ::-1]
    moved = lengths.reshape(511, 511) > 0
    assert ((square + 9) % 18 == opposite)[moved].all()
    assert lengths.max() == pytest.approx(255 * 2**0.5, abs=1e-4)


def tied(level: Pictures) -> npt.NDArray[np.bool_]:
    """Where a diagonal neighbour, interpolated, equals the centre exactly."""
    p = np.pad(level.astype(int), 1)
    centre = p[1:-1, 1:-1]
    ties = np.zeros(level.shape, bool)
    for dy in (-1, 1):
        for dx in (-1, 1):
            rows = slice(1 + dy, len(p) - 1 + dy)
            columns = slice(1 + dx, len(p) - 1 + dx)
            beside = p[rows, 1:-1] + p[1:-1, columns] - 2 * centre
            # With an irrational ratio of weights, the sum is zero only if both parts are.
            ties |= (beside == 0) & (p[rows, columns] == centre)
    return ties


@pytest.mark.parametrize("method", ["uniform", "nri_uniform"])
def test_lbp_is_scikit_image(pictures: Pictures, method: str) -> None:
    name, bins = ("lbp_turned", 10) if method == "uniform" else ("lbp_1", 59)
    ours = block(pictures, name, lbp_cells=(1,))
    table = pattern_table() if bins == 59 else turned_table().argmax(1)[pattern_table()]
    for picture, row in zip(pictures, ours, strict=True):
        level = grey(picture)
        theirs = local_binary_pattern(level, 8, 1, method).astype(int)
        # Scikit-image interpolates in floating point, where an exact tie may come out a hair
        # below the centre. Those pixels, and no others, may differ.
        exact = table[lbp_codes(level[None])[0]]
        differs = theirs != exact
        assert not (differs & ~tied(level)).any()
        assert differs.mean() < 0.005
        theirs[differs] = exact[differs]
        shares = np.bincount(theirs.ravel(), minlength=bins) / theirs.size
        assert np.abs(row.astype(np.float64) ** 2 - shares).max() < TOLERANCE


def test_lbp_weights_decide_every_case_like_the_real_ones() -> None:
    # bright <=> 408 a + 985 b >= 0 <=> (sqrt(2) - 1) a + b >= 0, in integers: no fraction a / b
    # with a, b that 8-bit pixels can give lies between 985/408 and 1 + sqrt(2).
    beside, diagonal = np.meshgrid(np.arange(-510, 511), np.arange(-255, 256))
    ours = np.sign(ALONG * beside + ACROSS * diagonal)
    # a + b (1 + sqrt 2) = (a + b) + b sqrt 2: compare squares, exactly.
    one, other = beside + diagonal, diagonal
    squares = np.sign(one * one * np.sign(one) + 2 * other * other * np.sign(other))
    assert (ours == squares).all()


def test_colour_histogram_is_scikit_image(pictures: Pictures) -> None:
    config = FeatureConfig(colour_cells=(1,))
    ours = block(pictures, "colour_1", colour_cells=(1,))
    parts = np.array([config.hue_bins, config.saturation_bins, config.value_bins])
    for picture, row in zip(pictures, ours, strict=True):
        hsv = rgb2hsv(reference_small(picture)).reshape(-1, 3)
        # Values that lie on the edge of a bin belong above it; floating point may say below.
        bins = np.minimum(np.floor(hsv * parts + 1e-9), parts - 1).astype(int)
        joint = (bins[:, 0] * parts[1] + bins[:, 1]) * parts[2] + bins[:, 2]
        theirs = np.bincount(joint, minlength=parts.prod()) / len(joint)
        assert np.abs(row.astype(np.float64) ** 2 - theirs).max() < TOLERANCE


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_texture_is_scikit_image(pictures: Pictures) -> None:
    ours = block(pictures, "texture").reshape(len(pictures), 4, 6)
    names = ("contrast", "dissimilarity", "homogeneity", "ASM", "energy", "correlation")
    angles = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]
    for picture, rows in zip(pictures, ours, strict=True):
        level = grey(reference_small(picture)) // 16
        table = graycomatrix(level, [1], angles, levels=16, normed=True)
        theirs = np.stack([graycoprops(table, name)[0] for name in names], axis=1)
        assert np.abs(rows - theirs).max() < TOLERANCE


def test_thumbnail_is_the_mean_colour(pictures: Pictures) -> None:
    ours = block(pictures, "thumbnail", thumbnail=4)
    for picture, row in zip(pictures, ours, strict=True):
        small = reference_small(picture)
        step = len(small) // 4
        mean = small.reshape(4, step, 4, step, 3).mean((1, 3)) / 255
        assert np.abs(row - mean.transpose(2, 0, 1).ravel()).max() < TOLERANCE


def test_grids_tell_where() -> None:
    picture = np.zeros((1, 64, 64, 3), np.uint8)
    picture[0, :32, 32:] = (255, 0, 0)
    colours = block(picture, "colour_2").reshape(4, -1)
    assert colours.argmax(1).tolist() == [0, 0 * 9 + 2 * 3 + 2, 0, 0]
    edges = block(picture, "hog_4", hog_cells=(4,), hog_signed=(4,)).reshape(3, 3, -1)
    assert not edges[2, 0].any()
    assert edges[0, 1].any()
    assert edges[1, 2].any()


@pytest.mark.parametrize(
    "flags", [{"hog": False}, {"lbp": False}, {"colour": False}, {"texture": False}]
)
def test_switches_take_blocks_out_and_change_no_others(flags: dict[str, bool]) -> None:
    pictures = generated(32)
    everything = FeatureExtractor(FeatureConfig(), 32)
    without = FeatureExtractor(FeatureConfig(**flags), 32)
    gone = set(everything.slices) - set(without.slices)
    assert gone
    all_columns, columns = everything.extract(pictures), without.extract(pictures)
    assert columns.shape == (len(pictures), without.n_features)
    for name, where in without.slices.items():
        assert np.array_equal(columns[:, where], all_columns[:, everything.slices[name]])


def test_weights_are_of_the_blocks() -> None:
    extractor = FeatureExtractor(FeatureConfig(colour=False), 32)
    assert extractor.weights.keys() == extractor.slices.keys()
    assert extractor.weights["hog_8"] == 1.0
    assert 0 < extractor.weights["texture"] < 1


def test_names_cover_the_columns() -> None:
    extractor = FeatureExtractor(FeatureConfig(), 128)
    assert len(extractor.names) == len(set(extractor.names)) == extractor.n_features
    assert extractor.names[0] == "hog_8[0]"
    assert extractor.names[extractor.slices["texture"].start] == "texture[0]"
    assert list(extractor.slices.values())[-1].stop == extractor.n_features


def test_ranges(pictures: Pictures) -> None:
    extractor = FeatureExtractor(FeatureConfig(), pictures.shape[1])
    features = extractor.extract(pictures)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    before = slice(0, extractor.slices["texture"].start)
    assert features[:, before].min() >= 0
    assert features[:, before].max() <= 1


@pytest.mark.parametrize("size", [8, 9, 28, 32, 45, 100, 104, 128])
def test_neither_company_nor_threads_change_a_descriptor(size: int) -> None:
    pictures = np.tile(generated(size), (4, 1, 1, 1))
    extractor = FeatureExtractor(FeatureConfig(), size)
    together = extractor.extract(pictures)
    assert np.array_equal(together, extractor.extract(pictures, threads=2))
    alone = np.concatenate([extractor.extract(pictures[i : i + 1]) for i in range(16)])
    assert np.array_equal(together[:16], alone)
    assert np.array_equal(together, extractor.extract(np.asfortranarray(pictures)))
    assert extractor.extract(pictures[:0]).shape == (0, extractor.n_features)


def test_other_sizes_are_cropped_in_the_middle() -> None:
    pictures = generated(37)
    ours = FeatureExtractor(FeatureConfig(), 37).extract(pictures)
    assert np.array_equal(
        ours, FeatureExtractor(FeatureConfig(), 32).extract(pictures[:, 2:34, 2:34])
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hog": False, "lbp": False, "colour": False, "texture": False}, "at least one of"),
        ({"hog_cells": (3,)}, r"hog_cells must be .* out of 2, 4, 8, but got \(3,\)"),
        ({"hog_cells": (1,)}, "hog_cells"),
        ({"lbp_cells": ()}, "lbp_cells must be one or more"),
        ({"colour_cells": (2, 2)}, "colour_cells must be one or more different"),
        ({"colour_cells": (), "thumbnail": 0}, "colour_cells must be one or more different"),
        ({"hog_signed": (2,)}, r"hog_signed must name some of hog_cells \(8, 4\)"),
        ({"thumbnail": 5}, "thumbnail must be one of 0, 1, 2, 4, 8, but got 5"),
        ({"hue_bins": 0}, r"hue_bins must be in 1\.\.36, but got 0"),
        ({"value_bins": 17}, "value_bins"),
    ],
)
def test_bad_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FeatureConfig(**options)


def test_bad_pictures_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 8 x 8 pixels, but got image size 7"):
        FeatureExtractor(FeatureConfig(), 7)
    extractor = FeatureExtractor(FeatureConfig(), 32)
    with pytest.raises(
        ConfigError, match=r"shape \(n, 32, 32, 3\), but got uint8 \(2, 16, 16, 3\)"
    ):
        extractor.extract(np.zeros((2, 16, 16, 3), np.uint8))
    with pytest.raises(ConfigError, match=r"uint8 pictures .* but got float32"):
        extractor.extract(np.zeros((2, 32, 32, 3), np.float32))
