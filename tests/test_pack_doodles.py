"""The tools that made the bundled drawings."""

from __future__ import annotations

import importlib
import io
import json
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

from eyevsai_core import doodles

if TYPE_CHECKING:
    from types import ModuleType

TOOLS = Path(__file__).parents[1] / "tools"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("pack_doodles")


@pytest.fixture
def tracer(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("trace_strokes")


def sketch(shape: str, *points: float, width: float = 1.6) -> npt.NDArray[np.uint8]:
    """Draw on a large sheet and reduce it to 28 x 28, as the source was made."""
    sheet = Image.new("L", (28 * 16, 28 * 16), 255)
    pen = ImageDraw.Draw(sheet)
    scaled = [16 * p for p in points]
    if shape == "line":
        pen.line(scaled, 0, width=round(16 * width))
    else:
        getattr(pen, shape)(scaled, outline=0, width=round(16 * width))
    return np.array(sheet.resize((28, 28), Image.Resampling.BOX))


def test_a_line_is_one_stroke_along_it(tracer: ModuleType) -> None:
    ((kind, points),) = tracer.trace_strokes(sketch("line", 4, 6, 24, 16))
    assert kind == tracer.STROKE
    off = np.abs((points - (4, 6)) @ np.array([-10, 20]) / np.hypot(10, 20))
    assert off.max() < 0.35
    assert np.ptp(points[:, 0]) > 17


def test_a_circle_is_one_closed_stroke(tracer: ModuleType) -> None:
    ((kind, points),) = tracer.trace_strokes(sketch("ellipse", 4, 4, 24, 24))
    assert kind == tracer.STROKE
    assert np.allclose(points[0], points[-1])
    assert np.abs(np.hypot(*(points - 14).T) - 9.2).max() < 0.5


def test_two_lines_that_cross_are_two_strokes(tracer: ModuleType) -> None:
    cross = np.minimum(sketch("line", 3, 14, 25, 14), sketch("line", 14, 3, 14, 25))
    curves = tracer.trace_strokes(cross)
    assert [kind for kind, _ in curves] == [tracer.STROKE] * 2
    heights = [np.ptp(points[:, 1]) for _, points in curves]
    assert min(heights) < 1
    assert max(heights) > 18


def test_a_dot_and_an_area(tracer: ModuleType) -> None:
    dot = tracer.trace_strokes(sketch("ellipse", 13, 13, 15, 15))
    assert [kind for kind, _ in dot] == [tracer.STROKE]
    area = tracer.trace_strokes(sketch("rectangle", 6, 6, 22, 22, width=14))
    assert tracer.FILL in [kind for kind, _ in area]


def test_an_empty_sheet_has_no_strokes(tracer: ModuleType) -> None:
    assert tracer.trace_strokes(np.full((28, 28), 255, np.uint8)) == []


def test_what_is_packed_can_be_read(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source.zip"
    with zipfile.ZipFile(source, "w") as archive:
        for name, points in (("test/cat/2", (4, 4, 20, 9)), ("train/dog/1", (8, 4, 9, 24))):
            png = io.BytesIO()
            Image.fromarray(sketch("line", *points)).save(png, "PNG")
            archive.writestr(f"doodles20/{name}.png", png.getvalue())
    target = tmp_path / "package" / "data" / "doodles.zip"
    monkeypatch.setattr(tool, "TARGET", target)
    tool.main(str(source))
    first = target.read_bytes()
    tool.main(str(source))
    assert target.read_bytes() == first
    with zipfile.ZipFile(target) as packed:
        assert json.loads(packed.read("index.json")) == [["test", "cat", 1], ["train", "dog", 1]]
    monkeypatch.setattr(doodles.resources, "files", lambda _: tmp_path / "package")
    cat, dog = doodles.read_drawings()
    assert (cat.split, cat.label, dog.split, dog.label) == ("test", "cat", "train", "dog")
    (line,) = dog.strokes
    assert np.abs((line.min(axis=0) + line.max(axis=0)) / 2 - 512).max() <= 1
    assert np.ptp(line[:, 1]) > 17 * 32


def test_points_too_far_apart_are_refused(tool: ModuleType) -> None:
    with pytest.raises(ValueError, match="lower STEP"):
        tool.pack([[(0, np.array([[0.0, 0.0], [9.0, 0.0]]))]])


@pytest.mark.realdata
def test_the_source_is_the_one_that_the_package_holds(tool: ModuleType, test_data: Path) -> None:
    with zipfile.ZipFile(test_data / "doodles20.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".png"))
        picture = np.array(Image.open(io.BytesIO(archive.read(names[700]))).convert("L"))
    packed = tool.pack([sys.modules["trace_strokes"].trace_strokes(picture)])
    steps = np.frombuffer(packed["steps"], "i1").reshape(-1, 2)
    drawing = doodles.read_drawings()[700]
    assert sum(len(points) - 1 for points in (*drawing.strokes, *drawing.fills)) == len(steps)
