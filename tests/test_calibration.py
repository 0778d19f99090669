from __future__ import annotations

import json

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from sklearn.isotonic import IsotonicRegression

from eyevsai_core import calibration as calibration_module
from eyevsai_core.calibration import Calibration, fit_calibration, softmax
from eyevsai_core.errors import ConfigError, DatasetError, ExportError, ModelCorruptError
from eyevsai_core.graph import calibration_nodes
from eyevsai_core.metrics import expected_calibration_error


def overconfident(n: int, n_classes: int = 5, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a model that is right as often as its softmax says, times three."""
    dice = np.random.default_rng(seed)
    scores = dice.normal(size=(n, n_classes)) * 1.5
    chances = softmax(scores.astype(np.float32)).astype(np.float64)
    chances /= chances.sum(axis=1, keepdims=True)
    labels = np.array([dice.choice(n_classes, p=row) for row in chances])
    return (3 * scores).astype(np.float32), labels


def in_graph(calibration: Calibration, scores: np.ndarray) -> np.ndarray:
    shape = ["n", scores.shape[1]]
    graph = helper.make_graph(
        calibration_nodes(calibration, "s", "p"),
        "calibration",
        [helper.make_tensor_value_info("s", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"s": scores})[0]


METHODS = ("none", "temperature", "platt", "isotonic")


@pytest.mark.parametrize("method", METHODS)
def test_probabilities_are_probabilities(method: str) -> None:
    scores, labels = overconfident(400)
    rows = fit_calibration(scores, labels, method=method).apply(scores)
    assert rows.dtype == np.float32
    assert (rows >= 0).all()
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_classes", [2, 5, 30])
def test_the_graph_equals_the_array_code(method: str, n_classes: int) -> None:
    scores, labels = overconfident(600, n_classes)
    calibration = fit_calibration(scores, labels, method=method)
    fresh, _ = overconfident(500, n_classes, seed=1)
    extreme = np.float32([[0] * n_classes, [1e4] + [0] * (n_classes - 1), [-1e4] * n_classes])
    both = np.concatenate([fresh, extreme])
    np.testing.assert_allclose(in_graph(calibration, both), calibration.apply(both), atol=2e-6)


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic", "auto"])
def test_calibration_mends_overconfidence_on_fresh_pictures(method: str) -> None:
    calibration = fit_calibration(*overconfident(3000), method=method)
    scores, labels = overconfident(5000, seed=2)
    before = expected_calibration_error(softmax(scores), labels)
    after = expected_calibration_error(calibration.apply(scores), labels)
    assert before > 0.2
    assert after < 0.04


def test_temperature_finds_the_factor() -> None:
    calibration = fit_calibration(*overconfident(20_000), method="temperature")
    assert calibration.parameters["temperature"] == pytest.approx(3, rel=0.05)


def test_temperature_never_changes_the_best_label() -> None:
    scores, labels = overconfident(300)
    rows = fit_calibration(scores, labels, method="temperature").apply(scores)
    np.testing.assert_array_equal(rows.argmax(axis=1), scores.argmax(axis=1))


def test_auto_takes_one_parameter_when_pictures_are_few() -> None:
    assert fit_calibration(*overconfident(200), method="auto").method == "temperature"


@pytest.mark.parametrize("method", METHODS)
def test_one_picture_and_one_class_seen_are_survived(method: str) -> None:
    calibration = fit_calibration(np.float32([[3, 1, 0]]), np.array([0]), method=method)
    assert np.isfinite(calibration.apply(np.float32([[0, 1, 2]]))).all()


def test_isotonic_is_monotone_in_each_class() -> None:
    calibration = fit_calibration(*overconfident(3000), method="isotonic")
    for heights in calibration.parameters["heights"]:
        assert (np.diff(heights) >= -1e-12).all()


def test_unknown_methods_are_refused() -> None:
    with pytest.raises(ConfigError, match="calibration must be one of auto, none"):
        fit_calibration(*overconfident(10), method="magic")
    with pytest.raises(ModelCorruptError, match="a calibration is a method"):
        Calibration.from_dict({"method": "magic", "parameters": {}})


def test_round_trip() -> None:
    calibration = fit_calibration(*overconfident(100), method="platt")
    assert Calibration.from_dict(calibration.to_dict()) == calibration


@pytest.mark.parametrize("scale", [0.01, 0.3, 5.0, 30.0])
@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_scores_of_any_scale_stay_finite_and_equal_in_the_graph(method: str, scale: float) -> None:
    scores, labels = overconfident(400, 4)
    scores = (scores * scale).astype(np.float32)
    calibration = fit_calibration(scores, labels, method=method)
    far = np.concatenate([scores, 10 * scores, np.float32(np.eye(4)) * 1e4])
    rows = calibration.apply(far)
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(in_graph(calibration, far), rows, atol=2e-5)


def test_few_pictures_that_are_all_right_make_no_certainty() -> None:
    scores = (5 * np.eye(3)[np.arange(12) % 3]).astype(np.float32)
    calibration = fit_calibration(scores, np.arange(12) % 3, method="temperature")
    assert 0.3 < calibration.parameters["temperature"] < 1


def test_the_pooled_blocks_are_scikit_learn_s_isotonic_regression() -> None:
    dice = np.random.default_rng(0)
    for _ in range(200):
        n = int(dice.integers(1, 60))
        x = np.round(dice.random(n), int(dice.integers(1, 4)))
        y = (dice.random(n) < x).astype(float)
        weight, hits, _places = calibration_module._pool(x, y).T
        ours = np.repeat(hits / weight, weight.astype(int))
        reference = IsotonicRegression().fit(x, y).predict(np.sort(x))
        np.testing.assert_allclose(ours, reference, atol=1e-12)


def test_a_class_whose_scores_point_the_wrong_way_gets_its_share() -> None:
    dice = np.random.default_rng(0)
    scores = dice.normal(size=(500, 2)).astype(np.float32) * 3
    labels = scores.argmin(axis=1)
    calibration = fit_calibration(scores, labels, method="platt")
    assert calibration.parameters["a"] == [0.0, 0.0]
    np.testing.assert_allclose(calibration.apply(scores)[:, 1], (labels == 1).mean(), atol=0.01)


def test_auto_takes_the_simplest_that_is_as_good() -> None:
    scores, labels = overconfident(3000)
    assert fit_calibration(scores, labels, method="auto").method == "temperature"
    # One class is pushed up: that one factor cannot mend.
    scores[:, 0] += 6
    assert fit_calibration(scores, labels, method="auto").method in {"platt", "isotonic"}


def test_no_pictures_and_no_numbers_are_errors_that_say_so() -> None:
    nothing = np.zeros((0, 3), np.float32)
    with pytest.raises(DatasetError, match="calibration needs at least one picture"):
        fit_calibration(nothing, np.zeros(0, np.int64))
    assert fit_calibration(nothing, np.zeros(0, np.int64), method="none").method == "none"
    with pytest.raises(ExportError, match="2 of 6 are not: the training diverged"):
        fit_calibration(np.float32([[1, np.nan, 0], [np.inf, 0, 0]]), np.array([0, 1]))


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("temperature", {}),
        ("temperature", {"temperature": 0}),
        ("temperature", {"temperature": "hot"}),
        ("temperature", {"temperature": float("nan")}),
        ("platt", {"a": [1.0], "b": [1.0, 2.0]}),
        ("platt", {"a": [float("inf")], "b": [0.0]}),
        ("isotonic", {"knots": [[0, 1]], "heights": []}),
        ("isotonic", {"knots": [[0, 0, 1]], "heights": [[0, 0, 1]]}),
        ("isotonic", {"knots": [[0, 0.5, 1]], "heights": [[0, 1, 0.5]]}),
        ("isotonic", {"knots": [[0]], "heights": [[1]]}),
        ("isotonic", {"knots": [["a", "b"]], "heights": [[0, 1]]}),
    ],
)
def test_damaged_parameters_are_refused(method: str, parameters: dict[str, object]) -> None:
    with pytest.raises(ModelCorruptError, match=f"parameters of calibration '{method}'"):
        Calibration.from_dict({"method": method, "parameters": parameters})


@pytest.mark.parametrize("method", METHODS)
def test_every_method_s_parameters_survive_a_round_trip_through_json(method: str) -> None:
    calibration = fit_calibration(*overconfident(200), method=method)
    assert Calibration.from_dict(json.loads(json.dumps(calibration.to_dict()))) == calibration


def test_a_fit_that_runs_out_of_steps_is_still_better_than_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calibration_module, "_NEWTON_STEPS", 1)
    scores, labels = overconfident(500)

    def loss(calibration: Calibration) -> float:
        rows = calibration.apply(scores)
        return float(-np.log(rows[np.arange(len(labels)), labels]).mean())

    assert loss(fit_calibration(scores, labels, method="platt")) < loss(Calibration())
