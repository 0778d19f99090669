from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as reference

from eyevsai_core.errors import DatasetError
from eyevsai_core.metrics import (
    Interval,
    bootstrap,
    class_metrics,
    confusion_matrix,
    evaluate_probabilities,
    expected_calibration_error,
    reliability_bins,
    selective_accuracy,
    top_k_accuracy,
    wilson_interval,
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


def recall(labels: np.ndarray, predicted: np.ndarray) -> float:
    return float(np.mean([(predicted[labels == k] == k).mean() for k in np.unique(labels)]))


def test_intervals_equal_a_bootstrap_by_hand_over_the_same_draws() -> None:
    labels, predicted = LABELS[:60], PREDICTED[:60]
    right = predicted == labels
    found = evaluate_probabilities(ROWS[:60], labels, seed=3)
    by_hand = {
        "accuracy": lambda i: right[i].mean(),
        "balanced_accuracy": lambda i: recall(labels[i], predicted[i]),
        "ece": lambda i: expected_calibration_error(ROWS[:60][i], labels[i]),
        "log_loss": lambda i: -np.log(ROWS[:60][i, labels[i]]).mean(),
    }
    for name, function in by_hand.items():
        expected = bootstrap(function, 60, seed=3)
        assert found[name].value == pytest.approx(expected.value, rel=1e-5)
        assert found[name].low == pytest.approx(expected.low, rel=1e-5), name
        assert found[name].high == pytest.approx(expected.high, rel=1e-5), name


def test_all_right_is_no_certainty() -> None:
    rows = np.eye(8, dtype=np.float32)[np.arange(40) % 8]
    found = evaluate_probabilities(rows, np.arange(40) % 8)
    for name in ("accuracy", "top_5_accuracy", "balanced_accuracy", "macro_f1"):
        assert found[name] == wilson_interval(40, 40)
    assert found["accuracy"].low == pytest.approx(40 / (40 + 1.96**2), abs=1e-3)
    wrong = evaluate_probabilities(rows, (np.arange(40) + 1) % 8)
    assert wrong["accuracy"].value == 0
    assert wrong["accuracy"].high > 0.05


def test_of_equal_probabilities_the_first_column_counts_as_argmax_does() -> None:
    rows = np.full((8, 8), 1 / 8, np.float32)
    assert evaluate_probabilities(rows, np.arange(8))["top_5_accuracy"].value == 5 / 8
    assert top_k_accuracy(rows, np.arange(8), 1) == 1 / 8
    assert top_k_accuracy(rows, np.arange(8), 8) == 1


def test_classes_that_the_test_split_lacks_do_not_count_as_recall_of_nothing() -> None:
    rows = np.eye(4, dtype=np.float32)[[0, 1, 1]]
    found = evaluate_probabilities(rows, np.array([0, 1, 0]))
    assert found["balanced_accuracy"].value == pytest.approx(0.75)


def test_many_pictures_are_resampled_in_pieces() -> None:
    right = np.arange(3000) % 4 > 0
    rows = np.where(right[:, None], [0.75, 0.25], [0.25, 0.75]).astype(np.float32)
    found = evaluate_probabilities(rows, np.zeros(3000, np.int64))
    half = 1.96 * np.sqrt(0.75 * 0.25 / 3000)
    assert found["accuracy"].high == pytest.approx(0.75 + half, abs=0.002)
    assert found["ece"].low <= found["ece"].value <= found["ece"].high


@given(
    st.integers(1, 30).flatmap(
        lambda n: st.tuples(
            arrays(np.float32, (n, 3), elements=st.floats(0, 1, width=32)),
            arrays(np.int64, (n,), elements=st.integers(0, 2)),
        )
    )
)
@settings(max_examples=25, deadline=None)
def test_every_metric_is_in_its_range(answers: tuple[np.ndarray, np.ndarray]) -> None:
    rows, labels = answers
    rows = (rows + 1e-3) / (rows + 1e-3).sum(axis=1, keepdims=True)
    for name, found in evaluate_probabilities(rows, labels).items():
        assert 0 <= found.low <= found.value <= found.high, name
        assert found.high <= {"brier": 2, "log_loss": 28}.get(name, 1) + 1e-6, name


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        (np.ones((0, 3)), np.ones(0, np.int64), r"at least one picture, but got shapes \(0, 3\)"),
        (np.ones((2, 3)), np.ones(3, np.int64), r"but got shapes \(2, 3\) and \(3,\)"),
        (np.ones(3), np.ones(3, np.int64), "probabilities "),
        (np.ones((1, 3)), np.array([3]), "column numbers from 0 to 2, but got 3 to 3"),
        (np.ones((1, 3)), np.array([-1]), "but got -1 to -1"),
    ],
)
def test_arrays_that_do_not_fit(rows: np.ndarray, labels: np.ndarray, message: str) -> None:
    for function in (
        evaluate_probabilities,
        expected_calibration_error,
        lambda p, y: top_k_accuracy(p, y, 1),
    ):
        with pytest.raises(DatasetError, match=message):
            function(rows.astype(np.float32), labels)


def test_what_is_left_when_only_sure_answers_count() -> None:
    rows = np.float32([[0.95, 0.05], [0.85, 0.15], [0.6, 0.4], [0.55, 0.45]])
    points = selective_accuracy(rows, np.array([0, 1, 0, 1]), (0.5, 0.8, 0.99))
    assert [(p.threshold, p.answered, p.accuracy.value) for p in points] == [
        (0.5, 4, 0.5),
        (0.8, 2, 0.5),
        (0.99, 0, 0.0),
    ]
    assert points[-1].accuracy == Interval(0.0, 0.0, 1.0, 0)


@given(st.integers(0, 500), st.integers(0, 500))
def test_wilson_s_interval_holds_the_share(first: int, second: int) -> None:
    hits, n = sorted((first, second))
    found = wilson_interval(hits, n)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_data_of_some_classes_are_measured_on_those_classes() -> None:
    labels = np.array([0, 0, 2, 2, 2])
    predicted = np.array([0, 1, 2, 2, 3])  # 1 and 3 are classes of the model, of which none is here
    found = evaluate_probabilities(np.eye(6, dtype=np.float32)[predicted], labels)
    # F1 is 2/3 of class 0 (1 right, 2 shown, 1 answered) and 4/5 of class 2.
    assert found["macro_f1"].value == pytest.approx((2 / 3 + 4 / 5) / 2)
    expected = reference.f1_score(labels, predicted, labels=[0, 2], average="macro")
    assert found["macro_f1"].value == pytest.approx(expected)
    assert found["balanced_accuracy"].value == pytest.approx((1 / 2 + 2 / 3) / 2)
