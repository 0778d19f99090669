"""The contract of a model family, as a test suite to subclass.

    from eyevsai_core.testing import FamilyContract

    class TestMine(FamilyContract):
        family = "mine"

pytest then runs every promise below against each variant of the family, through the entry point
that the installed package declares: nothing is imported past it.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from eyevsai_core.classifier import OnnxClassifier
from eyevsai_core.errors import ConfigError, EyevsaiError
from eyevsai_core.families import get_family, list_families
from eyevsai_core.loading import load_model
from eyevsai_core.model_registry import ModelRegistry
from eyevsai_core.run import RunState, list_runs
from eyevsai_core.training import TrainedModel, resume_training, train_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from eyevsai_core.family import ModelFamily

__all__ = ["HEAVY_MODULES", "FamilyContract", "tiny_dataset", "tiny_pictures"]

HEAVY_MODULES = ("jax", "keras", "onnxruntime", "skimage", "sklearn", "tensorflow", "torch")
"""What a `plugin.py` must not import: `eyevsai list` would pay for it."""

_SIDE = 32
_WORDS = 4  # fewer explain nothing
_IMPORTER = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted(sys.modules)))
"""
_LOADER = """
import json, sys
import numpy as np
from eyevsai_core.families import get_family, list_families
from pathlib import Path
family, native, pixels, out = sys.argv[1:]
classifier = get_family(family).load_classifier(Path(native))
np.save(out, classifier.predict_scores(np.load(pixels)))
"""


def tiny_pictures(
    n: int, *, seed: int = 0, side: int = _SIDE
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Make `n` pictures, uint8 (n, side, side, 3), of two kinds, and their labels, int64 (n,).

    Label 0 is red horizontal stripes, 1 is green vertical stripes, both with noise: every
    family that sees shape, texture or colour can tell them apart.
    """
    dice = np.random.default_rng(seed)
    labels = np.arange(n, dtype=np.int64) % 2
    ramp = np.arange(side)
    pictures = dice.integers(0, 60, size=(n, side, side, 3), dtype=np.uint8)
    for picture, label in zip(pictures, labels, strict=True):
        stripes = ((ramp + dice.integers(8)) // 4 % 2 * 150).astype(np.uint8)
        picture[..., label] += stripes[:, None] if label == 0 else stripes[None, :]
    return pictures, labels


def tiny_dataset(root: Path, *, per_class: int = 8, side: int = _SIDE, seed: int = 0) -> Path:
    """Write a folder of two labels with `per_class` training pictures each; return `root`.

    ``train`` has `per_class` pictures a label; ``validation``, ``calibration`` and ``test``
    have four each.
    """
    splits = {"train": per_class, "validation": 4, "calibration": 4, "test": 4}
    for number, (split, each) in enumerate(splits.items()):
        pictures, labels = tiny_pictures(2 * each, seed=seed + 100 * number, side=side)
        for index, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
            folder = root / split / ("across", "down")[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / f"{index:03d}.png")
    return root


class FamilyContract:
    """Subclass it, set `family`, and pytest checks every promise of a model family.

    `options` may hold options that make training on 16 pictures quick (few epochs, few trees).
    """

    family: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}
    time_limit_s: ClassVar[float] = 20.0

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run what asks for `variant` once for each variant of the family."""
        if "variant" in metafunc.fixturenames:
            names = [variant.name for variant in get_family(self.family).variants]
            metafunc.parametrize("variant", names, scope="class")

    @pytest.fixture(scope="class")
    @classmethod
    def description(cls) -> ModelFamily:
        """The family's description, as the core finds it."""
        return get_family(cls.family)

    @pytest.fixture(scope="class")
    @classmethod
    def workshop(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
        """A folder with the tiny data set; models and caches go there too."""
        folder = tmp_path_factory.mktemp(f"contract-{cls.family}")
        homes = {"EYEVSAI_HOME": str(folder / "home"), "EYEVSAI_CACHE": str(folder / "cache")}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in homes.items():
                patch.setenv(name, value)
            tiny_dataset(folder / "data")
            yield folder

    @pytest.fixture(scope="class")
    @classmethod
    def trained(cls, variant: str, workshop: Path) -> TrainedModel:
        """A model of this variant, trained on the tiny data set through the whole library."""
        return cls.train(variant, workshop)

    @classmethod
    def train(cls, variant: str, workshop: Path) -> TrainedModel:
        """Train once; override to change how."""
        return train_model(
            f"{cls.family}/{variant}",
            workshop / "data",
            config={"image_size": _SIDE, **cls.options},
            registry=ModelRegistry(workshop / "models"),
        )

    # The description.

    def test_plugin_module_is_light(self) -> None:
        """Importing what the entry point names imports no framework."""
        package = {row.name: row.distribution for row in list_families()}.get(self.family)
        entries = importlib.metadata.entry_points(group="eyevsai")
        modules = [entry.module for entry in entries if entry.dist and entry.dist.name == package]
        # A family that a test registered by hand comes from no package.
        homes = modules or [get_family(self.family).make_trainer.__module__]
        found = subprocess.run(  # noqa: S603  our own interpreter and code
            [
                sys.executable,
                "-c",
                _IMPORTER,
                *homes,
            ],
            capture_output=True,
            check=True,
            text=True,
        )
        assert not set(json.loads(found.stdout)) & set(HEAVY_MODULES)

    def test_both_descriptions_are_there(self, description: ModelFamily) -> None:
        """Every variant explains itself to an engineer and to a child."""
        for variant in description.variants:
            assert len(variant.summary.split()) >= _WORDS
            assert len(variant.plain.split()) >= _WORDS
            assert variant.summary != variant.plain

    def test_every_option_explains_itself(self, description: ModelFamily) -> None:
        """`train FAMILY --help` has something to say about each option."""
        assert all(spec.help for spec in description.config.options())

    def test_unknown_option_is_refused_with_a_suggestion(self, description: ModelFamily) -> None:
        """A typing mistake names the option that was meant."""
        with pytest.raises(ConfigError, match="Did you mean 'image_size'"):
            description.make_config(image_sise=32)

    def test_out_of_range_option_is_refused_with_its_range(self, description: ModelFamily) -> None:
        """A value out of range is refused, whatever the option."""
        for spec in description.config.options():
            if spec.low is not None and not spec.choices:
                with pytest.raises(ConfigError, match=spec.name):
                    description.make_config(**{spec.name: spec.type(spec.low) - 1})

    # The trained model.

    def test_trains_in_time(self, trained: TrainedModel) -> None:
        """Sixteen small pictures take seconds on one core."""
        assert trained.card.duration_s < self.time_limit_s

    def test_beats_chance(self, trained: TrainedModel) -> None:
        """Stripes across and stripes down are told apart."""
        classifier = load_model(trained.path)
        images, labels = tiny_pictures(40, seed=999)
        right = classifier.predict_proba(images).argmax(axis=1) == labels
        assert right.mean() > 0.75  # noqa: PLR2004  chance is 0.5; 30 of 40 has p < 0.001

    def test_probabilities(self, trained: TrainedModel) -> None:
        """Shape, dtype, range and the order of columns."""
        classifier = load_model(trained.path)
        images, _ = tiny_pictures(10, seed=5)
        rows = classifier.predict_proba(images)
        assert rows.shape == (10, len(classifier.classes))
        assert rows.dtype == np.float32
        assert np.isfinite(rows).all()
        assert (rows >= 0).all()
        np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-5)
        answer = classifier.predict(images[0])
        assert list(answer) == list(classifier.classes)
        np.testing.assert_allclose(list(answer.values()), rows[0], atol=1e-5)

    def test_batch_equals_one_by_one(self, trained: TrainedModel) -> None:
        """No answer depends on its neighbours in the batch."""
        classifier = load_model(trained.path)
        images, _ = tiny_pictures(7, seed=6)
        single = np.concatenate([classifier.predict_proba(image[None]) for image in images])
        np.testing.assert_allclose(classifier.predict_proba(images), single, atol=1e-5)

    def test_empty_batch(self, trained: TrainedModel) -> None:
        """Nothing in, nothing out: shape (0, n_classes)."""
        classifier = load_model(trained.path)
        empty = np.zeros((0, _SIDE, _SIDE, 3), np.uint8)
        assert classifier.predict_proba(empty).shape == (0, len(classifier.classes))

    @pytest.mark.parametrize("shape", [(20, 50, 3), (97, 31, 3), (1, 1, 3)])
    def test_any_picture_size(self, trained: TrainedModel, shape: tuple[int, ...]) -> None:
        """The artefact resizes by itself."""
        row = load_model(trained.path).predict_proba(np.full((1, *shape), 99, np.uint8))
        np.testing.assert_allclose(row.sum(), 1, atol=1e-5)

    @pytest.mark.parametrize(
        "wrong",
        [np.zeros((32, 32, 3), np.float32), np.zeros((32, 32), np.uint8), np.zeros(3, np.uint8)],
        ids=["float", "grey", "flat"],
    )
    def test_wrong_arrays_are_refused(self, trained: TrainedModel, wrong: npt.NDArray[Any]) -> None:
        """Not uint8, or not three channels: an error that says what is expected."""
        with pytest.raises(EyevsaiError, match="uint8"):
            load_model(trained.path).predict(wrong)

    def test_same_seed_same_model(self, trained: TrainedModel, workshop: Path) -> None:
        """Training again with the same seed gives the same answers, bit for bit."""
        again = self.train(trained.card.variant, workshop)
        images, _ = tiny_pictures(20, seed=8)
        first = load_model(trained.path).predict_proba(images)
        np.testing.assert_array_equal(load_model(again.path).predict_proba(images), first)
        assert again.ref != trained.ref

    def test_interrupted_and_resumed_it_ends_the_same(
        self, trained: TrainedModel, workshop: Path
    ) -> None:
        """Stopped at its first report and gone on with, it gives the same answers, bit for bit."""

        def stop(stage: str, done: float, *_: Any) -> None:
            if stage == "fit" and done >= 1:
                raise KeyboardInterrupt

        asked = {"image_size": _SIDE, **self.options}
        name = f"{self.family}/{trained.card.variant}"
        models = ModelRegistry(workshop / "models")
        with suppress(KeyboardInterrupt):
            train_model(name, workshop / "data", config=asked, registry=models, progress=stop)
        run = list_runs()[-1]
        again = resume_training(run) if run.state is not RunState.OK else trained
        images, _ = tiny_pictures(20, seed=8)
        expected = load_model(trained.path).predict_proba(images)
        np.testing.assert_array_equal(load_model(again.path).predict_proba(images), expected)

    def test_it_continues_from_a_model(
        self, trained: TrainedModel, description: ModelFamily, workshop: Path
    ) -> None:
        """A family that says so begins with a registered model; another one refuses it."""
        models = ModelRegistry(workshop / "models")
        asked: dict[str, Any] = {"config": {"image_size": _SIDE, **self.options}}
        name = f"{self.family}/{trained.card.variant}"
        if not description.continues:
            with pytest.raises(ConfigError, match="cannot continue from a model"):
                train_model(name, workshop / "data", registry=models, start=trained.ref, **asked)
            return
        after = train_model(name, workshop / "data", registry=models, start=trained.ref, **asked)
        assert after.card.started_from["ref"] == trained.ref
        images, labels = tiny_pictures(40, seed=999)
        right = load_model(after.path).predict_proba(images).argmax(axis=1) == labels
        assert right.mean() > 0.75  # noqa: PLR2004  as above

    def test_native_model_survives_a_fresh_process(
        self, trained: TrainedModel, description: ModelFamily, tmp_path: Path
    ) -> None:
        """Saved natively and loaded elsewhere, the model gives the same scores."""
        images, _ = tiny_pictures(6, seed=9)
        native = trained.path / "native"
        here = description.load_classifier(native).predict_scores(images)
        np.save(tmp_path / "pixels.npy", images)
        arguments = [self.family, str(native), "pixels.npy", "scores.npy"]
        subprocess.run(  # noqa: S603  our own interpreter and code
            [sys.executable, "-c", _LOADER, *arguments], check=True, cwd=tmp_path
        )
        np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), here, atol=1e-5)

    def test_artefact_is_one_file(self, trained: TrainedModel) -> None:
        """Moved away from everything else, `model.onnx` answers the same."""
        images, _ = tiny_pictures(6, seed=10)
        alone = OnnxClassifier.from_bytes((trained.path / "model.onnx").read_bytes())
        expected = load_model(trained.path).predict_proba(images)
        np.testing.assert_array_equal(alone.predict_proba(images), expected)

    def test_parity_is_in_the_card(self, trained: TrainedModel, description: ModelFamily) -> None:
        """The card states how closely the artefact follows the native model."""
        parity = trained.card.parity
        assert parity["largest_difference"] <= description.parity_tolerance
        assert parity["pictures"] > 0
        assert parity["odd_files"] > 0

    def test_nothing_is_pickled(self, trained: TrainedModel) -> None:
        """No file of a model is a pickle, by name or by its first bytes."""
        for path in trained.path.rglob("*"):
            assert path.suffix not in {".pkl", ".pickle", ".joblib", ".pt", ".pth"}
            if path.is_file():
                assert not path.read_bytes()[:2].startswith((b"\x80\x04", b"\x80\x05"))

    def test_writes_only_where_told(
        self, variant: str, workshop: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Training leaves nothing in the working folder or in the home folder."""
        with tempfile.TemporaryDirectory() as elsewhere:
            here, home = Path(elsewhere, "here"), Path(elsewhere, "home")
            here.mkdir()
            home.mkdir()
            monkeypatch.chdir(here)
            monkeypatch.setenv("HOME", str(home))
            self.train(variant, workshop)
            assert not os.listdir(here)  # noqa: PTH208  one call for two kinds of entry
            assert not os.listdir(home)  # noqa: PTH208
