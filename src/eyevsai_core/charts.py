"""Charts as inline SVG: no script, no network, readable in light and dark, with a text for each.

Colours come from the page's CSS variables, so that one drawing serves both. Blue is right, orange
is wrong: the pair that people with any kind of colour blindness tell apart.
"""

from __future__ import annotations

import math
from collections import defaultdict
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from eyevsai_core.metrics import wilson_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from eyevsai_core.metrics import ReliabilityBin

__all__ = [
    "confusion_chart",
    "interval_bar",
    "line_chart",
    "nice_ticks",
    "reliability_chart",
    "shorten",
]

_ANNOTATED = 20  # up to this many classes each cell carries its number
_SINGLE = 64  # up to this many each cell is a shape of its own, with a text to point at
_LEVELS = 12  # shades of the cells that are drawn together
_STRONG = 0.55  # share of a row above which its number is written in the background's colour
_LETTER = 6.4  # mean width of a letter of 11 px
_LONGEST = 22  # letters of a name
_SIDE, _LARGEST = 660.0, 64.0  # of the confusion matrix, of its cells
_COLOURS = 4  # of lines: the page's classes line0 to line3
_LEGEND = 16.0  # height of a row of a legend


def _svg(width: float, height: float, title: str, body: Sequence[str], *, least: float = 0) -> str:
    """Wrap a drawing: as wide as it is drawn, smaller on a small screen, never below `least`."""
    style = f"max-width:{width:.0f}px;min-width:{min(least, width):.0f}px"
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" style="{style}" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title>{"".join(body)}</svg>'
    )


def _text(x: float, y: float, text: str, *, anchor: str = "middle", extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{escape(text)}</text>'


def _line(start: tuple[float, float], end: tuple[float, float], kind: str = "grid") -> str:
    (x, y), (u, v) = start, end
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{u:.1f}" y2="{v:.1f}" class="{kind}"/>'


def _rect(box: tuple[float, float, float, float], kind: str, more: str = "", tip: str = "") -> str:
    """Draw a rectangle; `box` is (x, y, width, height)."""
    x, y, width, height = box
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'class="{kind}" {more}>{_tip(tip) if tip else ""}</rect>'
    )


def _circle(x: float, y: float, radius: float, kind: str = "dot") -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" class="{kind}"/>'


def _tip(text: str) -> str:
    return f"<title>{escape(text)}</title>"


def shorten(text: str, longest: int = _LONGEST) -> str:
    """Leave out the middle of a long text: names often differ at their end.

    >>> shorten("a very long name, number 17", 15)
    'a very …mber 17'
    """
    if len(text) <= longest:
        return text
    tail = longest // 2
    return f"{text[: longest - tail - 1]}…{text[-tail:]}"


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` round numbers (1, 2 or 5 times a power of ten) within low..high.

    >>> nice_ticks(0.07, 0.93)
    [0.2, 0.4, 0.6, 0.8]
    """
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def interval_bar(
    value: float,
    low: float,
    high: float,
    *,
    span: tuple[float, float] = (0.0, 1.0),
    mark: float | None = None,
    width: float = 150.0,
) -> str:
    """Draw a value as a dot on a track, its interval as a band; `mark` is a line across."""
    start, end = span

    def place(x: float) -> float:
        share = (x - start) / (end - start) if end > start else 0.5
        return 5 + min(max(share, 0.0), 1.0) * (width - 10)

    a, b = place(low), place(high)
    body = [
        _line((5, 8), (width - 5, 8), "track"),
        _rect((a, 5, max(b - a, 1), 6), "band", 'rx="3"'),
        _circle(place(value), 8, 4),
    ]
    if mark is not None:
        body.append(_line((place(mark), 1), (place(mark), 15), "mark"))
    return _svg(width, 16, f"{value:.3f}, 95 % interval {low:.3f} to {high:.3f}", body)


def confusion_chart(matrix: npt.NDArray[np.int64], classes: Sequence[str]) -> str:
    """Draw a confusion matrix (n, n), rows normalised to the share of each true class.

    Up to 20 classes every cell carries its number; above 64 only shades are drawn, and as many
    names as find room.
    """
    n = len(classes)
    cell = min(_LARGEST, _SIDE / n)
    every = math.ceil(13 / cell)  # names need 13 px
    longest = max(len(shorten(label)) for label in classes)
    margin = longest * _LETTER + 34
    size = cell * n
    body = [_rect((margin, margin, size, size), "sheet")]
    if n <= _SINGLE:
        for at in (margin + k * cell for k in range(n + 1)):
            body.append(_line((margin, at), (margin + size, at)))
            body.append(_line((at, margin), (at, margin + size)))
        body += _cells(matrix, classes, cell, margin)
    else:
        body += _shades(matrix, cell, margin)
    for i in range(0, n, every):
        middle = margin + (i + 0.5) * cell
        name, tip = escape(shorten(classes[i])), _tip(classes[i])
        body.append(
            f'<text x="{margin - 7:.1f}" y="{middle + 4:.1f}" text-anchor="end">{name}{tip}</text>'
            f'<text x="{middle + 3:.1f}" y="{margin - 8:.1f}" '
            f'transform="rotate(-50 {middle + 3:.1f} {margin - 8:.1f})">{name}{tip}</text>'
        )
    axis = 'class="soft"'
    body.append(_text(margin + size / 2, 12, "answer of the model →", extra=axis))
    turn = f'{axis} transform="rotate(-90 11 {margin + size / 2:.1f})"'
    body.append(_text(11, margin + size / 2, "← truth", extra=turn))
    width = margin + size + longest * _LETTER * 0.65 + 8
    title = f"Confusion matrix of {n} classes: rows are the truth, columns the answer"
    return _svg(width, margin + size + 4, title, body, least=min(20 * n + margin, 520))


def _cells(
    matrix: npt.NDArray[np.int64], classes: Sequence[str], cell: float, margin: float
) -> list[str]:
    """Draw every cell that is not empty, with its number where there is room."""
    totals, body = matrix.sum(axis=1), []
    for i, j in np.argwhere(matrix).tolist():
        count, share = int(matrix[i, j]), matrix[i, j] / totals[i]
        x, y = margin + j * cell, margin + i * cell
        verb = "recognised" if i == j else f"taken for {classes[j]}"
        tip = f"{classes[i]} {verb}: {count} of {totals[i]} ({share:.0%})"
        kind, strength = ("hit" if i == j else "miss"), 0.14 + 0.86 * share
        box = (x + 0.5, y + 0.5, cell - 1, cell - 1)
        body.append(_rect(box, kind, f'rx="2" fill-opacity="{strength:.2f}"', tip))
        if len(classes) <= _ANNOTATED:
            size = min(12.0, cell * 1.45 / len(str(count)))
            strong = ' class="on"' if share > _STRONG else ""
            extra = f'font-size="{size:.1f}" pointer-events="none"{strong}'
            body.append(_text(x + cell / 2, y + cell / 2 + size * 0.36, str(count), extra=extra))
    return body


def _shades(matrix: npt.NDArray[np.int64], cell: float, margin: float) -> list[str]:
    """Draw many cells as one path a shade: thousands of shapes of their own would be slow."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    paths: dict[tuple[bool, int], list[str]] = defaultdict(list)
    square = f"h{cell:.2f}v{cell:.2f}h-{cell:.2f}z"
    for i, j in np.argwhere(matrix).tolist():
        # The square root lifts what is rare: of 200 classes a share of 0.04 is worth seeing.
        level = math.ceil(math.sqrt(shares[i, j]) * _LEVELS)
        paths[i == j, level].append(f"M{margin + j * cell:.1f} {margin + i * cell:.1f}{square}")
    return [
        f'<path d="{"".join(found)}" class="{"hit" if right else "miss"}" '
        f'fill-opacity="{level / _LEVELS:.2f}"/>'
        for (right, level), found in sorted(paths.items())
    ]


def reliability_chart(bins: Sequence[ReliabilityBin]) -> str:
    """Draw accuracy against confidence; below it, how many answers were how sure.

    Whiskers are Wilson's 95 % intervals: a bin of three pictures says little.
    """
    left, top, side, gap, strip = 66.0, 12.0, 380.0, 18.0, 70.0
    foot = top + side + gap + strip
    body = [_rect((left, top, side, side), "sheet")]
    for k in range(6):
        x, y = left + k / 5 * side, top + (1 - k / 5) * side
        body += [_line((left, y), (left + side, y)), _line((x, top), (x, top + side))]
        body.append(_text(left - 8, y + 4, f"{20 * k} %", anchor="end"))
        body.append(_text(x, foot + 16, f"{20 * k} %"))
    body.append(_line((left, top + side), (left + side, top), "diagonal"))
    soft = 'class="soft"'
    body.append(_text(left + 12, top + 22, "too modest", anchor="start", extra=soft))
    body.append(_text(left + side - 12, top + side - 14, "too sure", anchor="end", extra=soft))
    most = max((b.count for b in bins), default=1)
    for b in bins:
        hits = round(b.count * b.accuracy)
        whisker = wilson_interval(hits, b.count)
        x, y = left + b.confidence * side, top + (1 - b.accuracy) * side
        tip = (
            f"confidence {b.low:.0%} to {b.high:.0%}: {b.count} pictures, on average "
            f"{b.confidence:.1%} sure, {hits} right ({b.accuracy:.1%}), {b.count - hits} wrong"
        )
        high, low = top + (1 - whisker.high) * side, top + (1 - whisker.low) * side
        dot = _circle(x, y, 3 + 5 * math.sqrt(b.count / most))
        body.append(f"<g>{_tip(tip)}{_line((x, high), (x, low), 'whisker')}{dot}</g>")
        # The strip below: right answers, and the wrong ones on top of them.
        column, wide = left + b.low * side + 1, (b.high - b.low) * side - 2
        right, whole = hits / most * strip, b.count / most * strip
        body.append(_rect((column, foot - right, wide, right), "hit", tip=tip))
        body.append(_rect((column, foot - whole, wide, whole - right), "miss", tip=tip))
    body.append(_line((left, foot), (left + side, foot), "axis"))
    body.append(_text(left - 8, foot - strip + 10, f"{most}", anchor="end", extra=soft))
    body.append(_text(left + side / 2, foot + 36, "how sure the model says it is"))
    middle = top + side / 2
    turn = f'transform="rotate(-90 12 {middle})"'
    body.append(_text(12, middle, "how often it is right", extra=turn))
    title = "Reliability diagram: how often answers are right against how sure the model was"
    return _svg(left + side + 18, foot + 44, title, body, least=320)


def line_chart(
    title: str,
    lines: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x_label: str = "epoch",
    mark: float | None = None,
    powers: bool = False,
) -> str:
    """Draw one or more lines of (x, y) points with a legend; `mark` is an x to point out.

    With `powers`, x is an exponent of ten, and the axis says so.

    Points that are not finite are left out: a loss that went to infinity must not hide the rest.
    """
    lines = {name: [(x, y) for x, y in line if math.isfinite(y)] for name, line in lines.items()}
    points = [point for line in lines.values() for point in line]
    if not points:
        return ""
    top = 24.0 + _LEGEND * math.ceil(len(lines) / 2)
    width, left, w, h = 380.0, 58.0, 308.0, 160.0
    height = top + h + 42
    x0, x1 = min(x for x, _ in points), max(x for x, _ in points)
    y0, y1 = _room([y for _, y in points])

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x0) / (x1 - x0) if x1 > x0 else 0.5
        return left + across * w, top + (1 - (y - y0) / (y1 - y0)) * h

    body = []
    for y in nice_ticks(y0, y1):
        at = place(x0, y)[1]
        body.append(_line((left, at), (left + w, at)))
        body.append(_text(left - 8, at + 4, f"{y:g}", anchor="end"))
    whole = [x for x in nice_ticks(x0, x1, 6) if x == round(x)]
    for x in whole:
        label = f"{10.0**x:g}" if powers else f"{x:g}"
        body.append(_text(place(x, y0)[0], top + h + 18, label))
    if mark is not None:
        at = place(mark, y0)[0]
        side = "end" if at > left + w - 30 else "middle"  # "best 12" is 40 px wide
        body.append(_line((at, top), (at, top + h), "diagonal"))
        best = f"{10.0**mark:.2g}" if powers else f"best {mark:g}"
        body.append(_text(at, top - 4, best, anchor=side, extra='class="soft"'))
    for k, (name, line) in enumerate(lines.items()):
        body += _drawn([place(x, y) for x, y in line], k % _COLOURS)
        body += _legend(name, k, (left + k % 2 * w / 2, 10 + k // 2 * _LEGEND))
    body.append(_line((left, top + h), (left + w, top + h), "axis"))
    body.append(_text(left + w / 2, height - 6, x_label))
    return _svg(width, height, title, body)


def _drawn(points: Sequence[tuple[float, float]], k: int) -> list[str]:
    """Draw a line in colour number `k`, or a dot when it is one point only."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    single = [_circle(*points[0], 4, f"point{k}")] if len(points) == 1 else []
    return [f'<polyline points="{path}" class="line line{k}"/>', *single]


def _legend(name: str, k: int, place: tuple[float, float]) -> list[str]:
    x, y = place
    stroke = _line((x, y), (x + 16, y), f"line line{k % _COLOURS}")
    return [stroke, _text(x + 21, y + 4, name.replace("_", " "), anchor="start")]


def _room(values: Sequence[float]) -> tuple[float, float]:
    """Return an axis's ends: a little beyond the values, never of no length."""
    low, high = min(values), max(values)
    spread = (high - low) or abs(high) or 1.0
    return (
        max(low - 0.06 * spread, 0.0) if low >= 0 else low - 0.06 * spread
    ), high + 0.06 * spread
