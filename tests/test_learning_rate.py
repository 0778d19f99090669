from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import numpy as np
import pytest
from mean_family import FAMILY  # type: ignore[import-not-found]

from eyevsai_core import families, learning_rate
from eyevsai_core.errors import ConfigError, RunError
from eyevsai_core.families import FamilyInfo
from eyevsai_core.learning_rate import LearningRateCurve, find_learning_rate
from eyevsai_core.model_registry import ModelRegistry
from eyevsai_core.plots import learning_rate_png, plot_learning_rate
from eyevsai_core.run import list_runs
from eyevsai_core.testing import tiny_dataset

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def family(monkeypatch: pytest.MonkeyPatch) -> None:
    others = (FAMILY, dataclasses.replace(FAMILY, name="rateless", find_learning_rate=None))
    rows = tuple(
        FamilyInfo(name=each.name, status="ready", distribution="eyevsai-core", family=each)
        for each in others
    )
    monkeypatch.setattr(families, "list_families", lambda: rows)
    monkeypatch.setattr(learning_rate, "list_families", lambda: rows)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tiny_dataset(tmp_path / "tiny")


def curve() -> LearningRateCurve:
    rates = 10.0 ** np.linspace(-5, 1, 25)
    x = np.log10(rates)
    return LearningRateCurve(rates, 1 / (1 + np.exp(4 * (x + 2))) + np.where(x > 0, x, 0))


def test_a_curve_is_found_and_nothing_is_kept(data: Path) -> None:
    told: list[str] = []
    found = find_learning_rate("mean", data, progress=lambda stage, *_: told.append(stage))
    assert found.steepest == pytest.approx(0.01)
    assert found.minimum_tenth == pytest.approx(0.1, rel=0.5)
    assert set(told) == {"decode", "fit"}
    assert list_runs() == []
    assert ModelRegistry().list_models() == []


def test_the_suggestion_lies_between() -> None:
    found = curve()
    assert found.steepest == pytest.approx(0.01)
    assert found.steepest <= found.suggestion <= found.minimum_tenth
    assert found.suggestion == float(f"{found.suggestion:.1e}")


def test_a_curve_that_only_rises_has_its_first_rates() -> None:
    rates = 10.0 ** np.linspace(-5, 1, 10)
    found = LearningRateCurve(rates, np.arange(10.0))
    assert found.minimum_tenth == pytest.approx(1e-6)
    assert found.steepest in rates[:3]


def test_a_family_without_one_names_those_that_have_it(data: Path) -> None:
    with pytest.raises(ConfigError, match=r"'rateless' has no learning rate to find; .*: mean$"):
        find_learning_rate("rateless", data)


def test_several_processes_are_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="found in one process; start it without torchrun"):
        find_learning_rate("mean", data)


def test_divergence_at_once_is_an_error(data: Path) -> None:
    with pytest.raises(RunError, match="diverged after 4 steps"):
        find_learning_rate("mean", data, config={"fail": "error"})


def test_the_drawing_is_a_file_of_its_own() -> None:
    root = ET.fromstring(curve().to_svg())  # noqa: S314  our own
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "learning rate" in texts
    assert "0.001" in texts
    assert f"{curve().suggestion:.2g}" in texts


def test_the_points_as_a_table() -> None:
    lines = curve().to_csv().splitlines()
    assert lines[0] == "learning_rate,loss"
    assert len(lines) == 26
    assert lines[1].startswith("1e-05,")


def test_a_plot_for_notebooks_and_files() -> None:
    assert learning_rate_png(curve()).startswith(b"\x89PNG")
    axes = plot_learning_rate(curve())
    assert axes.get_xscale() == "log"
