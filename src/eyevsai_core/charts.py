"""Charts as inline SVG: no script, no network, readable in light and dark, with a text for each.

Colours come from the page's CSS variables, so that one drawing serves both.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from eyevsai_core.metrics import ReliabilityBin

__all__ = ["confusion_chart", "line_chart", "reliability_chart"]

_ANNOTATED = 20  # up to this many classes each cell carries its number
_LINES = ("var(--blue)", "var(--orange)", "var(--green)", "var(--grey)")


def _svg(width: float, height: float, title: str, body: list[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(body)}</svg>"
    )


def _text(x: float, y: float, text: str, *, anchor: str = "middle", extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{escape(text)}</text>'


def confusion_chart(matrix: npt.NDArray[np.int64], classes: Sequence[str]) -> str:
    """Draw a confusion matrix (n, n), rows normalised to the share of each true class."""
    n = len(classes)
    cell = max(4.0, min(34.0, 640 / n))
    longest = max(len(label) for label in classes)
    named = cell >= 9  # noqa: PLR2004  smaller names cannot be read
    margin = min(longest * 6.2 + 12, 170) if named else 16
    size = cell * n
    totals = matrix.sum(axis=1)
    body = []
    for i in range(n):
        for j in range(n):
            count = int(matrix[i, j])
            if not count:
                continue
            share = count / totals[i]
            x, y = margin + j * cell, margin + i * cell
            colour = "var(--green)" if i == j else "var(--orange)"
            tip = f"{classes[i]} taken for {classes[j]}: {count} of {totals[i]}"
            body.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{cell:.1f}" height="{cell:.1f}" '
                f'fill="{colour}" fill-opacity="{0.12 + 0.88 * share:.2f}">'
                f"<title>{escape(tip)}</title></rect>"
            )
            if n <= _ANNOTATED:
                strong = 'class="on"' if share > 0.6 else ""  # noqa: PLR2004  white on strong colour
                body.append(
                    _text(
                        x + cell / 2,
                        y + cell / 2 + 4,
                        str(count),
                        extra=f"{strong} pointer-events='none'",
                    )
                )
    body.append(
        f'<rect x="{margin:.1f}" y="{margin:.1f}" width="{size:.1f}" height="{size:.1f}" '
        'fill="none" stroke="var(--line)"/>'
    )
    for i, label in enumerate(classes if named else ()):
        short = label if len(label) <= 24 else label[:23] + "…"  # noqa: PLR2004  the margin's width
        middle = margin + (i + 0.5) * cell
        body.append(_text(margin - 6, middle + 4, short, anchor="end"))
        turn = f'transform="rotate(-50 {middle:.1f} {margin - 6:.1f})"'
        body.append(_text(middle, margin - 6, short, anchor="start", extra=turn))
    right = margin * 0.75 if named else 4
    return _svg(
        margin + size + right, margin + size + 6, "Confusion matrix: rows are the truth", body
    )


def reliability_chart(bins: Sequence[ReliabilityBin]) -> str:
    """Draw accuracy against confidence; bars on the diagonal are honest."""
    width, height, left, bottom = 420.0, 330.0, 46.0, 42.0
    w, h = width - left - 10, height - bottom - 10
    most = max((b.count for b in bins), default=1)
    body = [_frame(left, 10, w, h)]
    for k in range(6):
        value = k / 5
        x, y = left + value * w, 10 + (1 - value) * h
        body.append(_text(x, 10 + h + 16, f"{value:.1f}"))
        body.append(_text(left - 6, y + 4, f"{value:.1f}", anchor="end"))
    for b in bins:
        x, bar = left + b.low * w, (b.high - b.low) * w
        tip = (
            f"confidence {b.low:.2f} to {b.high:.2f}: {b.count} pictures, mean confidence "
            f"{b.confidence:.2f}, accuracy {b.accuracy:.2f}"
        )
        body.append(
            f'<rect x="{x + 1:.1f}" y="{10 + (1 - b.accuracy) * h:.1f}" width="{bar - 2:.1f}" '
            f'height="{b.accuracy * h:.1f}" fill="var(--blue)" '
            f'fill-opacity="{0.35 + 0.65 * b.count / most:.2f}"><title>{escape(tip)}</title></rect>'
            f'<circle cx="{left + b.confidence * w:.1f}" cy="{10 + (1 - b.accuracy) * h:.1f}" '
            'r="3.5" fill="var(--orange)"/>'
        )
    body.append(
        f'<line x1="{left}" y1="{10 + h}" x2="{left + w}" y2="10" stroke="var(--grey)" '
        'stroke-dasharray="5 4"/>'
    )
    body.append(_text(left + w / 2, height - 6, "confidence"))
    body.append(_text(12, 10 + h / 2, "accuracy", extra=f'transform="rotate(-90 12 {10 + h / 2})"'))
    return _svg(width, height, "Reliability diagram: accuracy against confidence", body)


def line_chart(
    title: str, lines: Mapping[str, Sequence[tuple[float, float]]], *, x_label: str = "epoch"
) -> str:
    """Draw one or more lines of (x, y) points with a legend."""
    width, height, left, bottom = 460.0, 260.0, 54.0, 42.0
    w, h = width - left - 12, height - bottom - 26
    points = [point for line in lines.values() for point in line]
    if not points:
        return ""
    x0, x1 = min(x for x, _ in points), max(x for x, _ in points)
    y0, y1 = min(y for _, y in points), max(y for _, y in points)
    spread_x, spread_y = (x1 - x0) or 1, (y1 - y0) or 1

    def place(x: float, y: float) -> str:
        return f"{left + (x - x0) / spread_x * w:.1f},{26 + (1 - (y - y0) / spread_y) * h:.1f}"

    body = [_frame(left, 26, w, h)]
    for k in range(5):
        y = y0 + spread_y * k / 4
        body.append(_text(left - 6, 26 + (1 - k / 4) * h + 4, f"{y:.3g}", anchor="end"))
    body += [_text(left, 26 + h + 16, f"{x0:g}"), _text(left + w, 26 + h + 16, f"{x1:g}")]
    for (name, line), colour in zip(lines.items(), _LINES * len(lines), strict=False):
        path = " ".join(place(x, y) for x, y in line)
        body.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        at = left + 8 + list(lines).index(name) * 150
        body.append(
            f'<line x1="{at}" y1="14" x2="{at + 18}" y2="14" stroke="{colour}" stroke-width="3"/>'
        )
        body.append(_text(at + 24, 18, name.replace("_", " "), anchor="start"))
    body.append(_text(left + w / 2, height - 6, x_label))
    return _svg(width, height, title, body)


def _frame(x: float, y: float, w: float, h: float) -> str:
    return (
        f'<rect x="{x}" y="{y}" width="{w:.1f}" height="{h:.1f}" fill="none" stroke="var(--line)"/>'
    )
