from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from eyevsai_core.metrics import (
    Interval,
    bootstrap,
    class_metrics,
    confusion_matrix,
    evaluate_probabilities,
    expected_calibration_error,
    reliability_bins,
)

DICE = np.random.default_rng(0)
LABELS = DICE.integers(0, 7, 300)
ROWS = DICE.dirichlet(np.ones(7), 300).astype(np.float32)
ROWS[np.arange(300), LABELS] += 0.4
ROWS /= ROWS.sum(axis=1, keepdims=True)
PREDICTED = ROWS.argmax(axis=1)


def test_every_metric_equals_scikit_learn_s() -> None:
    found = {name: value.value for name, value in evaluate_probabilities(ROWS, LABELS).items()}
    rows = ROWS.astype(np.float64)
    rows /= rows.sum(axis=1, keepdims=True)
    expected = {
        "accuracy": reference.accuracy_score(LABELS, PREDICTED),
        "balanced_accuracy": reference.balanced_accuracy_score(LABELS, PREDICTED),
        "macro_f1": reference.f1_score(LABELS, PREDICTED, average="macro"),
        "log_loss": reference.log_loss(LABELS, rows),
        "top_5_accuracy": reference.top_k_accuracy_score(LABELS, ROWS, k=5),
        "brier": ((rows - np.eye(7)[LABELS]) ** 2).sum(axis=1).mean(),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-6), name
    np.testing.assert_array_equal(
        confusion_matrix(LABELS, PREDICTED, 7), reference.confusion_matrix(LABELS, PREDICTED)
    )


def test_calibration_error_by_hand() -> None:
    # Two pictures of confidence 0.9, one right: gap 0.4. Two of 0.6, both right: gap 0.4.
    rows = np.float32([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    assert expected_calibration_error(rows, np.array([0, 1, 0, 0])) == pytest.approx(0.4, abs=1e-6)
    bins = reliability_bins(rows, np.array([0, 1, 0, 0]))
    assert [(b.count, round(b.confidence, 3), b.accuracy) for b in bins] == [
        (2, 0.6, 1.0),
        (2, 0.9, 0.5),
    ]


def test_intervals_hold_the_value_and_narrow_with_n() -> None:
    wide = evaluate_probabilities(ROWS[:40], LABELS[:40])
    narrow = evaluate_probabilities(np.tile(ROWS[:40], (20, 1)), np.tile(LABELS[:40], 20))
    for name, value in wide.items():
        assert value.low <= value.value <= value.high
        assert value.n == 40
        if name not in {"ece", "top_5_accuracy"}:
            assert narrow[name].high - narrow[name].low < value.high - value.low


def test_the_interval_of_a_share_is_about_the_binomial_one() -> None:
    right = np.arange(400) % 4 > 0
    found = bootstrap(lambda i: float(right[i].mean()), 400)
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert found.value == 0.75
    assert found.low == pytest.approx(0.75 - half, abs=0.01)
    assert found.high == pytest.approx(0.75 + half, abs=0.01)


def test_the_same_seed_gives_the_same_interval() -> None:
    assert evaluate_probabilities(ROWS, LABELS) == evaluate_probabilities(ROWS, LABELS)


def test_classes_with_their_wilson_intervals() -> None:
    rows = class_metrics(
        np.array([0, 0, 0, 0, 0, 1]), np.array([0, 0, 0, 0, 0, 0]), ("a", "b", "c")
    )
    assert [row.support for row in rows] == [5, 1, 0]
    assert rows[0].recall.value == 1
    # Wilson's lower bound for 5 of 5 is n / (n + z^2).
    assert rows[0].recall.low == pytest.approx(5 / (5 + 1.96**2), abs=1e-3)
    assert rows[0].precision.value == pytest.approx(5 / 6)
    assert rows[2].recall == Interval(0.0, 0.0, 1.0, 0)
    assert rows[2].f1 == 0


def test_two_classes_have_no_top_five() -> None:
    assert "top_5_accuracy" not in evaluate_probabilities(np.float32([[0.4, 0.6]]), np.array([1]))


def test_an_interval_reads_well() -> None:
    assert str(Interval(0.7133, 0.66, 0.7634, 300)) == "0.713 (0.660-0.763)"
