from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from eyevsai_core.charts import (
    confusion_chart,
    interval_bar,
    line_chart,
    nice_ticks,
    reliability_chart,
    shorten,
)
from eyevsai_core.metrics import ReliabilityBin

HOSTILE = ("<script>alert(1)</script>", "\"><img src=x onerror='1'>", "a&b")


def drawn(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314  our own output: it must be well-formed


def texts(svg: str) -> list[str]:
    return [(t.text or "") for t in drawn(svg).iter("text")]


def numbers(svg: str, tag: str, name: str) -> list[float]:
    return [float(each.attrib[name]) for each in drawn(svg).iter(tag)]


def test_a_small_matrix_carries_its_numbers_and_a_tip_for_each_cell() -> None:
    svg = confusion_chart(np.array([[8, 2], [0, 5]]), ("cat", "dog"))
    assert {"8", "2", "5", "cat", "dog"} <= set(texts(svg))
    assert "0" not in texts(svg)
    tips = {t.text for t in drawn(svg).iter("title")}
    assert "cat taken for dog: 2 of 10 (20%)" in tips
    assert "dog recognised: 5 of 5 (100%)" in tips


def test_colours_say_right_or_wrong_and_how_often() -> None:
    cells = {
        rect.attrib["class"]: float(rect.attrib["fill-opacity"])
        for rect in drawn(confusion_chart(np.array([[3, 1], [0, 0]]), ("a", "b"))).iter("rect")
        if "fill-opacity" in rect.attrib
    }
    assert cells == {"hit": 0.79, "miss": 0.35}  # 0.14 + 0.86 * share; b has no picture


@pytest.mark.parametrize("n", [21, 64])
def test_a_middling_matrix_has_tips_but_no_numbers(n: int) -> None:
    svg = confusion_chart(np.eye(n, dtype=np.int64) * 7, [f"c{i}" for i in range(n)])
    assert "7" not in texts(svg)
    assert svg.count("recognised: 7 of 7") == n


def test_a_matrix_of_200_classes_is_a_handful_of_shapes_with_names_that_fit() -> None:
    dice = np.random.default_rng(0)
    matrix = dice.integers(0, 3, (200, 200)) + np.eye(200, dtype=np.int64) * 200
    svg = confusion_chart(matrix, [f"class {i}" for i in range(200)])
    assert len(list(drawn(svg).iter("path"))) <= 24
    assert len(list(drawn(svg).iter("rect"))) == 1
    assert len(svg) < 1_500_000
    rows = sorted(
        float(t.attrib["y"])
        for t in drawn(svg).iter("text")
        if t.attrib.get("text-anchor") == "end"
    )
    assert min(np.diff(rows)) >= 13


def test_numbers_of_six_digits_stay_within_their_cell() -> None:
    svg = confusion_chart(np.full((20, 20), 123456), [f"c{i}" for i in range(20)])
    size = min(
        float(t.attrib["font-size"]) for t in drawn(svg).iter("text") if "font-size" in t.attrib
    )
    assert 6 * size * 0.6 < 660 / 20


@pytest.mark.parametrize(
    "svg",
    [
        confusion_chart(np.ones((3, 3), np.int64), HOSTILE),
        line_chart(HOSTILE[0], {HOSTILE[1]: [(1, 2), (2, 3)]}, x_label=HOSTILE[2]),
    ],
)
def test_names_are_data(svg: str) -> None:
    drawn(svg)
    assert "<script" not in svg
    assert "<img" not in svg
    assert all(HOSTILE[1] != name for each in drawn(svg).iter() for name in each.attrib)


def test_every_chart_says_what_it_shows_to_those_who_do_not_see_it() -> None:
    charts = [
        confusion_chart(np.eye(2, dtype=np.int64), ("a", "b")),
        reliability_chart([]),
        line_chart("loss", {"train_loss": [(1, 1)]}),
        interval_bar(0.5, 0.4, 0.6),
    ]
    for svg in charts:
        root = drawn(svg)
        assert root.attrib["role"] == "img"
        assert root.attrib["aria-label"] == root[0].text
        assert root[0].tag == "title"
    assert "0.500, 95 % interval 0.400 to 0.600" in charts[-1]


def test_a_bar_places_value_band_and_mark_on_its_track() -> None:
    svg = interval_bar(0.5, 0.25, 0.75, mark=0.1, width=110)
    assert numbers(svg, "circle", "cx") == [55]
    assert numbers(svg, "rect", "x") == [30]
    assert numbers(svg, "rect", "width") == [50]
    assert numbers(svg, "line", "x1") == [5, 15]


def test_a_bar_stays_on_its_track() -> None:
    assert numbers(interval_bar(3, 2, 9, span=(0, 1), width=110), "circle", "cx") == [105]
    assert numbers(interval_bar(1, 1, 1, span=(1, 1), width=110), "circle", "cx") == [55]


def test_reliability_marks_accuracy_at_confidence_and_stacks_right_on_wrong() -> None:
    svg = reliability_chart(
        [ReliabilityBin(0.4, 0.6, 10, 0.5, 0.8), ReliabilityBin(0.9, 1, 5, 1, 1)]
    )
    assert numbers(svg, "circle", "cx") == [66 + 190, 66 + 380]
    assert numbers(svg, "circle", "cy") == [12 + 76, 12]
    bars = [
        (rect.attrib["class"], float(rect.attrib["height"]))
        for rect in drawn(svg).iter("rect")
        if rect.attrib["class"] != "sheet"
    ]
    assert bars == [("hit", 56), ("miss", 14), ("hit", 35), ("miss", 0)]
    assert "10 pictures, on average 50.0% sure, 8 right (80.0%), 2 wrong" in svg


def test_a_line_goes_through_its_points_and_leaves_out_what_is_not_finite() -> None:
    svg = line_chart("loss", {"train_loss": [(1, 2.0), (2, math.nan), (3, math.inf), (4, 1.0)]})
    (line,) = (p.attrib["points"] for p in drawn(svg).iter("polyline"))
    assert len(line.split()) == 2
    assert "nan" not in svg
    assert "inf" not in svg


def test_many_lines_have_a_legend_each_that_does_not_overlap() -> None:
    svg = line_chart("loss", {f"loss_{k}": [(1, k), (2, k)] for k in range(5)}, mark=2)
    legends = [
        (float(t.attrib["x"]), float(t.attrib["y"]))
        for t in drawn(svg).iter("text")
        if (t.text or "").startswith("loss ")
    ]
    assert len(set(legends)) == 5
    assert "best 2" in texts(svg)


def test_one_point_is_a_dot() -> None:
    assert len(list(drawn(line_chart("loss", {"train_loss": [(1, 0.5)]})).iter("circle"))) == 1


def test_nothing_to_draw_is_nothing() -> None:
    assert line_chart("loss", {"train_loss": [(1, math.nan)]}) == ""


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.07, 0.93, [0.2, 0.4, 0.6, 0.8]),
        (1, 40, [10, 20, 30, 40]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (3, 3, [3]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert nice_ticks(low, high) == expected


def test_long_names_keep_both_ends() -> None:
    assert shorten("asparagus") == "asparagus"
    assert shorten("a very long name, number 17", 15) == "a very …mber 17"
    assert len(shorten("x" * 300)) == 22
