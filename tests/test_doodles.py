from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zlib
from collections import Counter
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from eyevsai_core import doodles
from eyevsai_core.catalog import load_dataset
from eyevsai_core.doodles import CLASSES, PICTURES, Drawing, draw, materialise, read_drawings
from eyevsai_core.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

# Whoever changes a drawing changes these, and `_VERSION`: models name the fingerprint.
FINGERPRINT = "6bebc6dfae1cad77455ded5a852c8a6c1de41ad5d19aedc4bcdf4a0aa729279d"
DRAWN_AT_200 = "2a1b82a8cbb283be33debc43f50cca77a146fda68b73733e2d636bf42336fce5"


def pen(*lines: list[tuple[int, int]], fills: tuple[list[tuple[int, int]], ...] = ()) -> Drawing:
    return Drawing(
        "train",
        "line",
        tuple(np.array(line, np.int64) for line in lines),
        tuple(np.array(fill, np.int64) for fill in fills),
    )


def ink(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    return 1 - picture / 255.0


class TestPacked:
    def test_it_holds_what_the_catalog_says(self) -> None:
        drawings = read_drawings()
        assert len(drawings) == PICTURES
        assert tuple(sorted({d.label for d in drawings})) == CLASSES
        assert Counter((d.split, d.label) for d in drawings) == Counter(
            {(s, label): n for s, n in (("test", 15), ("train", 70)) for label in CLASSES}
        )

    def test_every_drawing_is_within_its_frame_and_has_ink(self) -> None:
        for drawing in read_drawings():
            points = np.concatenate([*drawing.strokes, *drawing.fills])
            assert points.dtype == np.int64
            assert points.min() >= 0
            assert points.max() < doodles._UNITS

    def test_it_is_small_and_says_whose_it_is(self) -> None:
        folder = resources.files("eyevsai_core") / "data"
        assert len((folder / "doodles.zip").read_bytes()) < 2**20
        text = (folder / "ATTRIBUTION.md").read_text(encoding="utf-8")
        assert "made available by\nGoogle, Inc." in text
        assert "Creative Commons Attribution 4.0" in text


class TestDraw:
    @pytest.mark.parametrize("size", [1, 28, 96, 97])
    def test_any_size(self, size: int) -> None:
        picture = draw(read_drawings()[0], size)
        assert picture.shape == (size, size)
        assert picture.dtype == np.uint8

    def test_nothing_is_paper(self) -> None:
        assert (draw(pen(), 8) == 255).all()

    def test_a_dot_is_a_round_spot_of_the_pen(self) -> None:
        spot = ink(draw(pen([(512, 512)]), 256))
        radius = doodles._PEN / doodles._UNITS * 256
        assert spot.sum() == pytest.approx(np.pi * radius**2, rel=0.02)
        assert np.allclose(spot, spot.T)
        y, x = np.mgrid[:256, :256] + 0.5
        assert (spot[np.hypot(x - 128, y - 128) < radius - 1] == 1).all()
        assert (spot[np.hypot(x - 128, y - 128) > radius + 1] == 0).all()

    def test_a_line_has_the_pens_width_and_its_ends_are_round(self) -> None:
        drawn = ink(draw(pen([(x, 512) for x in range(256, 769, 32)]), 256))
        width = 2 * doodles._PEN / doodles._UNITS * 256
        assert drawn[:, 100:150].sum(axis=0) == pytest.approx(width, abs=0.3)
        assert drawn.sum() == pytest.approx(width * 128 + np.pi * width**2 / 4, rel=0.02)

    def test_a_curve_goes_smoothly_through_its_points(self) -> None:
        turn = np.linspace(0, 2 * np.pi, 60)
        ring = [(round(512 + 300 * np.cos(t)), round(512 + 300 * np.sin(t))) for t in turn]
        drawn = ink(draw(pen(ring), 256))
        y, x = np.mgrid[:256, :256] + 0.5
        distance = np.abs(np.hypot(x - 128, y - 128) - 75)
        radius = doodles._PEN / 4
        assert (drawn[distance < radius - 1] == 1).all()
        assert (drawn[distance > radius + 1] == 0).all()

    def test_an_outline_is_filled_and_an_outline_inside_is_a_hole(self) -> None:
        def square(near: int, far: int) -> list[tuple[int, int]]:
            steps = list(range(near, far, 32))
            side = [(v, near) for v in steps] + [(far, v) for v in steps]
            back = [(far + near - v, far) for v in steps] + [(near, far + near - v) for v in steps]
            return [*side, *back, (near, near)]

        drawn = ink(draw(pen(fills=(square(256, 768), square(384, 640))), 64))
        assert drawn[20:44, 18:22].min() == 1
        assert drawn[28:36, 28:36].max() == 0
        assert drawn.sum() == pytest.approx(32**2 - 16**2, rel=0.03)

    def test_lines_are_cut_at_the_frame(self) -> None:
        drawn = draw(pen([(x, 512) for x in range(-400, 1400, 32)]), 32)
        assert (drawn[15] < 130).all()
        outside = [(1100, 1100), (1300, 1100), (1200, 1300), (1100, 1100)]
        assert (draw(pen(fills=(outside,)), 32) == 255).all()

    def test_the_same_bytes_everywhere(self) -> None:
        digest = hashlib.sha256()
        for drawing in read_drawings()[::85]:
            digest.update(draw(drawing, 200).tobytes())
        assert digest.hexdigest() == DRAWN_AT_200


class TestFiles:
    def test_png_without_compression(self) -> None:
        grey = np.random.default_rng(0).integers(0, 256, (300, 301), np.uint8)
        png = doodles._png(grey)
        with Image.open(io.BytesIO(png)) as picture:
            assert picture.mode == "L"
            assert np.array_equal(np.asarray(picture), grey)
        # More than one block of 65 535 bytes, each stored as it is.
        assert len(png) > grey.size > 65535
        assert zlib.decompress(png[41:-16])[1:302] == grey[0].tobytes()

    def test_the_data_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data = load_dataset("doodles")
        assert data.fingerprint == FINGERPRINT
        assert data.counts()["train"] == dict.fromkeys(CLASSES, 70)
        assert data.counts()["test"] == dict.fromkeys(CLASSES, 15)
        with Image.open(data.samples[0].path) as picture:
            assert picture.size == (96, 96)
        # Whole: not drawn again. Cleaned in part: drawn again.
        monkeypatch.setattr(doodles, "read_drawings", list)
        assert materialise() == data.root
        data.samples[0].path.unlink()
        with pytest.raises(OutputError):
            materialise()


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty drawings, one of each class."""
    some = read_drawings()[300::70]
    monkeypatch.setattr(doodles, "read_drawings", lambda: some)
    monkeypatch.setattr(doodles, "PICTURES", len(some))


@pytest.mark.usefixtures("few")
class TestRaces:
    def test_another_process_was_faster(self, monkeypatch: pytest.MonkeyPatch) -> None:
        first = materialise()
        before = {path: path.stat().st_ino for path in first.rglob("*.png")}
        whole, asked = doodles._is_whole, []

        def absent_at_first(folder: Path) -> bool:
            asked.append(folder)
            return len(asked) > 1 and whole(folder)

        monkeypatch.setattr(doodles, "_is_whole", absent_at_first)
        assert materialise() == first
        assert {path: path.stat().st_ino for path in first.rglob("*.png")} == before

    def test_what_was_cleaned_in_part_is_made_again(self) -> None:
        first = materialise()
        lost = next(first.rglob("*.png"))
        lost.unlink()
        assert materialise() == first
        assert lost.is_file()

    def test_nothing_is_left_beside_it(self) -> None:
        folder = materialise()
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]

    def test_a_folder_that_cannot_be_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("EYEVSAI_CACHE", str(tmp_path / "file"))
        with pytest.raises(OutputError, match="cannot write into"):
            materialise()


def test_processes_at_once() -> None:
    code = (
        "import json; from eyevsai_core import doodles as d; some = d.read_drawings()[300::70]; "
        "d.read_drawings = lambda: some; d.PICTURES = len(some); root = d.materialise(); "
        "print(json.dumps(sorted(str(p) for p in root.rglob('*.png'))))"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(3)
    ]
    said = [json.loads(process.communicate()[0]) for process in running]
    assert said[0] == said[1] == said[2]
    assert len(said[0]) == 20
