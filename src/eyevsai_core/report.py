"""The report: one HTML file, without network or script, that says how good a model is."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from PIL import Image

from eyevsai_core.charts import confusion_chart, interval_bar, reliability_chart, shorten
from eyevsai_core.errors import ImageError
from eyevsai_core.images import decode_image, picture_info
from eyevsai_core.metrics import reliability_bins, selective_accuracy
from eyevsai_core.report_card import calibration_text, card_facts, percent, plain, split_count
from eyevsai_core.report_history import curve_charts, grid_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from eyevsai_core.card import ModelCard
    from eyevsai_core.evaluation import Evaluation

    History = Sequence[dict[str, Any]]

__all__ = ["METRIC_NAMES", "render_report"]

METRIC_NAMES = {
    "accuracy": ("accuracy", "share of right answers"),
    "top_5_accuracy": ("top-5 accuracy", "the right label is among the best five"),
    "balanced_accuracy": ("balanced accuracy", "mean recall of the classes"),
    "macro_f1": ("macro F1", "mean F1 of the classes present"),
    "log_loss": ("log loss", "nats; lower is better"),
    "brier": ("Brier score", "0 to 2; lower is better"),
    "ece": ("calibration error", "mean gap of confidence and accuracy, 15 bins"),
}
_NO_SHARE = ("log_loss", "brier")
_THUMB = 176
_HERO = 360.0  # width of the first metric's bar
_LARGEST_PICTURE = 20_000_000  # pixels; above it the cached small picture is quicker to show
_QUALITY = 86
_SHOWN, _SHOWN_RIGHT = 24, 12
_PAIRS = 12
_LONGEST_LABEL = 48
_LISTED_CLASSES = 30  # up to this many are all listed at once; else the weakest of them
_WEAKEST = 12
_HONEST = 0.02


def render_report(
    *,
    card: ModelCard,
    evaluation: Evaluation,
    history: History,
    pixels: npt.NDArray[np.uint8],
    command: str = "",
) -> str:
    """Return the page.

    `pixels` are the evaluated pictures, uint8 (n, size, size, 3), in the evaluation's order: they
    are shown where the original files are gone. `history` holds the reported steps of the run,
    each ``{"step", "total", "metrics"}``. Every text is escaped: class names are data.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"percent": percent, "plain": plain, "shorten": _shorten}
    right = np.flatnonzero(evaluation.predicted == evaluation.labels)
    some_right = np.random.default_rng(0).permutation(right)[:_SHOWN_RIGHT]
    bins = reliability_bins(evaluation.probabilities, evaluation.labels)
    curves = curve_charts(history)
    page = environment.get_template("report.html.j2").render(
        card=card,
        title=card.ref or f"{card.family}/{card.variant} on {card.dataset.get('name', '?')}",
        evaluation=evaluation,
        n=len(evaluation.labels),
        n_right=len(right),
        origin=_origin(card, evaluation),
        tiles=_tiles(evaluation),
        findings=_findings(evaluation),
        curves=curves,
        grid=None if curves else grid_table(history, split_count(card, "validation")),
        confusion=confusion_chart(evaluation.confusion, evaluation.classes),
        pairs=_confused_pairs(evaluation),
        reliability=reliability_chart(bins),
        selective=selective_accuracy(evaluation.probabilities, evaluation.labels),
        calibration=calibration_text(card),
        rows=_class_rows(evaluation),
        listed=len(evaluation.classes) if len(evaluation.classes) <= _LISTED_CLASSES else _WEAKEST,
        mistakes=[_shown(evaluation, pixels, i) for i in evaluation.mistakes(_SHOWN)],
        right=[_shown(evaluation, pixels, int(i)) for i in some_right],
        facts=card_facts(card),
        command=command,
        attribution=card.dataset.get("attribution") or "",
        version=card.versions.get("eyevsai-core", ""),
    )
    # A folder's name may hold bytes that are no UTF-8; a page cannot.
    return page.encode(errors="replace").decode()


def _shorten(label: str) -> str:
    """Cut a class's name of 300 letters to what a table bears."""
    return shorten(label, _LONGEST_LABEL)


def _origin(card: ModelCard, evaluation: Evaluation) -> str:
    """Say how far the figures can be trusted: whether the model knew the pictures."""
    own = evaluation.dataset == card.dataset.get("name")
    if evaluation.split == "test":
        return "that the model never learned from" if own else "of a data set of its own"
    if not own:
        return "of a data set of its own"
    known = {
        "train": "that the model learned from: these figures flatter it",
        "validation": "by which the model's options were chosen: these figures may flatter it",
        "calibration": "by which its confidence was set",
    }
    return known.get(evaluation.split, "among them those that it learned from: figures flatter it")


def _tiles(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Describe the headline numbers; the first is the page's largest."""
    n, n_classes = len(evaluation.labels), len(evaluation.classes)
    chance = np.bincount(evaluation.labels).max() / n
    guess = {"accuracy": float(chance), "balanced_accuracy": 1 / n_classes}
    tiles: list[dict[str, Any]] = []
    for name, (title, meaning) in METRIC_NAMES.items():
        if name not in evaluation.metrics:
            continue
        m, share = evaluation.metrics[name], name not in _NO_SHARE
        show = percent if share else "{:.3f}".format
        end = 1.0 if share else max(m.high * 1.25, math.log(n_classes))
        tiles.append(
            {
                "name": title,
                "meaning": meaning,
                "value": show(m.value),
                "low": show(m.low),
                "high": show(m.high),
                "chance": guess.get(name),
                "bar": interval_bar(
                    m.value,
                    m.low,
                    m.high,
                    span=(0, end),
                    mark=guess.get(name),
                    width=150 if tiles else _HERO,
                ),
            }
        )
    return tiles


def _findings(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Say in words what the charts show: (lead, rest)."""
    found = []
    seen = sorted((row for row in evaluation.per_class if row.support), key=lambda row: row.f1)
    if len(seen) > 1 and seen[-1].f1 > seen[0].f1:
        best, worst = seen[-1], seen[0]
        found.append(
            (
                f"Best at {_shorten(best.label)}, weakest at {_shorten(worst.label)}",
                f"recognised {_of(best.recall)} and {_of(worst.recall)}",
            )
        )
    for truth, answer, count, of in _confused_pairs(evaluation)[:1]:
        found.append(
            (
                f"Most often mixed up: {_shorten(truth)}, taken for {_shorten(answer)}",
                f"{count} of {of}",
            )
        )
    sure = float(evaluation.probabilities.max(axis=1).mean())
    gap = sure - evaluation.metrics["accuracy"].value
    verdict = "Honest about" if abs(gap) < _HONEST else "Too sure of" if gap > 0 else "Modest about"
    accuracy = percent(evaluation.metrics["accuracy"].value, 0)
    found.append(
        (f"{verdict} its answers", f"{percent(sure, 0)} sure on average, right on {accuracy}")
    )
    return found


def _of(recall: Any) -> str:
    return f"{round(recall.value * recall.n)} of {recall.n}"


def _class_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Describe every class, the weakest first; those without a picture last."""
    rows = sorted(evaluation.per_class, key=lambda row: (row.support == 0, row.f1))
    return [
        {
            "label": row.label,
            "support": row.support,
            "f1": row.f1 if row.support + row.precision.n else None,
            "both": [
                {"m": m, "bar": interval_bar(m.value, m.low, m.high) if m.n else ""}
                for m in (row.recall, row.precision)
            ],
        }
        for row in rows
    ]


def _shown(evaluation: Evaluation, pixels: npt.NDArray[np.uint8], i: int) -> dict[str, Any]:
    """Describe one picture for the page."""
    path, truth, answer = Path(evaluation.paths[i]), evaluation.labels[i], evaluation.predicted[i]
    picture = _original(path)
    if picture is None:
        picture = np.asarray(pixels[i])
    return {
        "src": _data_url(picture),
        "tiny": max(picture.shape) <= _THUMB // 2,
        "truth": evaluation.classes[truth],
        "answer": evaluation.classes[answer],
        "confidence": float(evaluation.probabilities[i, answer]),
        "of_truth": float(evaluation.probabilities[i, truth]),
        "file": path.name,
    }


def _original(path: Path) -> npt.NDArray[np.uint8] | None:
    """Read the picture as people see it; None if it is gone, or too large to do so quickly."""
    try:
        info = picture_info(path)
        if info["width"] * info["height"] > _LARGEST_PICTURE:
            return None
        return decode_image(path)
    except ImageError:
        return None


def _data_url(image: npt.NDArray[np.uint8]) -> str:
    """Shrink a picture and write it as PNG or JPEG, whichever is smaller."""
    picture = Image.fromarray(image)
    picture.thumbnail((_THUMB, _THUMB), Image.Resampling.LANCZOS)
    files = []
    for kind, options in (("png", {"optimize": True}), ("jpeg", {"quality": _QUALITY})):
        buffer = io.BytesIO()
        picture.save(buffer, kind, **options)
        files.append((len(buffer.getvalue()), kind, buffer.getvalue()))
    _, kind, content = min(files)
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


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
