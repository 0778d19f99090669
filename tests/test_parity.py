from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import CLASSES, colour_artefact, noise_picture
from PIL import Image

from eyevsai_core.calibration import Calibration
from eyevsai_core.classifier import OnnxClassifier
from eyevsai_core.errors import ParityError
from eyevsai_core.parity import _judge, check_parity, write_odd_files

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Colours:
    """The model that `colour_artefact` was made of, or another one."""

    factor: float = 0.1
    classes: tuple[str, ...] = CLASSES
    image_size: int = 8
    seen: list[int] = field(default_factory=list)

    def predict_scores(self, images: np.ndarray) -> np.ndarray:
        self.seen.append(len(images))
        return (images.mean(axis=(1, 2), dtype=np.float64) * self.factor).astype(np.float32)

    def save(self, directory: Path) -> None:
        raise AssertionError(directory)


@pytest.fixture
def artefact() -> OnnxClassifier:
    return OnnxClassifier.from_bytes(colour_artefact().SerializeToString())


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return [noise_picture(tmp_path / f"{i}.png", 9 + i, 12) for i in range(3)]


def judge(ours: Any, theirs: Any, tolerance: float = 0.01) -> Any:
    names = [f"{i}.png" for i in range(len(ours))]
    rows = np.array(ours, np.float32), np.array(theirs, np.float32)
    return _judge(*rows, names, odd_files=1, tolerance=tolerance)


def test_the_model_that_was_trained_passes(artefact: OnnxClassifier, paths: list[Path]) -> None:
    native = Colours()
    parity = check_parity(artefact, native, Calibration(), paths, tolerance=1e-4)
    assert (parity.pictures, parity.odd_files) == (3, 11)
    assert parity.largest_difference <= 1e-4
    assert parity.to_dict()["tolerance"] == 1e-4
    assert sum(native.seen) == 14


def test_many_pictures_are_judged_in_parts(artefact: OnnxClassifier, paths: list[Path]) -> None:
    native = Colours()
    parity = check_parity(artefact, native, Calibration(), paths * 20, tolerance=1e-4)
    assert parity.pictures == 60
    assert native.seen == [64, 7]


def test_another_model_does_not(artefact: OnnxClassifier, paths: list[Path]) -> None:
    message = r"within 0\.0001, but \d+ of 14 pictures differ, '.*' most, by .*; nothing was reg"
    with pytest.raises(ParityError, match=message):
        check_parity(artefact, Colours(0.2), Calibration(), paths, tolerance=1e-4)


def test_nor_the_same_with_another_calibration(artefact: OnnxClassifier, paths: list[Path]) -> None:
    warm = Calibration("temperature", {"temperature": 3.0})
    with pytest.raises(ParityError, match="pictures differ"):
        check_parity(artefact, Colours(), warm, paths, tolerance=1e-4)


def test_the_worst_picture_is_named() -> None:
    with pytest.raises(ParityError, match=r"2 of 3 pictures differ, '2\.png' most, by 0\.3"):
        judge([[0.5, 0.5], [0.4, 0.6], [0.8, 0.2]], [[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]])


@pytest.mark.parametrize("side", [0, 1])
def test_what_is_no_number_differs_most(side: int) -> None:
    rows = [[[0.5, 0.5], [0.1, 0.9], [0.5, 0.5]], [[0.5, 0.5], [0.9, 0.1], [0.5, 0.5]]]
    rows[side][2] = [float("nan"), 0.5]
    with pytest.raises(ParityError, match=r"2 of 3 pictures differ, '2\.png' most, by nan"):
        judge(*rows)


def test_near_ties_may_fall_either_way_and_are_counted() -> None:
    parity = judge([[0.501, 0.499], [0.9, 0.1]], [[0.499, 0.501], [0.9, 0.1]])
    assert (parity.near_ties, parity.argmax_agreement) == (1, 0.5)
    assert parity.largest_difference == pytest.approx(0.002, abs=1e-6)


@given(st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3), st.data())
def test_within_the_tolerance_only_near_ties_are_flipped(
    theirs: list[float], data: st.DataObject
) -> None:
    near = st.floats(-0.009, 0.009)
    ours = [value + data.draw(near) for value in theirs]
    parity = judge([ours], [theirs])
    first, second = sorted(theirs)[-1:-3:-1]
    assert parity.near_ties == 0 or first - second <= 0.02


def test_odd_files_are_what_their_names_say(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    kinds = {}
    for path in write_odd_files(image, tmp_path):
        with Image.open(path) as picture:
            kinds[path.name] = (picture.mode, picture.size, getattr(picture, "n_frames", 1))
    assert kinds["grey.png"][0] == "L"
    assert kinds["grey-alpha.png"][0] == "LA"
    assert kinds["alpha.png"][0] == "RGBA"
    assert kinds["cmyk.jpg"][0] == "CMYK"
    assert kinds["sixteen-bit.png"][0].startswith("I")
    assert kinds["palette.gif"][0] == "P"
    assert kinds["animated.gif"][2] == 2
    assert kinds["one-pixel.png"][1] == (1, 1)
    assert kinds["line.png"][1] == (3, 1000)
    assert kinds["twelve-megapixels.jpg"][1] == (4000, 3000)
    with Image.open(tmp_path / "rotated.jpg") as picture:
        assert picture.getexif()[0x0112] == 6
    assert len(kinds) == 11
