"""Turn small grey drawings into the strokes of a pen.

A drawing of 28 x 28 pixels is all that is left of lines that a hand drew on a tablet. Enlarged
as they are, the pixels show as beads. Here the ink is smoothed along the lines (never across),
the centre of each line is found, its path is smoothed, and what is wider than a pen is kept as
a filled outline.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from scipy import ndimage
from skimage.measure import find_contours
from skimage.morphology import disk, opening, skeletonize

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["FILL", "STROKE", "trace_strokes"]

Floats: TypeAlias = "npt.NDArray[np.floating[Any]]"
Pixel: TypeAlias = tuple[int, int]

STROKE, FILL = 0, 1
ZOOM = 8  # the tracing works on a grid this much finer than the source
PAD = 3  # source pixels of paper on each side, so that lines which touch the edge can end
REACH = 9  # grid steps that the ink is smoothed along a line, each way
PASSES = 2
DETAIL = 0.45  # how much of the darkest ink nearby counts as ink ...
CROWDED = 0.32  # ... and how much more where ink is crowded, so that scribbles stay open
SPUR = 9.6  # grid pixels; a shorter branch with a loose end is noise of the thinning
SOFT = 4.5  # grid pixels; how far corners of a path are rounded
THICK = 10.5  # grid pixels; ink wider than twice this is an area, not a line
AREA = 110.0  # grid pixels; an area with a shorter outline is a place where lines meet
STEP = 9.0  # grid pixels between the points that are kept
STRAIGHT = -0.5  # cosine; two lines that meet flatter than this are one line that goes on


def trace_strokes(small: npt.NDArray[np.uint8]) -> list[tuple[int, Floats]]:
    """Return (kind, points) of each stroke and filled outline of a 28 x 28 drawing, 255 is paper.

    Points are (x, y) in source pixels, from the corner of the first pixel; strokes may close.
    """
    ink = _ink(small)
    curves = [(STROKE, _even(path)) for path in _paths(skeletonize(ink))]
    areas = ndimage.gaussian_filter(opening(ink, disk(THICK)).astype(float), 3)
    curves += [(FILL, _even(c)) for c in find_contours(areas, 0.5) if _length(c) > AREA]
    return [(kind, points[:, ::-1] / ZOOM - PAD + 0.5 / ZOOM) for kind, points in curves]


def _ink(small: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Decide where on the fine grid there is ink."""
    dark = 1.0 - np.pad(small, PAD, constant_values=255) / 255.0
    field = ndimage.zoom(dark, ZOOM, order=3, mode="grid-constant", grid_mode=True)
    field = ndimage.gaussian_filter(field, 2.0)
    for _ in range(PASSES):
        field = _smooth_along(field)
    darkest = ndimage.gaussian_filter(ndimage.maximum_filter(field, 2 * ZOOM), ZOOM)
    nearby = ndimage.gaussian_filter(field, 1.6 * ZOOM)
    return np.asarray(field / np.maximum(darkest, 0.25) > DETAIL + CROWDED * nearby)


def _smooth_along(field: Floats) -> Floats:
    """Average the ink along the lines: line integral convolution over the structure tensor."""
    dx = ndimage.gaussian_filter(field, ZOOM / 2, order=(0, 1))
    dy = ndimage.gaussian_filter(field, ZOOM / 2, order=(1, 0))
    xx, xy, yy = (ndimage.gaussian_filter(p, 5.0) for p in (dx * dx, dx * dy, dy * dy))
    angle = 0.5 * np.arctan2(2 * xy, xx - yy) + np.pi / 2
    lined = np.sqrt((xx - yy) ** 2 + 4 * xy**2) / (xx + yy + 1e-9)
    where = np.nonzero(field > 0.03)  # noqa: PLR2004  paper stays paper, and costs no time
    along = np.stack([np.sin(angle), np.cos(angle)])
    total, weight = field[where].copy(), np.ones(len(where[0]))
    for sign in (1.0, -1.0):
        place = np.stack(where).astype(float)
        heading = sign * along[:, where[0], where[1]]
        for step in range(1, REACH + 1):
            place += heading
            there = _at(along, place)
            # A direction has no sign: keep going the way we came.
            heading = np.where((there * heading).sum(0) < 0, -there, there)
            share = np.exp(-0.5 * (step / (REACH / 2)) ** 2) * lined[where]
            total += share * _at(field[None], place)[0]
            weight += share
    smoothed = np.zeros_like(field)
    smoothed[where] = total / weight
    return smoothed


def _at(fields: Floats, place: Floats) -> Floats:
    return np.stack([ndimage.map_coordinates(f, place, order=1, mode="nearest") for f in fields])


def _paths(skeleton: npt.NDArray[np.bool_]) -> list[Floats]:
    """Follow the one-pixel lines: paths between ends and junctions, joined where they go on."""
    degree = ndimage.convolve(skeleton.astype(int), np.ones((3, 3), int), mode="constant") - 1
    pixels = {(int(y), int(x)) for y, x in np.argwhere(skeleton)}
    is_node = skeleton & (degree != 2)  # noqa: PLR2004  a pixel inside a line has two neighbours
    knots, n_knots = ndimage.label(is_node, np.ones((3, 3)))
    centres = ndimage.center_of_mass(is_node, knots, range(1, n_knots + 1))
    inner = {p for p in pixels if not is_node[p]}
    paths: list[tuple[int, int, Floats]] = []
    for start in sorted(p for p in pixels if is_node[p]):
        for first in _neighbours(start, inner):
            if first in inner:
                walked = _walk(start, first, pixels, inner)
                ends = int(knots[start]), int(knots[walked[-1]])
                points = np.array(walked, float)
                points[0], points[-1] = centres[ends[0] - 1], centres[ends[1] - 1]
                paths.append((*ends, points))
    touched = {end for a, b, _ in paths for end in (a, b)}
    dots = [np.array([c]) for knot, c in enumerate(centres, start=1) if knot not in touched]
    paths = _join(_without_spurs(paths))
    loops = []
    while inner:
        first = min(inner)
        loop = _walk(first, _neighbours(first, inner)[0], pixels, inner)
        inner.discard(first)
        loops.append(np.array([*loop, first], float))
    return [_soften(points) for *_, points in paths] + [_soften(p) for p in loops] + dots


def _neighbours(pixel: Pixel, among: set[Pixel]) -> list[Pixel]:
    y, x = pixel
    around = ((y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx)
    return [p for p in around if p in among]


def _walk(start: Pixel, first: Pixel, pixels: set[Pixel], inner: set[Pixel]) -> list[Pixel]:
    """Go from `start` over `first` along pixels of `inner`, taking them, to the next node."""
    path = [start, first]
    while path[-1] in inner:
        inner.discard(path[-1])
        onward = [p for p in _neighbours(path[-1], pixels) if p not in path[-2:]]
        if not onward or onward[0] == start:
            break
        path.append(onward[0])
    return path


def _without_spurs(paths: list[tuple[int, int, Floats]]) -> list[tuple[int, int, Floats]]:
    degree: dict[int, int] = defaultdict(int)
    for a, b, _ in paths:
        degree[a] += 1
        degree[b] += 1
    return [
        (a, b, points)
        for a, b, points in paths
        if len(points) >= SPUR or (degree[a] == 1) == (degree[b] == 1)
    ]


def _join(paths: list[tuple[int, int, Floats]]) -> list[tuple[int, int, Floats]]:
    """Join the pairs of paths that go straight on through a junction, flattest first."""
    knots = sorted({end for a, b, _ in paths for end in (a, b)})
    for knot in knots:
        while True:
            # Every path that ends here, turned so that it starts here.
            rays = [(i, p) for i, (a, _, p) in enumerate(paths) if a == knot]
            rays += [(i, p[::-1]) for i, (_, b, p) in enumerate(paths) if b == knot]
            flat = [
                (float(_heading(p) @ _heading(q)), i, j, p, q)
                for n, (i, p) in enumerate(rays)
                for j, q in rays[n + 1 :]
                if i != j
            ]
            best = min(flat, key=lambda found: found[0], default=None)
            # Where only two meet there is no junction at all, however sharp the corner.
            if best is None or (best[0] > STRAIGHT and len(rays) > 2):  # noqa: PLR2004
                break
            _, i, j, p, q = best
            ends = [paths[k][1] if paths[k][0] == knot else paths[k][0] for k in (i, j)]
            joined = (ends[0], ends[1], np.concatenate([p[::-1], q[1:]]))
            paths = [path for k, path in enumerate(paths) if k not in (i, j)] + [joined]
    return paths


def _heading(points: Floats) -> Floats:
    way = points[min(len(points) - 1, ZOOM)] - points[0]
    unit: Floats = way / max(float(np.hypot(*way)), 1e-9)
    return unit


def _soften(points: Floats) -> Floats:
    """Smooth a path; loose ends stay where they are, closed paths stay closed."""
    if len(points) < 4:  # noqa: PLR2004  too short to have a corner
        return points
    if np.hypot(*(points[0] - points[-1])) <= 2:  # noqa: PLR2004  a closed path
        ring: Floats = ndimage.gaussian_filter1d(points[:-1], SOFT, axis=0, mode="wrap")
        return np.concatenate([ring, ring[:1]])
    n = min(len(points) - 1, int(4 * SOFT))
    before = 2 * points[0] - points[n:0:-1]
    after = 2 * points[-1] - points[-2 : -n - 2 : -1]
    longer = ndimage.gaussian_filter1d(np.concatenate([before, points, after]), SOFT, axis=0)
    softened: Floats = longer[n : n + len(points)]
    return softened


def _even(points: Floats) -> Floats:
    """Keep points about `STEP` apart, and both ends."""
    run = np.concatenate([[0.0], np.cumsum(_steps(points))])
    if run[-1] == 0:
        return points[:1]
    at = np.linspace(0, run[-1], max(2, round(run[-1] / STEP) + 1))
    return np.stack([np.interp(at, run, axis) for axis in points.T], axis=1)


def _steps(points: Floats) -> Floats:
    lengths: Floats = np.hypot(*np.diff(points, axis=0).T)
    return lengths


def _length(points: Floats) -> float:
    return float(_steps(points).sum())
