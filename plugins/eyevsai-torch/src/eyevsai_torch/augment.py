"""Augmentation: every picture of a batch changed at random, by whole-tensor arithmetic.

What is drawn and what is done are apart. `draw_plan` draws, on the CPU, a row of numbers for each
picture of a step's whole batch; `augment` does what a plan's rows say to those pictures, on any
device, without drawing. So the parts of a batch see the same changes wherever they are worked on,
and a test can write a plan by hand.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from eyevsai_core.errors import RunError
from eyevsai_torch.affine import moved, warped
from eyevsai_torch.colour import covered, jittered

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AugmentPlan", "AugmentSettings", "augment", "draw_mixup", "draw_plan", "mix"]

# As Zhong et al. 2020, but their largest area is 0.4; a third of a small picture is enough to lose.
_AREA_LOW, _AREA_HIGH = 0.02, 0.33
_ASPECT = 0.3  # to 1 / 0.3
_LEVELS = 256
_SEEDS = 2**63 - 1
_PICTURE_DIMENSIONS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentSettings:
    """Which techniques are used, and how strongly; the default is none.

    ``flip`` mirrors every second picture, left to right. ``shift`` is the largest shift, up to
    1, as a share of the side. ``rotate`` is the largest angle, in degrees, 0..180. ``scale`` is
    the largest change of scale, at least 0: a picture is zoomed by 1 / (1 + scale) to 1 + scale,
    uniform in the logarithm. ``colour``, 0..1, is how far the factors of brightness, contrast
    and saturation are from 1 at most. ``erase``, 0..1, is the probability that a rectangle is
    covered (random erasing, Zhong et al. 2020).
    """

    flip: bool = False
    shift: float = 0.0
    rotate: float = 0.0
    scale: float = 0.0
    colour: float = 0.0
    erase: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentPlan:
    """What happens to each picture of a batch: a row a picture; None where a technique is off.

    ``flip`` is bool (n,). ``shift`` is int64 (n, 2): pixels to the right and down at which the
    result begins. ``angle`` is float32 (n,), radians, counter-clockwise. ``zoom`` is float32
    (n,), above 1 magnifies. ``colour`` is float32 (n, 3): the factors of brightness, contrast,
    saturation. ``box`` is int64 (n, 4): left, top, right, bottom of what is covered, empty where
    nothing is. ``level`` is float32 (n,), 0..255: the grey that covers it.
    """

    flip: torch.Tensor | None = None
    shift: torch.Tensor | None = None
    angle: torch.Tensor | None = None
    zoom: torch.Tensor | None = None
    colour: torch.Tensor | None = None
    box: torch.Tensor | None = None
    level: torch.Tensor | None = None

    def rows(self, part: slice) -> AugmentPlan:
        """Return the plan of a part of the batch."""
        return self._each(lambda draws: draws[part])

    def to(self, device: torch.device) -> AugmentPlan:
        """Return the plan on a device."""
        # Without waiting for a GPU, which would have to finish all that it was told before.
        return self._each(lambda draws: draws.to(device, non_blocking=device.type == "cuda"))

    def lengths(self) -> set[int]:
        """Return the numbers of rows, one number in a sound plan, none in an empty one."""
        drawn = (getattr(self, field.name) for field in dataclasses.fields(self))
        return {len(draws) for draws in drawn if draws is not None}

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> AugmentPlan:
        drawn = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return AugmentPlan(
            **{name: None if draws is None else change(draws) for name, draws in drawn.items()}
        )


def draw_plan(
    settings: AugmentSettings, n: int, side: int, generator: torch.Generator
) -> AugmentPlan:
    """Draw what happens to `n` pictures of `side` x `side` pixels, on the CPU.

    Of `generator`, one seed for each technique is used, whether it is on or off: what one draws
    does not depend on the others, and what is drawn afterwards does not depend on the settings.
    """
    seeds = torch.randint(_SEEDS, (6,), generator=generator).tolist()
    dice = [torch.Generator().manual_seed(seed) for seed in seeds]
    reach = round(settings.shift * side)
    box, level = _draw_box(settings.erase, n, side, dice[5]) if settings.erase else (None, None)
    return AugmentPlan(
        flip=torch.rand(n, generator=dice[0]) < 1 / 2 if settings.flip else None,
        shift=torch.randint(-reach, reach + 1, (n, 2), generator=dice[1]) if reach else None,
        angle=_spread((n,), dice[2]) * math.radians(settings.rotate) if settings.rotate else None,
        zoom=(_spread((n,), dice[3]) * math.log1p(settings.scale)).exp()
        if settings.scale
        else None,
        colour=1 + _spread((n, 3), dice[4]) * settings.colour if settings.colour else None,
        box=box,
        level=level,
    )


def augment(pictures: torch.Tensor, plan: AugmentPlan) -> torch.Tensor:
    """Return the pictures as a net learns from them, changed as `plan` says.

    `pictures` is uint8 (n, side, side, 3), on the plan's device; it is not changed. The result is
    float32 (n, 3, side, side), 0..255, in channels_last memory, a new tensor. Mirror and shift
    alone move bytes; with an angle or a zoom, all four are one interpolation. Raises `RunError`
    when the pictures are none, or the plan is for another number of pictures.
    """
    if pictures.dtype != torch.uint8 or pictures.dim() != _PICTURE_DIMENSIONS:
        raise RunError(
            "augmentation needs pictures of uint8 (n, side, side, 3), but got "
            f"{pictures.dtype} {tuple(pictures.shape)}"
        )
    if plan.lengths() - {len(pictures)}:
        raise RunError(
            f"an augmentation plan must have a row for each of {len(pictures)} pictures, but got "
            f"{sorted(plan.lengths())}; take the rows of this part of the batch"
        )
    warps = plan.angle is not None or plan.zoom is not None
    if not warps and (plan.flip is not None or plan.shift is not None):
        pictures = moved(pictures, flip=plan.flip, shift=plan.shift)
    if not warps and plan.colour is None and plan.box is None:
        return _floats(pictures, torch.channels_last)
    # Arithmetic on floats is faster where each channel is a plane of its own.
    changed = _floats(pictures, torch.contiguous_format)
    if warps:
        changed = warped(
            changed, flip=plan.flip, shift=plan.shift, angle=plan.angle, zoom=plan.zoom
        )
    if plan.colour is not None:
        changed = jittered(changed, plan.colour)
    if plan.box is not None and plan.level is not None:
        changed = covered(changed, plan.box, plan.level)
    return changed.contiguous(memory_format=torch.channels_last)


def draw_mixup(alpha: float, n: int, generator: torch.Generator) -> torch.Tensor:
    """Draw what share each picture keeps of itself in mixup (Zhang et al. 2018), float32 (n,).

    The shares are Beta(alpha, alpha) distributed, `alpha` above 0; the two of a pair (0 and 1, 2
    and 3, ...) have the same one, and an odd last picture has 1. As pairs are neighbours, each
    part of the batch that begins at an even row mixes the same wherever it is worked on.
    """
    shares = _symmetric_beta(alpha, -(-n // 2), generator).float().repeat_interleave(2)[:n]
    if n % 2:
        shares[-1] = 1
    return shares


def mix(rows: torch.Tensor, lam: torch.Tensor) -> torch.Tensor:
    """Blend each row with its pair: lam times itself, 1 - lam times its neighbour.

    `rows` is floating (n, ...), pictures or targets; `lam` is float32 (n,), on the same device,
    as `draw_mixup` returns it. An odd last row stays as it is. Returns a new tensor in the same
    memory format.
    """
    mixed = torch.empty_like(rows)
    paired = len(rows) // 2 * 2
    share = lam.view(-1, *[1] * (rows.dim() - 1))
    for own, other in ((0, 1), (1, 0)):
        mine = slice(own, paired, 2)
        torch.lerp(rows[other:paired:2], rows[mine], share[mine], out=mixed[mine])
    mixed[paired:] = rows[paired:]
    return mixed


def _floats(pictures: torch.Tensor, memory_format: torch.memory_format) -> torch.Tensor:
    return pictures.permute(0, 3, 1, 2).to(torch.float32, memory_format=memory_format)


def _spread(shape: tuple[int, ...], dice: torch.Generator) -> torch.Tensor:
    """Return numbers uniform in -1..1, float32."""
    return torch.rand(shape, generator=dice) * 2 - 1


def _draw_box(
    probability: float, n: int, side: int, dice: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw what random erasing covers, int64 (n, 4), and by what grey level, float32 (n,).

    Zhong et al. draw again until a rectangle fits; here a side that is too long (the largest
    areas, at the extreme aspects) is cut to the picture's, so that each picture takes one draw.
    The aspect is uniform in its logarithm: tall and wide are equally likely. One level for the
    three channels keeps grey pictures grey.
    """
    hit, size, aspect, x, y, shade = torch.rand(6, n, generator=dice, dtype=torch.float64).unbind()
    area = (_AREA_LOW + size * (_AREA_HIGH - _AREA_LOW)) * side**2
    stretch = ((aspect * 2 - 1) * -math.log(_ASPECT)).exp()
    height = (area * stretch).sqrt().round().clamp(1, side)
    width = (area / stretch).sqrt().round().clamp(1, side)
    left, top = (x * (side - width + 1)).floor(), (y * (side - height + 1)).floor()
    box = torch.stack([left, top, left + width, top + height], dim=1)
    return (box * (hit < probability)[:, None]).long(), (shade * _LEVELS).floor().float()


def _symmetric_beta(alpha: float, n: int, dice: torch.Generator) -> torch.Tensor:
    """Draw from Beta(alpha, alpha), float64 (n,), by transforming two uniform numbers each.

    Bailey's polar method (1994): with r^2 = u^(-1 / alpha) - 1 and a random direction phi,
    t = r cos(phi) is Student's t with 2 alpha degrees of freedom, scaled; and
    (1 + t / sqrt(1 + t^2)) / 2 is Beta(alpha, alpha). No rejection, no underflow for small alpha.
    """
    u, turn = torch.rand(2, n, generator=dice, dtype=torch.float64).unbind()
    power = u.pow(1 / alpha)  # 1 / (1 + r^2)
    cos = (2 * math.pi * turn).cos()
    # t / sqrt(1 + t^2), with numerator and denominator times sqrt(power), which may be 0.
    span = (1 - power).sqrt() * cos
    return (1 + span / (power + span**2).sqrt()) / 2
