"""The report: one HTML file, without network or script, that says how good a model is."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from PIL import Image

from eyevsai_core.charts import confusion_chart, line_chart, reliability_chart
from eyevsai_core.metrics import reliability_bins

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from eyevsai_core.card import ModelCard
    from eyevsai_core.evaluation import Evaluation

__all__ = ["METRIC_NAMES", "render_report"]

METRIC_NAMES = {
    "accuracy": ("accuracy", "share of right answers"),
    "top_5_accuracy": ("top-5 accuracy", "the right label is among the best five"),
    "balanced_accuracy": ("balanced accuracy", "mean recall of the classes"),
    "macro_f1": ("macro F1", "mean F1 of the classes"),
    "log_loss": ("log loss", "nats; lower is better"),
    "brier": ("Brier score", "0 to 2; lower is better"),
    "ece": ("calibration error", "mean gap of confidence and accuracy, 15 bins"),
}
_THUMB = 112
_SHOWN = 24
_PAIRS = 12
_CURVES = {
    "Loss": ("train_loss", "validation_loss"),
    "Accuracy": ("train_accuracy", "validation_accuracy"),
    "Learning rate": ("learning_rate",),
}


def render_report(
    *,
    card: ModelCard,
    evaluation: Evaluation,
    history: Sequence[dict[str, Any]],
    pixels: npt.NDArray[np.uint8],
    command: str = "",
) -> str:
    """Return the page.

    `pixels` are the evaluated pictures, uint8 (n, size, size, 3), in the evaluation's order;
    `history` the reported steps of the run. Every text is escaped: class names are data.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    right = np.flatnonzero(evaluation.predicted == evaluation.labels)
    some_right = np.random.default_rng(0).permutation(right)[: _SHOWN // 2]
    curves = _curves(history)
    return environment.get_template("report.html.j2").render(
        card=card,
        title=card.ref or f"{card.family}/{card.variant} on {card.dataset['name']}",
        metrics=[(*METRIC_NAMES[k], v) for k, v in evaluation.metrics.items() if k in METRIC_NAMES],
        evaluation=evaluation,
        n=len(evaluation.labels),
        curves=curves,
        grid=[] if curves else _grid(history),
        confusion=_Safe(confusion_chart(evaluation.confusion, evaluation.classes)),
        pairs=_confused_pairs(evaluation),
        reliability=_Safe(
            reliability_chart(reliability_bins(evaluation.probabilities, evaluation.labels))
        ),
        mistakes=[_shown(evaluation, pixels, i) for i in evaluation.mistakes(_SHOWN)],
        right=[_shown(evaluation, pixels, int(i)) for i in some_right],
        command=command,
    )


class _Safe(str):
    """SVG of our own, whose texts are escaped already."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


def _shown(evaluation: Evaluation, pixels: npt.NDArray[np.uint8], i: int) -> dict[str, Any]:
    """Describe one picture; as PNG of its own pixels, enlarged so that small ones can be seen."""
    picture = Image.fromarray(np.asarray(pixels[i]))
    if picture.width > _THUMB:
        picture = picture.resize((_THUMB, _THUMB), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return {
        "src": "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode(),
        "truth": evaluation.classes[evaluation.labels[i]],
        "answer": evaluation.classes[evaluation.predicted[i]],
        "confidence": float(evaluation.probabilities[i].max()),
        "file": Path(evaluation.paths[i]).name,
    }


def _confused_pairs(evaluation: Evaluation) -> list[tuple[str, str, int, int]]:
    """List (truth, answer, count, of) of the classes that are most often mixed up."""
    wrong = evaluation.confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_PAIRS]
    pairs = [np.unravel_index(k, wrong.shape) for k in order]
    return [
        (
            evaluation.classes[i],
            evaluation.classes[j],
            int(wrong[i, j]),
            int(evaluation.confusion[i].sum()),
        )
        for i, j in pairs
        if wrong[i, j] > 0
    ]


def _curves(history: Sequence[dict[str, Any]]) -> list[_Safe]:
    """Draw the learning curves of a run that reported epochs."""
    charts = []
    for title, names in _CURVES.items():
        lines = {
            name: [(row["step"], row["metrics"][name]) for row in history if name in row["metrics"]]
            for name in names
        }
        lines = {name: line for name, line in lines.items() if line}
        if "train_loss" in (history[0]["metrics"] if history else {}) and lines:
            charts.append(_Safe(line_chart(title, lines)))
    return charts


def _grid(history: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the tried candidates of a run that searched a grid, the best first."""
    rows = [dict(row["metrics"]) for row in history if "validation_accuracy" in row["metrics"]]
    return sorted(rows, key=lambda row: -row["validation_accuracy"])
