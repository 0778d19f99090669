from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from making import CLASSES, colour_artefact, make_card, one_colour
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors
from PIL import Image

from eyevsai_core.classifier import OnnxClassifier, _memory_is_bounded
from eyevsai_core.errors import ImageError, ModelCorruptError, ModelNotFoundError
from eyevsai_core.loading import load_model

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def model() -> OnnxClassifier:
    return OnnxClassifier.from_bytes(colour_artefact(test_accuracy="0.5").SerializeToString())


def test_predict_names_every_label_in_order(model: OnnxClassifier) -> None:
    answer = model.predict(one_colour(1))
    assert list(answer) == list(CLASSES)
    assert max(answer, key=answer.__getitem__) == "green"
    assert sum(answer.values()) == pytest.approx(1, abs=1e-6)
    assert all(type(p) is float for p in answer.values())


def test_whatever_a_picture_comes_as_it_gets_the_same_answer(
    model: OnnxClassifier, tmp_path: Path
) -> None:
    image = one_colour(0)
    path = tmp_path / "red.png"
    Image.fromarray(image).save(path)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    for given in (path, str(path), buffer.getvalue(), Image.fromarray(image)):
        assert model.predict(given) == model.predict(image)


def test_mixed_sizes_are_answered_in_order(model: OnnxClassifier) -> None:
    images = [one_colour(k % 3, 4 + k % 5, 7) for k in range(80)]
    rows = model.predict_proba(images)
    assert rows.shape == (80, 3)
    np.testing.assert_array_equal(rows.argmax(axis=1), np.arange(80) % 3)
    assert [max(a, key=a.__getitem__) for a in model.predict_batch(images[:3])] == list(CLASSES)


def test_large_batches_are_answered_in_pieces(model: OnnxClassifier) -> None:
    batch = np.stack([one_colour(k % 3) for k in range(75)])
    whole = model.predict_proba(batch)
    single = np.concatenate([model.predict_proba(image[None]) for image in batch])
    np.testing.assert_allclose(whole, single, atol=1e-6)
    np.testing.assert_array_equal(model.predict_proba(batch[::-1])[0], whole[-1])


def test_nothing_in_nothing_out(model: OnnxClassifier) -> None:
    assert model.predict_proba([]).shape == (0, 3)
    assert model.predict_proba(np.zeros((0, 8, 8, 3), np.uint8)).shape == (0, 3)
    assert model.predict_batch([]) == []


@pytest.mark.parametrize(
    "wrong",
    [
        one_colour(0),
        np.zeros((2, 8, 8, 3)),
        np.zeros((2, 8, 8), np.uint8),
        np.zeros((2, 8, 8, 4), np.uint8),
        np.zeros((1, 0, 8, 3), np.uint8),
        "picture.png",
        b"bytes",
        [one_colour(0).astype(float)],
    ],
)
def test_wrong_batches_are_refused(wrong: Any, model: OnnxClassifier) -> None:
    with pytest.raises(ImageError):
        model.predict_proba(wrong)


def test_one_model_serves_many_threads(model: OnnxClassifier) -> None:
    with ThreadPoolExecutor(8) as pool:
        labels = list(pool.map(lambda k: model.prediction(one_colour(k % 3)).label, range(60)))
    assert labels == [CLASSES[k % 3] for k in range(60)]


def test_it_says_what_it_is(model: OnnxClassifier) -> None:
    assert model.classes == CLASSES
    assert model.classes_.tolist() == list(CLASSES)
    assert model.image_size == 8
    assert model.name == "test/colours"
    assert repr(model) == "OnnxClassifier('test/colours', 3 classes, 8 px)"
    assert "50.0%" in model._repr_html_()
    metadata = model.get_metadata()
    assert metadata["classes"] == list(CLASSES)
    assert metadata["artefact"]["calibration"] == "none"


def test_with_a_card_it_is_named_by_its_reference() -> None:
    card = make_card(ref="test/colours/paint@1")
    model = OnnxClassifier.from_bytes(colour_artefact().SerializeToString(), card=card, threads=1)
    assert model.name == "test/colours/paint@1"
    assert model.get_metadata()["plain"] == card.plain


def test_a_prediction_shows_itself(model: OnnxClassifier) -> None:
    prediction = model.prediction(one_colour(0))
    assert prediction.label == "red"
    assert prediction.confidence == prediction.probabilities["red"]
    assert prediction.top(2)[0][0] == "red"
    assert "<table>" in prediction._repr_html_()


def test_a_graph_that_only_the_runtime_can_refuse_is_a_corrupt_model() -> None:
    broken = colour_artefact()
    broken.graph.initializer[1].data_type = 7  # int64: the bytes no longer fit
    broken.graph.initializer[1].raw_data = b"\0" * 24
    with pytest.raises(ModelCorruptError, match="onnxruntime cannot load"):
        OnnxClassifier.from_bytes(broken.SerializeToString())


def test_a_lone_file_loads(tmp_path: Path) -> None:
    path = tmp_path / "moved.onnx"
    path.write_bytes(colour_artefact().SerializeToString())
    assert load_model(path).prediction(one_colour(2)).label == "blue"
    with pytest.raises(ModelNotFoundError, match="cannot read"):
        OnnxClassifier.from_file(tmp_path / "none.onnx")


def test_pictures_are_taken_when_they_are_due(
    model: OnnxClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    ran: list[tuple[int, int]] = []
    run = OnnxClassifier._run

    def watched(self: OnnxClassifier, pixels: np.ndarray) -> np.ndarray:
        ran.append((len(taken), len(pixels)))
        return run(self, pixels)

    monkeypatch.setattr(OnnxClassifier, "_run", watched)
    pictures = (taken.append(k) or one_colour(k % 3) for k in range(100))
    rows = model.predict_proba(pictures)
    np.testing.assert_array_equal(rows.argmax(axis=1), np.arange(100) % 3)
    assert ran == [(33, 32), (65, 32), (97, 32), (100, 4)]


def test_the_larger_the_pictures_the_fewer_at_once(
    model: OnnxClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eyevsai_core.classifier._BATCH_PIXELS", 100)
    sizes: list[int] = []
    run = OnnxClassifier._run

    def watched(self: OnnxClassifier, pixels: np.ndarray) -> np.ndarray:
        sizes.append(len(pixels))
        return run(self, pixels)

    monkeypatch.setattr(OnnxClassifier, "_run", watched)
    batch = np.stack([one_colour(k % 3, 5, 9) for k in range(5)])
    whole = model.predict_proba(batch)
    assert sizes == [2, 2, 1]
    np.testing.assert_array_equal(model.predict_proba(list(batch)), whole)
    assert sizes == [2, 2, 1] * 2
    model.predict_proba([one_colour(0, 50, 90)])
    assert sizes[-1] == 1, "one picture is always run, however large"


def test_strides_and_read_only_arrays_do_no_harm(model: OnnxClassifier) -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 10, 3), np.uint8)
    usual = model.predict(image.copy())
    image.flags.writeable = False
    assert model.predict(image) == usual
    for view in (image[::-1], image[:, ::-1], image.transpose(1, 0, 2), np.asfortranarray(image)):
        assert model.predict(view) == model.predict(np.ascontiguousarray(view))


def test_it_cannot_be_changed() -> None:
    card = make_card()
    model = OnnxClassifier.from_bytes(colour_artefact().SerializeToString(), card=card)
    assert model.card is card
    for name in ("card", "classes", "image_size"):
        with pytest.raises(AttributeError):
            setattr(model, name, None)


def test_a_notebook_shows_what_is_there_as_text() -> None:
    strange = colour_artefact(test_accuracy="<b>", variant="<script>")
    html = OnnxClassifier.from_bytes(strange.SerializeToString())._repr_html_()
    assert "<script>" not in html
    assert "accuracy" not in html


def test_without_an_arena_of_our_own_a_model_still_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*given: object) -> None:
        raise ort_errors.InvalidArgument("there is one already")

    monkeypatch.setattr("onnxruntime.create_and_register_allocator", refuse)
    monkeypatch.setattr(
        "eyevsai_core.classifier._memory_is_bounded", _memory_is_bounded.__wrapped__
    )
    model = OnnxClassifier.from_bytes(colour_artefact().SerializeToString())
    assert model.prediction(one_colour(1)).label == "green"
