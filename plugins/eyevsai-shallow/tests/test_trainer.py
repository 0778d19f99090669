from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
from sklearn.svm import SVC

from eyevsai_core.errors import ConfigError, ExportError, ModelCorruptError
from eyevsai_core.family import TrainData
from eyevsai_shallow.candidates import is_shifted
from eyevsai_shallow.classifier import ShallowClassifier
from eyevsai_shallow.config import ShallowConfig
from eyevsai_shallow.copies import changed
from eyevsai_shallow.forest_graph import round_down
from eyevsai_shallow.graph import classifier_graph
from eyevsai_shallow.kernel_machine import KernelMachine
from eyevsai_shallow.trainer import ShallowTrainer

if TYPE_CHECKING:
    from pathlib import Path

SIDE = 32


class Context:
    """A run's folder and its reports, without a run."""

    def __init__(self, directory: Path, *, stop_at: int = 0) -> None:
        self.directory = directory
        self.threads = 1
        self.stop_at = stop_at
        self.reports: list[dict[str, float]] = []

    def report(self, step: int, _total: int, metrics: dict[str, float]) -> None:
        self.reports.append(metrics)
        if step == self.stop_at:
            raise KeyboardInterrupt


def shapes(n: int, n_classes: int, *, seed: int = 0) -> TrainData:
    """Squares of a colour and a place for each class, on noise."""
    dice = np.random.default_rng(seed)
    labels = np.arange(n, dtype=np.int64) % n_classes
    images = dice.integers(0, 90, (n, SIDE, SIDE, 3), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        y, x = 2 + 5 * (label % 4) + dice.integers(3), 2 + 5 * (label // 4) + dice.integers(3)
        image[y : y + 9, x : x + 9, label % 3] += 130
    return TrainData(images=images, labels=labels, classes=tuple("abcdefghij"[:n_classes]))


def fit(tmp_path: Path, n_classes: int = 4, **options: Any) -> ShallowClassifier:
    config = ShallowConfig.from_dict({"n_estimators": 12, "c": 10.0, "flip": False, **options})
    train, validation = shapes(10 * n_classes, n_classes), shapes(3 * n_classes, n_classes, seed=1)
    return ShallowTrainer(config).fit(train, validation, Context(tmp_path))


def run_graph(classifier: ShallowClassifier, images: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        classifier_graph(classifier).SerializeToString(), options
    )
    return session.run(None, {"pixels": images})[0]


@pytest.mark.parametrize("n_classes", [2, 3, 7])
@pytest.mark.parametrize(
    "options",
    [
        {"classifier": "svm", "kernel": "rbf"},
        {"classifier": "svm", "kernel": "linear"},
        {"classifier": "svm", "kernel": "poly", "degree": 2},
        {"classifier": "svm", "select_features": 300, "pca_components": 5, "whiten": True},
        {"classifier": "lr"},
        {"classifier": "lr", "pca_components": None, "class_weight": "balanced"},
        {"classifier": "rf"},
        {"classifier": "rf", "select_features": 200, "max_depth": 3},
    ],
    ids=lambda o: "-".join(map(str, o.values())),
)
def test_graph_equals_native(options: dict[str, Any], n_classes: int, tmp_path: Path) -> None:
    classifier = fit(tmp_path, n_classes, **options)
    images = shapes(30, n_classes, seed=2).images
    native = classifier.predict_scores(images)
    graph = run_graph(classifier, images)
    assert graph.shape == (30, n_classes)
    np.testing.assert_allclose(graph, native, atol=5e-5 * max(1, np.abs(native).max()))
    assert classifier.predict_scores(images[:0]).shape == (0, n_classes)


@pytest.mark.parametrize("kind", ["svm", "lr", "rf"])
def test_learns(kind: str, tmp_path: Path) -> None:
    test = shapes(60, 4, seed=5)
    scores = fit(tmp_path, classifier=kind).predict_scores(test.images)
    assert (scores.argmax(axis=1) == test.labels).mean() > 0.7


def test_pairs_vote_and_the_votes_rank_the_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eyevsai_shallow.kernel_machine.MOST_ROWS", 10)
    dice = np.random.default_rng(0)
    labels = np.arange(200) % 5
    x = (dice.normal(size=(5, 6))[labels] * 4 + dice.normal(size=(200, 6))).astype(np.float32)
    ours = KernelMachine(gamma=0.05, threads=2).fit(x, labels)
    theirs = SVC(C=10.0, gamma=0.05, decision_function_shape="ovo").fit(x, labels)
    assert ours.pairs_
    expected = theirs.decision_function(x)
    np.testing.assert_allclose(ours.decision_function(x), expected, atol=5e-3)
    assert (ours.predict(x) == theirs.predict(x)).mean() > 0.99
    np.testing.assert_allclose(ours.scores(x).sum(axis=1), 2.5)  # ten pairs over four rivals


@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly"])
def test_two_classes_are_the_same_machine_as_libsvm_s(kernel: str) -> None:
    dice = np.random.default_rng(0)
    labels = np.arange(80) % 2
    x = (dice.normal(size=(80, 5)) + labels[:, None]).astype(np.float32)
    options = {"C": 3.0, "kernel": kernel, "gamma": 0.2, "coef0": 1.0}
    ours = KernelMachine(**options).fit(x, labels)
    theirs = SVC(**options).fit(x, labels)
    expected = theirs.decision_function(x)
    np.testing.assert_allclose(ours.decision_function(x)[:, 1], expected, atol=5e-3)
    np.testing.assert_array_equal(ours.predict(x), theirs.predict(x))
    assert ours.decision_function(x[:0]).shape == (0, 2)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly"])
def test_very_many_pictures_are_told_apart_in_pairs(
    n_classes: int, kernel: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eyevsai_shallow.kernel_machine.MOST_ROWS", 10)
    classifier = fit(tmp_path, n_classes, kernel=kernel)
    assert classifier.pipeline[-1].pairs_
    test = shapes(40, n_classes, seed=2)
    native = classifier.predict_scores(test.images)
    assert (native.argmax(axis=1) == test.labels).mean() > 0.6
    np.testing.assert_allclose(run_graph(classifier, test.images), native, atol=2e-4)


@pytest.mark.parametrize("kind", ["svm", "rf"])
def test_an_interrupted_fit_ends_the_same(kind: str, tmp_path: Path) -> None:
    config = ShallowConfig(classifier=kind, n_estimators=10)
    train, validation = shapes(40, 4), shapes(12, 4, seed=1)
    whole_context = Context(tmp_path / "whole")
    stopped = Context(tmp_path / "part", stop_at=2)
    for context in (whole_context, stopped):
        context.directory.mkdir()
    whole = ShallowTrainer(config).fit(train, validation, whole_context)
    with pytest.raises(KeyboardInterrupt):
        ShallowTrainer(config).fit(train, validation, stopped)
    again = Context(tmp_path / "part")
    resumed = ShallowTrainer(config).fit(train, validation, again)
    assert len(stopped.reports) + len(again.reports) == len(whole_context.reports)
    images = shapes(20, 4, seed=9).images
    np.testing.assert_array_equal(resumed.predict_scores(images), whole.predict_scores(images))


def test_candidates_are_compared_on_validation_and_reported(tmp_path: Path) -> None:
    context = Context(tmp_path)
    ShallowTrainer(ShallowConfig(classifier="lr")).fit(
        shapes(40, 4), shapes(12, 4, seed=1), context
    )
    assert {row["flip"] for row in context.reports} == {0.0, 1.0}
    assert all(0 <= row["validation_accuracy"] <= 1 for row in context.reports)
    assert all({"c", "validation_log_loss", "seconds"} <= set(row) for row in context.reports)


def test_without_refit_validation_is_not_learned_from(tmp_path: Path) -> None:
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
    images = shapes(10, 4, seed=3).images
    with_it = fit(tmp_path / "with").predict_scores(images)
    without = fit(tmp_path / "without", refit=False).predict_scores(images)
    assert np.abs(with_it - without).max() > 1e-4


@pytest.mark.parametrize("kind", ["svm", "rf", "lr"])
def test_saves_and_loads_without_pickle(kind: str, tmp_path: Path) -> None:
    classifier = fit(tmp_path, classifier=kind)
    home = tmp_path / "saved"
    home.mkdir()
    classifier.save(home)
    loaded = ShallowClassifier.load(home)
    images = shapes(9, 4, seed=4).images
    np.testing.assert_array_equal(loaded.predict_scores(images), classifier.predict_scores(images))


def test_a_native_model_with_foreign_types_is_refused(tmp_path: Path) -> None:
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    classifier = fit(tmp_path)
    home = tmp_path / "saved"
    home.mkdir()
    classifier.save(home)
    skops.io.dump(FunctionTransformer(np.savetxt), home / "model.skops")
    with pytest.raises(ModelCorruptError, match="cannot load the native model"):
        ShallowClassifier.load(home)


def test_damaged_settings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(ModelCorruptError, match="cannot load the native model"):
        ShallowClassifier.load(tmp_path)


def test_a_forest_on_scaled_features_is_not_exported(tmp_path: Path) -> None:
    forest = fit(tmp_path, classifier="rf")
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(np.zeros((2, forest.extractor.n_features)))
    scaled = Pipeline([("scale", scaler), *forest.pipeline.steps])
    wrong = ShallowClassifier(forest.config, forest.classes, SIDE, scaled)
    with pytest.raises(ExportError, match="a forest must see its features as they are"):
        classifier_graph(wrong)


def test_some_feature_must_be_left() -> None:
    with pytest.raises(ConfigError, match="at least one of hog, lbp, colour and texture"):
        ShallowConfig(hog=False, lbp=False, colour=False, texture=False)


def test_every_feature_can_stand_alone(tmp_path: Path) -> None:
    alone = {"hog": False, "lbp": False, "colour": False, "texture": False}
    for name in alone:
        (tmp_path / name).mkdir()
        classifier = fit(tmp_path / name, **{**alone, name: True})
        images = shapes(6, 4, seed=2).images
        native = classifier.predict_scores(images)
        scale = max(1, np.abs(native).max())
        np.testing.assert_allclose(run_graph(classifier, images), native, atol=5e-5 * scale)


def test_thresholds_are_rounded_down_to_float32() -> None:
    dice = np.random.default_rng(0)
    exact = dice.normal(size=10_000)
    low = round_down(exact)
    assert low.dtype == np.float32
    assert (low <= exact).all()
    assert (np.nextafter(low, np.float32(np.inf), dtype=np.float32) > exact).all()
    np.testing.assert_array_equal(round_down(np.array([0.5, -2.0])), np.float32([0.5, -2.0]))


@pytest.mark.parametrize("kind", ["coloured", "grey", "one coloured"])
def test_histograms_of_colour_are_for_pictures_that_have_any(tmp_path: Path, kind: str) -> None:
    train, validation = shapes(40, 4), shapes(12, 4, seed=1)
    if kind != "coloured":
        for data in (train, validation):
            data.images[:] = data.images.mean(axis=3, keepdims=True).astype(np.uint8)
    if kind == "one coloured":
        validation.images[-1, 0, 0, 0] ^= 1
    classifier = ShallowTrainer(ShallowConfig(c=10.0, flip=False)).fit(
        train, validation, Context(tmp_path)
    )
    assert classifier.config.colour_histogram == (kind != "grey")
    assert ("colour_2" in classifier.extractor.slices) == (kind != "grey")
    assert "thumbnail" in classifier.extractor.slices
    coloured = shapes(9, 4, seed=2).images
    np.testing.assert_allclose(
        run_graph(classifier, coloured), classifier.predict_scores(coloured), atol=1e-5
    )


def test_what_was_chosen_is_in_the_config(tmp_path: Path) -> None:
    asked = ShallowConfig()
    classifier = ShallowTrainer(asked).fit(shapes(40, 4), shapes(12, 4, seed=1), Context(tmp_path))
    chosen = classifier.config.to_dict()
    assert chosen["c"] == 10.0
    assert chosen["gamma"] in (0.5, 1.0, 2.0, 4.0)
    assert chosen["flip"] in (True, False)
    settled = {"c", "gamma", "flip", "shift", "colour_histogram"}
    assert all(chosen[name] is not None for name in settled)
    assert {k: v for k, v in chosen.items() if k not in settled} == {
        k: v for k, v in asked.to_dict().items() if k not in settled
    }


def test_moved_pictures_repeat_their_border() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    moved = changed(images, "down-left")
    np.testing.assert_array_equal(moved[:, 2:, :-2], images[:, :-2, 2:])
    np.testing.assert_array_equal(moved[:, 0, :-2], images[:, 0, 2:])
    np.testing.assert_array_equal(moved[:, 2:, -1], images[:, :-2, -1])
    back = changed(moved, "up-right")
    np.testing.assert_array_equal(back[:, 2:-2, 2:-2], images[:, 2:-2, 2:-2])


@pytest.mark.parametrize(
    ("options", "shifted"),
    [
        ({"classifier": "rf"}, True),
        ({"classifier": "rf", "shift": False}, False),
        ({"classifier": "svm"}, False),
        ({"classifier": "svm", "shift": True}, True),
        ({"classifier": "rf", "flip": False, "shift": True}, False),
    ],
)
def test_forests_of_few_pictures_learn_from_moved_ones(
    tmp_path: Path, options: dict[str, Any], shifted: bool
) -> None:
    classifier = fit(tmp_path, **{"flip": True, **options})
    assert classifier.config.shift == shifted
    assert (tmp_path / "train-up-left.npy").is_file() == shifted


@pytest.mark.parametrize(
    ("n", "n_classes", "shifted"),
    [(640, 10, True), (641, 10, False), (5000, 100, True), (5001, 100, False)],
)
def test_how_few_pictures(n: int, n_classes: int, shifted: bool) -> None:
    assert is_shifted(ShallowConfig(classifier="rf"), n, n_classes) == shifted
