from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eyevsai_core.charts import confusion_chart, line_chart, reliability_chart
from eyevsai_core.evaluation import Evaluation
from eyevsai_core.metrics import reliability_bins
from eyevsai_core.report import render_report

sys.path.insert(0, str(Path(__file__).parent))
from making import make_card

HOSTILE = "<script>alert('x')</script>"
EPOCHS = [
    {"step": i, "total": 3, "metrics": {"train_loss": 1 / i, "validation_loss": 2 / i}}
    for i in (1, 2, 3)
]
GRID = [
    {"step": 1, "total": 2, "metrics": {"validation_accuracy": 0.4, "c": 1.0}},
    {"step": 2, "total": 2, "metrics": {"validation_accuracy": 0.7, "c": 10.0}},
]


class Reader(HTMLParser):
    """Collects tags, and notes what would reach the network or run."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [v or "" for k, v in attrs if k in ("src", "href") and v]
        if tag not in {"meta", "img", "br", "rect", "circle", "line", "polyline", "input", "link"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()


def evaluation(n_classes: int, n: int = 60) -> Evaluation:
    dice = np.random.default_rng(0)
    classes = (HOSTILE, *(f"class {i}" for i in range(1, n_classes)))
    labels = dice.integers(0, n_classes, n)
    rows = dice.dirichlet(np.ones(n_classes), n).astype(np.float32)
    paths = tuple(f"{HOSTILE}/{i}.png" for i in range(n))
    return Evaluation("paint", "test", classes, labels, rows, paths)


def page(n_classes: int = 5, history: list[dict[str, Any]] | None = None) -> str:
    found = evaluation(n_classes)
    return render_report(
        card=make_card(classes=found.classes, plain=f"plain {HOSTILE}"),
        evaluation=found,
        history=history or [],
        pixels=np.random.default_rng(1).integers(0, 256, (60, 16, 16, 3), dtype=np.uint8),
        command=f"eyevsai train {HOSTILE}",
    )


@pytest.mark.parametrize("n_classes", [2, 5, 25, 200])
def test_it_is_one_sound_page_without_network_or_script(n_classes: int) -> None:
    reader = Reader()
    reader.feed(page(n_classes))
    assert "script" not in reader.tags
    assert all(link.startswith("data:image/png;base64,") for link in reader.links)
    assert "main" in reader.tags
    assert not [tag for tag in reader.open if tag not in {"p", "tr", "td", "th"}]


def test_names_are_data_and_never_markup() -> None:
    text = page()
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text


def test_numbers_come_with_their_intervals_and_their_n() -> None:
    text = page()
    accuracy = evaluation(5).metrics["accuracy"]
    assert f"{accuracy.value:.3f}" in text
    assert f"{accuracy.low:.3f} to {accuracy.high:.3f}" in text
    assert "60 pictures" in text


def test_epochs_are_curves_and_candidates_a_table() -> None:
    curves, grid = page(history=EPOCHS), page(history=GRID)
    assert "Learning curves" in curves
    assert "<polyline" in curves
    assert "What was tried" in grid
    assert grid.index(">0.7<") < grid.index(">0.4<")
    assert "What was tried" not in page()


def test_pictures_of_mistakes_and_of_right_answers_are_inside() -> None:
    text = page()
    assert text.count("data:image/png") > 12
    assert "The most confident mistakes" in text


def test_the_licence_and_the_command_are_there() -> None:
    text = page()
    assert "CC0" in text
    assert "Do it again" in text


@pytest.mark.parametrize("n", [2, 20, 21, 150])
def test_confusion_is_annotated_only_while_it_can_be_read(n: int) -> None:
    chart = confusion_chart(np.eye(n, dtype=np.int64) * 7, [f"c{i}" for i in range(n)])
    assert chart.startswith("<svg")
    assert (chart.count(">7<") == n) == (n <= 20)


def test_a_class_without_pictures_does_not_divide_by_zero() -> None:
    assert "<svg" in confusion_chart(np.array([[0, 0], [1, 2]]), ["a", "b"])


def test_reliability_says_its_numbers() -> None:
    bins = reliability_bins(np.float32([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 0]))
    assert "1 pictures" in reliability_chart(bins) or "1 picture" in reliability_chart(bins)


def test_lines_may_be_flat_single_or_missing() -> None:
    assert line_chart("empty", {}) == ""
    assert "<polyline" in line_chart("flat", {"loss": [(1, 2.0), (2, 2.0)]})
    assert not re.search(r"nan|inf", line_chart("one", {"loss": [(1, 2.0)]}))
