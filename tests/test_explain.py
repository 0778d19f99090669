from __future__ import annotations

import numpy as np
import pytest

from eyevsai_core.errors import ConfigError
from eyevsai_core.explain import explain_image, overlay


class LooksAtACorner:
    """Says ``lit`` by the brightness of the upper left eighth, whatever else there is."""

    classes = ("dark", "lit")
    image_size = 64

    def predict_proba(self, images: np.ndarray) -> np.ndarray:
        p = images[:, :16, :16].mean(axis=(1, 2, 3)) / 255
        return np.stack([1 - p, p], axis=1).astype(np.float32)


@pytest.fixture
def image() -> np.ndarray:
    picture = np.full((90, 70, 3), 40, np.uint8)
    picture[:30, :30] = 250
    return picture


@pytest.mark.parametrize("method", ["occlusion", "rise"])
def test_the_heat_is_where_the_evidence_is(method: str, image: np.ndarray) -> None:
    found = explain_image(LooksAtACorner(), image, method=method, samples=600)
    assert found.label == "lit"
    assert found.heatmap.shape == (64, 64)
    assert found.heatmap.dtype == np.float32
    corner, rest = found.heatmap[:16, :16].mean(), found.heatmap[32:, 32:].mean()
    assert corner > 0
    assert corner > 5 * abs(rest)


def test_the_other_label_is_spoken_against_there(image: np.ndarray) -> None:
    found = explain_image(LooksAtACorner(), image, label="dark")
    assert found.probability < 0.2
    assert found.heatmap[:16, :16].mean() < 0


def test_the_same_seed_gives_the_same_map(image: np.ndarray) -> None:
    one, two = (
        explain_image(LooksAtACorner(), image, method="rise", samples=80, seed=3) for _ in range(2)
    )
    np.testing.assert_array_equal(one.heatmap, two.heatmap)


def test_progress_reaches_the_end(image: np.ndarray) -> None:
    seen: list[tuple[int, int]] = []
    explain_image(LooksAtACorner(), image, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1]


@pytest.mark.parametrize(("option", "value"), [("label", "cat"), ("method", "magic")])
def test_unknown_labels_and_methods_are_refused(option: str, value: str, image: np.ndarray) -> None:
    with pytest.raises(ConfigError, match=repr(value)):
        explain_image(LooksAtACorner(), image, **{option: value})


def test_the_overlay_is_orange_for_and_blue_against() -> None:
    heat = np.zeros((8, 8), np.float32)
    heat[0, 0], heat[7, 7] = 1, -1
    picture = overlay(np.full((8, 8, 3), 128, np.uint8), heat, side=80)
    assert picture.shape == (80, 80, 3)
    assert picture[2, 2, 0] > picture[2, 2, 2] + 50
    assert picture[-3, -3, 2] > picture[-3, -3, 0] + 50


def test_a_map_without_any_heat_is_the_grey_picture() -> None:
    picture = overlay(np.full((8, 8, 3), 128, np.uint8), np.zeros((8, 8), np.float32), side=20)
    assert len(np.unique(picture)) == 1
