from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from making import colour_artefact, one_colour
from PIL import Image

from eyevsai_core import explain
from eyevsai_core.classifier import OnnxClassifier
from eyevsai_core.errors import ConfigError, ImageError, OutputError
from eyevsai_core.explain import METHODS, Explanation, explain_image, overlay

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 48
PLACE = np.s_[8:20, 26:38]  # where the evidence lies
AGAINST = np.s_[32:44, 6:18]


@dataclass(frozen=True)
class Spotter:
    """Says `bright` as far as one place is bright, and another one is not."""

    image_size: int = SIZE
    classes: tuple[str, ...] = ("dark", "bright")

    def predict_proba(self, images: np.ndarray) -> np.ndarray:
        assert images.dtype == np.uint8
        assert images.shape[1:] == (self.image_size, self.image_size, 3)
        for_it = images[:, *PLACE].mean(axis=(1, 2, 3)) / 255
        against = images[:, *AGAINST].mean(axis=(1, 2, 3)) / 255
        bright = (0.3 + 0.6 * for_it - 0.3 * against).clip(0, 1)
        return np.stack([1 - bright, bright], axis=1).astype(np.float32)


@pytest.fixture
def picture() -> np.ndarray:
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    image[PLACE] = 255
    image[AGAINST] = 255
    return image


def centre(mask: np.ndarray) -> tuple[float, float]:
    y, x = np.nonzero(mask)
    return float(y.mean()), float(x.mean())


@pytest.mark.parametrize("method", METHODS)
def test_the_evidence_is_found_where_it_is(method: str, picture: np.ndarray) -> None:
    found = explain_image(Spotter(), picture, label="bright", method=method, samples=3000)
    assert found.method == method
    assert found.heatmap.shape == (SIZE, SIZE)
    assert found.heatmap.dtype == np.float32
    assert found.probability == pytest.approx(0.6, abs=0.01)
    best = centre(found.heatmap > 0.8 * found.heatmap.max())
    worst = centre(found.heatmap < 0.8 * found.heatmap.min())
    assert best == pytest.approx((13.5, 31.5), abs=4)
    assert worst == pytest.approx((37.5, 11.5), abs=6)


@pytest.mark.parametrize("method", METHODS)
def test_what_speaks_for_one_of_two_labels_speaks_against_the_other(
    method: str, picture: np.ndarray
) -> None:
    options = {"method": method, "samples": 200}
    bright = explain_image(Spotter(), picture, label="bright", **options)
    dark = explain_image(Spotter(), picture, label="dark", **options)
    np.testing.assert_allclose(bright.heatmap, -dark.heatmap, atol=1e-5)


def test_occlusion_is_in_units_of_probability(picture: np.ndarray) -> None:
    # A window of 12 pixels just covers the place: then 0.6 of the probability is gone.
    found = explain_image(Spotter(), picture, label="bright")
    assert 0.3 < found.heatmap[PLACE].max() <= 0.6
    assert -0.3 <= found.heatmap[AGAINST].min() < -0.15
    assert abs(found.heatmap[:4, :4]).max() == 0


@pytest.mark.parametrize("method", METHODS)
def test_paper_under_a_drawing_says_nothing(method: str) -> None:
    class InkSpotter(Spotter):
        def predict_proba(self, images: np.ndarray) -> np.ndarray:
            ink = (images < 100).mean(axis=(1, 2, 3), dtype=np.float64)
            return np.stack([1 - ink, ink], axis=1).astype(np.float32)

    drawing = np.full((SIZE, SIZE, 3), 255, np.uint8)
    drawing[PLACE] = 0
    heat = explain_image(InkSpotter(), drawing, label="bright", method=method).heatmap
    assert centre(heat > 0.7 * heat.max()) == pytest.approx((13.5, 31.5), abs=4)
    assert heat[-8:].max() < 0.2 * heat.max()


def test_the_best_label_unless_told(picture: np.ndarray) -> None:
    assert explain_image(Spotter(), picture).label == "bright"


def test_the_same_seed_draws_the_same_masks(picture: np.ndarray) -> None:
    def ask(seed: int) -> np.ndarray:
        return explain_image(Spotter(), picture, method="rise", samples=100, seed=seed).heatmap

    np.testing.assert_array_equal(ask(1), ask(1))
    assert not np.array_equal(ask(1), ask(2))


@pytest.mark.parametrize("method", METHODS)
def test_small_batches_give_the_same(
    method: str, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = explain_image(Spotter(), picture, method=method, samples=130)
    monkeypatch.setattr(explain, "_BATCH_PIXELS", 5 * SIZE**2)
    pieces = explain_image(Spotter(), picture, method=method, samples=130)
    np.testing.assert_allclose(whole.heatmap, pieces.heatmap, atol=1e-6)


@pytest.mark.parametrize("size", [8, 9, 31, 100])
@pytest.mark.parametrize("method", METHODS)
def test_every_input_size(size: int, method: str) -> None:
    class Flat(Spotter):
        def predict_proba(self, images: np.ndarray) -> np.ndarray:
            assert images.shape[1:] == (size, size, 3)
            return np.full((len(images), 2), 0.5, np.float32)

    found = explain_image(Flat(image_size=size), one_colour(0), method=method, samples=10)
    assert found.heatmap.shape == (size, size)
    np.testing.assert_allclose(found.heatmap, 0, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_progress_ends_at_the_total(method: str, picture: np.ndarray) -> None:
    steps: list[tuple[int, int]] = []
    explain_image(
        Spotter(),
        picture,
        method=method,
        samples=100,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert [done for done, _ in steps] == sorted({done for done, _ in steps})
    assert steps[-1][0] == steps[-1][1]


def test_an_artefact_and_a_file_of_any_shape(tmp_path: Path) -> None:
    model = OnnxClassifier.from_bytes(colour_artefact().SerializeToString())
    left_red = one_colour(2, 30, 60)
    left_red[:, :30] = (255, 0, 0)
    Image.fromarray(left_red).save(tmp_path / "flag.png")
    found = explain_image(model, tmp_path / "flag.png", label="red")
    assert found.heatmap.shape == (8, 8)
    assert found.heatmap[:, :3].mean() > 0 > found.heatmap[:, 5:].mean()
    np.testing.assert_array_equal(found.image, left_red)
    assert found.picture(100).shape == (50, 100, 3)
    found.save(tmp_path / "why.png", side=80)
    with Image.open(tmp_path / "why.png") as why:
        assert why.size == (80, 40)
    assert found._repr_png_().startswith(b"\x89PNG")


def test_of_a_large_picture_a_small_one_is_kept() -> None:
    found = explain_image(Spotter(), np.zeros((600, 3000, 3), np.uint8))
    assert found.image.shape == (205, 1024, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": "brigth"}, "does not know the label 'brigth'; it knows dark, bright.*'bright'"),
        ({"method": "oclusion"}, "must be one of occlusion, rise, but got 'ocl.*'occlusion'"),
        ({"samples": 0}, "samples must be at least 1 and seed at least 0, but got 0 and 0"),
        ({"seed": -1}, "but got 1000 and -1"),
    ],
)
def test_mistakes(options: dict[str, object], message: str, picture: np.ndarray) -> None:
    with pytest.raises(ConfigError, match=message):
        explain_image(Spotter(), picture, **options)


def test_no_picture(tmp_path: Path) -> None:
    with pytest.raises(ImageError):
        explain_image(Spotter(), tmp_path / "none.png")


def test_a_picture_that_cannot_be_written(tmp_path: Path, picture: np.ndarray) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"why\.png"):
        explain_image(Spotter(), picture).save(tmp_path / "file" / "why.png")


def test_the_overlay_is_orange_for_blue_against_and_grey_where_nothing_speaks() -> None:
    heat = np.zeros((4, 4), np.float32)
    heat[0, 0], heat[3, 3] = 0.5, -0.5
    seen = overlay(np.full((40, 40, 3), 128, np.uint8), heat, side=80).astype(int)
    assert seen.shape == (80, 80, 3)
    orange, blue, grey = seen[5, 5], seen[-5, -5], seen[5, -5]
    assert orange[0] > orange[1] > orange[2]
    assert blue[2] > blue[1] > blue[0]
    assert np.ptp(grey) <= 3


def test_noise_is_not_coloured_as_if_it_mattered() -> None:
    noise = np.random.default_rng(0).normal(0, 1e-7, (8, 8)).astype(np.float32)
    seen = overlay(np.full((8, 8, 3), 100, np.uint8), noise, side=16)
    assert np.ptp(seen, axis=2).max() <= 1


def test_an_explanation_of_one_pixel() -> None:
    shown = Explanation(
        "a", 0.5, np.zeros((8, 8), np.float32), np.zeros((1, 900, 3), np.uint8), "rise"
    )
    assert shown.picture(90).shape == (1, 90, 3)
