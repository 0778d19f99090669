"""The contract of a family: it passes a sound one, and finds what is wrong with another."""

from __future__ import annotations

import dataclasses
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import mean_family
import pytest
from making import register

from eyevsai_core import families, testing
from eyevsai_core.config import TrainConfig, option
from eyevsai_core.families import FamilyInfo
from eyevsai_core.model_registry import ModelRegistry
from eyevsai_core.testing import FamilyContract, tiny_dataset, tiny_pictures

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from eyevsai_core.family import ModelFamily

HERE = Path(__file__).parent
PLUGIN = """
from mean_family import FAMILY
from eyevsai_core.hookspecs import hookimpl

@hookimpl
def eyevsai_model_families():
    return [FAMILY]
"""


@contextmanager
def installed(family: ModelFamily = mean_family.FAMILY) -> Iterator[None]:
    """Let this process find one family only."""
    row = FamilyInfo(name=family.name, status="ready", distribution="fake", family=family)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(families, "list_families", lambda: (row,))
        yield


@pytest.fixture(scope="module", autouse=True)
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let other processes find it too, through an entry point."""
    place = tmp_path_factory.mktemp("site")
    (place / "mean_plugin.py").write_text(PLUGIN)
    info = place / "fake_mean-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-mean\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[eyevsai]\nmean = mean_plugin\n")
    known = [str(place), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    with installed(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(known))
        yield


class TestMean(FamilyContract):
    family = "mean"

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        with installed():
            super().pytest_generate_tests(metafunc)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent(TrainConfig):
    """Has an option that says nothing of itself."""

    rate: float = option(0.1, help="", low=0)


def described(**changes: Any) -> ModelFamily:
    """Return the family with another description of its variant."""
    (plain,) = mean_family.FAMILY.variants
    variants = (dataclasses.replace(plain, **changes),)
    return dataclasses.replace(mean_family.FAMILY, variants=variants)


@pytest.fixture
def trained(tmp_path: Path) -> SimpleNamespace:
    """What training returns, as far as the contract looks at it."""
    registry = ModelRegistry(tmp_path / "models")
    ref = register(registry)
    return SimpleNamespace(ref=ref, path=registry.path(ref), card=registry.card(ref))


class TestWhatItFinds:
    """Each promise, broken."""

    contract = TestMean()

    def test_a_plugin_that_imports_a_framework(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(testing, "HEAVY_MODULES", ("onnx",))
        with pytest.raises(AssertionError):
            self.contract.test_plugin_module_is_light()

    @pytest.mark.parametrize(
        "changes",
        [
            {"summary": "too few words"},
            {"plain": "Means."},
            dict.fromkeys(("summary", "plain"), "a b c d"),
        ],
    )
    def test_a_description_that_says_nothing(self, changes: dict[str, str]) -> None:
        with pytest.raises(AssertionError):
            self.contract.test_both_descriptions_are_there(described(**changes))

    def test_an_option_that_says_nothing(self) -> None:
        family = dataclasses.replace(mean_family.FAMILY, config=Silent)
        with pytest.raises(AssertionError):
            self.contract.test_every_option_explains_itself(family)

    def test_options_that_take_anything(self) -> None:
        careless: Any = SimpleNamespace(config=Silent, make_config=lambda **_: Silent())
        with pytest.raises(pytest.fail.Exception):
            self.contract.test_unknown_option_is_refused_with_a_suggestion(careless)
        with pytest.raises(pytest.fail.Exception):
            self.contract.test_out_of_range_option_is_refused_with_its_range(careless)

    def test_slow_training(self, trained: Any) -> None:
        self.contract.test_trains_in_time(trained)
        trained.card = dataclasses.replace(trained.card, duration_s=20.1)
        with pytest.raises(AssertionError):
            self.contract.test_trains_in_time(trained)

    def test_a_model_that_guesses(self, trained: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.contract.test_beats_chance(trained)
        monkeypatch.setattr(testing, "tiny_pictures", swapped)
        with pytest.raises(AssertionError):
            self.contract.test_beats_chance(trained)

    def test_another_model_from_the_same_seed(self, trained: Any, tmp_path: Path) -> None:
        class Changing(FamilyContract):
            family = "mean"

            @classmethod
            def train(cls, variant: str, workshop: Path) -> Any:
                return SimpleNamespace(ref="other", path=mean_model(workshop))

        with pytest.raises(AssertionError):
            Changing().test_same_seed_same_model(trained, tmp_path / "workshop")

    def test_parity_beyond_the_tolerance(self, trained: Any) -> None:
        self.contract.test_parity_is_in_the_card(trained, mean_family.FAMILY)
        trained.card.parity["largest_difference"] = 0.01
        with pytest.raises(AssertionError):
            self.contract.test_parity_is_in_the_card(trained, mean_family.FAMILY)

    @pytest.mark.parametrize(
        ("name", "content"), [("a.joblib", b""), ("a.bin", b"\x80\x04"), ("a.bin", b"\x80\x05.")]
    )
    def test_a_pickle(self, trained: Any, name: str, content: bytes) -> None:
        self.contract.test_nothing_is_pickled(trained)
        (trained.path / "native" / name).write_bytes(content)
        with pytest.raises(AssertionError):
            self.contract.test_nothing_is_pickled(trained)

    @pytest.mark.parametrize("place", ["cwd", "home"])
    def test_something_written_elsewhere(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
    ) -> None:
        class Littering(FamilyContract):
            family = "mean"

            @classmethod
            def train(cls, variant: str, workshop: Path) -> Any:
                (getattr(Path, place)() / "litter").touch()

        with pytest.raises(AssertionError):
            Littering().test_writes_only_where_told("plain", tmp_path, monkeypatch)


def swapped(n: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    pictures, labels = tiny_pictures(n, seed=seed)
    return pictures, 1 - labels


def mean_model(folder: Path) -> Path:
    """Train the family once more, below `folder`."""
    tiny_dataset(folder / "data")
    return TestMean.train("plain", folder).path
