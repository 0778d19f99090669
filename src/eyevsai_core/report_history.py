"""A run's history as people read it: learning curves of epochs, or the table of a grid.

Which of the two is seen by the keys: epochs report ``train_loss`` or ``learning_rate``, candidates
of a grid their ``validation_accuracy`` beside the options they were fitted with.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from eyevsai_core.charts import interval_bar, line_chart
from eyevsai_core.errors import RunError
from eyevsai_core.metrics import wilson_interval
from eyevsai_core.run import list_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eyevsai_core.card import ModelCard

    History = Sequence[dict[str, Any]]
    Lines = dict[str, list[tuple[float, float]]]

__all__ = ["curve_charts", "grid_table", "model_history"]

_CANDIDATES = 60
_CHARTS = 6
_EPOCH_KEYS = {"train_loss", "learning_rate", "epoch"}
_HIDDEN_KEYS = {"elapsed_s", "epoch", "seconds"}
_MEASURED = ("validation_", "train_", "seconds", "note")


def model_history(card: ModelCard) -> History:
    """Return what the run reported that made a model; nothing, when it is not on this machine."""
    for run in reversed(list_runs()):
        with suppress(RunError):  # a damaged run is nobody's
            if run.info.get("card_digest") == card.digest:
                return run.history()
    return []


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    metrics = row.get("metrics")
    return metrics if isinstance(metrics, dict) else {}


def curve_charts(history: History) -> list[str]:
    """Draw the learning curves of a run that reported epochs: one chart a kind of number."""
    if not any(_EPOCH_KEYS & _numbers(row).keys() for row in history):
        return []
    groups: dict[str, Lines] = {}
    for row in history:
        for name, value in _numbers(row).items():
            if name in _HIDDEN_KEYS or not isinstance(value, int | float):
                continue
            kind = next((k for k in ("loss", "accuracy") if name.endswith(k)), name)
            line = groups.setdefault(kind, {}).setdefault(name, [])
            line.append((float(row.get("step", len(line) + 1)), float(value)))
    best = _best_step(groups)
    order = sorted(groups, key=lambda kind: (kind != "loss", kind != "accuracy"))[:_CHARTS]
    charts = [
        line_chart(
            kind.replace("_", " "),
            groups[kind],
            mark=best if kind in ("loss", "accuracy") else None,
        )
        for kind in order
    ]
    return [chart for chart in charts if chart]


def _best_step(groups: dict[str, Lines]) -> float | None:
    """Return the epoch of the best validation accuracy, or else of the least validation loss."""
    for kind, sign in (("accuracy", -1), ("loss", 1)):
        line = groups.get(kind, {}).get(f"validation_{kind}", [])
        finite = [(sign * y, x) for x, y in line if math.isfinite(y)]
        if len(finite) > 1:
            return min(finite)[1]
    return None


def grid_table(history: History, n_validation: int) -> dict[str, Any] | None:
    """Return the tried candidates of a run that searched a grid, the best first."""
    found = [
        {**_numbers(row), **({"note": row["note"]} if row.get("note") else {})}
        for row in history
        if math.isfinite(_numbers(row).get("validation_accuracy", math.nan))
    ]
    if not found:
        return None
    found.sort(key=lambda row: -row["validation_accuracy"])
    names = list(dict.fromkeys(name for row in found for name in row))
    options = [name for name in names if not name.startswith(_MEASURED)]
    others = [n for n in names if n.startswith(_MEASURED) and n != "validation_accuracy"]
    intervals = [
        wilson_interval(round(row["validation_accuracy"] * n_validation), n_validation)
        for row in found
    ]
    ends = [(i.low, i.high) for i in intervals if i.n] or [(0.0, 1.0)]
    span = min(low for low, _ in ends), max(high for _, high in ends)
    rows = []
    for row, interval in zip(found, intervals, strict=True):
        value = row["validation_accuracy"]
        low, high = (interval.low, interval.high) if interval.n else (value, value)
        bar = interval_bar(value, min(low, value), max(high, value), span=span)
        rows.append({"row": row, "accuracy": value, "bar": bar})
    return {
        "options": options,
        "others": others,
        "rows": rows[:_CANDIDATES],
        "hidden": max(len(rows) - _CANDIDATES, 0),
        "n": n_validation,
    }
