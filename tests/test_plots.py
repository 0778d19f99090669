from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pytest
from making import one_colour
from matplotlib import pyplot as plt

from eyevsai_core.errors import MissingDependencyError
from eyevsai_core.evaluation import Evaluation
from eyevsai_core.explain import Explanation
from eyevsai_core.plots import (
    plot_confusion,
    plot_explanation,
    plot_prediction,
    plot_reliability,
)
from eyevsai_core.prediction import Prediction

if TYPE_CHECKING:
    from collections.abc import Iterator

EXPLANATION = Explanation(
    "cat", 0.87, np.ones((8, 8), np.float32), one_colour(1, 40, 80), "occlusion"
)
PREDICTION = Prediction("cat", 0.7, {"cat": 0.7, "dog": 0.2, "fox": 0.1})


@pytest.fixture(autouse=True)
def no_window() -> Iterator[None]:
    """Draw into memory, and forget the figures."""
    mpl.use("agg")
    yield
    plt.close("all")


def evaluation(n_classes: int, n: int = 60) -> Evaluation:
    dice = np.random.default_rng(0)
    labels = dice.integers(0, n_classes, n)
    rows = dice.dirichlet(np.ones(n_classes), n)
    rows[np.arange(n), labels] += 1
    return Evaluation(
        dataset="dice",
        split="test",
        classes=tuple(f"class {i}" for i in range(n_classes)),
        labels=labels,
        probabilities=(rows / 2).astype(np.float32),
        paths=("",) * n,
    )


def test_confusion_with_counts_and_names() -> None:
    answers = evaluation(3)
    axes = plot_confusion(answers)
    axes.figure.canvas.draw()
    shown = {text.get_text() for text in axes.texts}
    assert shown == {str(count) for count in answers.confusion.ravel() if count}
    assert [t.get_text() for t in axes.get_yticklabels()] == list(answers.classes)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("answer", "truth")


def test_confusion_of_many_classes_names_some_and_annotates_none() -> None:
    axes = plot_confusion(evaluation(90, 300))
    axes.figure.canvas.draw()
    assert not axes.texts
    assert [t.get_text() for t in axes.get_yticklabels()][:2] == ["class 0", "class 3"]


def test_reliability_with_the_diagonal() -> None:
    axes = plot_reliability(evaluation(3))
    axes.figure.canvas.draw()
    assert len(axes.patches) >= 2
    assert axes.lines[0].get_xydata().tolist() == [[0, 0], [1, 1]]


def test_a_prediction_beside_its_picture_the_best_on_top() -> None:
    figure = plot_prediction(one_colour(0), PREDICTION, top=2)
    figure.canvas.draw()
    bars = figure.axes[1]
    assert [t.get_text() for t in bars.get_yticklabels()] == ["dog", "cat"]
    assert [patch.get_width() for patch in bars.patches] == [0.2, 0.7]


def test_an_explanation_says_label_and_probability() -> None:
    axes = plot_explanation(EXPLANATION)
    axes.figure.canvas.draw()
    assert axes.get_title() == "cat 87%"


def test_they_draw_where_they_are_told() -> None:
    figure, (left, middle, right) = plt.subplots(1, 3)
    assert plot_confusion(evaluation(2), axes=left) is left
    assert plot_reliability(evaluation(2), axes=middle) is middle
    assert plot_explanation(EXPLANATION, axes=right) is right
    assert plt.get_fignums() == [figure.number]


def test_without_matplotlib_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'eyevsai-core\[plots\]'"):
        plot_confusion(evaluation(2))
