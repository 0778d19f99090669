from __future__ import annotations

import dataclasses
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from eyevsai_core.report_history import curve_charts, grid_table, model_history
from eyevsai_core.run import Run

sys.path.insert(0, str(Path(__file__).parent))
from making import make_card


def epochs(count: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "step": step,
            "total": count,
            "metrics": {
                "train_loss": 2 / step,
                "validation_loss": 2.5 / step,
                "validation_accuracy": min(0.1 * step, 0.7),
                "learning_rate": 0.01,
                "seconds": 3.0,
                **more,
            },
        }
        for step in range(1, count + 1)
    ]


def candidate(accuracy: float, **options: Any) -> dict[str, Any]:
    metrics = {"validation_accuracy": accuracy, "seconds": 1.5, **options}
    return {"step": 1, "total": 3, "metrics": metrics}


def test_epochs_are_curves_by_kind() -> None:
    charts = curve_charts(epochs(10))
    titles = [chart.split("<title>")[1].split("<")[0] for chart in charts]
    assert titles == ["loss", "accuracy", "learning rate"]
    assert charts[0].count("<polyline") == 2


def test_the_best_epoch_is_the_first_of_the_best_accuracy() -> None:
    loss, accuracy, rate = curve_charts(epochs(10))
    assert "best 7" in loss
    assert "best 7" in accuracy
    assert "best" not in rate


def test_without_accuracy_the_least_loss_is_the_best() -> None:
    history = [
        {"step": k, "metrics": {"train_loss": 1.0, "validation_loss": abs(k - 3) + 0.5}}
        for k in range(1, 6)
    ]
    assert "best 3" in curve_charts(history)[0]


def test_a_single_epoch_and_one_that_diverged() -> None:
    assert "best" not in curve_charts(epochs(1))[0]
    history = [*epochs(4), {"step": 5, "metrics": {"train_loss": math.nan, "learning_rate": 0.01}}]
    assert "nan" not in "".join(curve_charts(history))
    lost = [{"step": 1, "metrics": {"train_loss": math.inf}}]
    assert curve_charts(lost) == []


def test_at_most_six_charts_and_nothing_that_is_no_number() -> None:
    more = {f"extra_{k}": float(k) for k in range(10)} | {"comment": "warm-up"}
    charts = curve_charts(epochs(3, **more))
    assert len(charts) == 6
    assert "warm-up" not in "".join(charts)


@pytest.mark.parametrize("history", [[], [{}], [{"metrics": None}], [{"metrics": {}}]])
def test_no_history_is_nothing_to_show(history: list[dict[str, Any]]) -> None:
    assert curve_charts(history) == []
    assert grid_table(history, 100) is None


def test_a_grid_is_a_table_the_best_first() -> None:
    history = [candidate(0.6, c=1.0), candidate(0.8, c=10.0, gamma=2.0), candidate(0.7, c=0.1)]
    table = grid_table(history, 50)
    assert curve_charts(history) == []
    assert table is not None
    assert [each["accuracy"] for each in table["rows"]] == [0.8, 0.7, 0.6]
    assert table["options"] == ["c", "gamma"]
    assert table["others"] == ["seconds"]
    assert table["hidden"] == 0
    # All bars share one scale, from the lowest end of an interval to the highest.
    assert "95 % interval 0.670 to 0.888" in table["rows"][0]["bar"]


def test_rows_without_a_number_are_no_candidates_and_notes_are_shown() -> None:
    history = [candidate(math.nan), {**candidate(0.5), "note": "default"}, {"metrics": {"c": 1}}]
    table = grid_table(history, 0)
    assert table is not None
    assert [each["accuracy"] for each in table["rows"]] == [0.5]
    assert table["others"] == ["seconds", "note"]
    assert "interval 0.500 to 0.500" in table["rows"][0]["bar"]


def test_of_a_hundred_candidates_the_best_sixty() -> None:
    table = grid_table([candidate(k / 100, c=float(k)) for k in range(100)], 50)
    assert table is not None
    assert (len(table["rows"]), table["hidden"]) == (60, 40)
    assert table["rows"][-1]["accuracy"] == 0.4


def test_the_history_of_a_model_is_that_of_its_run() -> None:
    card, other = make_card(), make_card(seed=1)
    assert model_history(card) == []
    for model in (other, card):
        run = Run.create(family="test", variant="colours", dataset="paint", config={})
        run.report(1, 2, {"train_loss": 1.5 if model is card else 9.0})
        run.remember("card_digest", model.digest)
    newer = Run.create(family="test", variant="colours", dataset="paint", config={})
    (newer.folder / "run.json").write_text("{")
    assert model_history(card) == run.history()
    registered = dataclasses.replace(card, ref="test/colours/paint@3", files={"model.onnx": "0"})
    assert model_history(registered) == run.history()
    assert model_history(make_card(seed=2)) == []
