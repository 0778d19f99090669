"""Augmentation: what is drawn, what comes out, and mixup."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy import stats

from eyevsai_core.errors import RunError
from eyevsai_torch.augment import (
    AugmentPlan,
    AugmentSettings,
    _symmetric_beta,
    augment,
    draw_mixup,
    draw_plan,
    mix,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL = AugmentSettings(flip=True, shift=0.2, rotate=40, scale=0.3, colour=0.5, erase=0.7)
OFF: dict[str, Any] = {
    "flip": False,
    "shift": 0.0,
    "rotate": 0.0,
    "scale": 0.0,
    "colour": 0.0,
    "erase": 0.0,
}
FIELDS = {
    "flip": {"flip"},
    "shift": {"shift"},
    "rotate": {"angle"},
    "scale": {"zoom"},
    "colour": {"colour"},
    "erase": {"box", "level"},
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def dice(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(n: int, side: int = 16) -> torch.Tensor:
    return torch.randint(256, (n, side, side, 3), dtype=torch.uint8, generator=dice(n + side))


def drawn(plan: AugmentPlan) -> dict[str, torch.Tensor]:
    found = {field.name: getattr(plan, field.name) for field in dataclasses.fields(plan)}
    return {name: draws for name, draws in found.items() if draws is not None}


def test_draws_have_the_promised_ranges() -> None:
    n = 20_000
    plan = draw_plan(ALL, n, 32, dice())
    assert plan.flip is not None
    assert plan.shift is not None
    assert plan.angle is not None
    assert plan.zoom is not None
    assert plan.colour is not None
    assert float(plan.flip.double().mean()) == pytest.approx(0.5, abs=0.015)
    values, counts = np.unique(plan.shift.numpy(), return_counts=True)
    assert values.tolist() == list(range(-6, 7))
    assert counts.min() > 0.9 * 2 * n / 13
    angles = np.degrees(plan.angle.numpy())
    assert stats.kstest(angles, stats.uniform(-40, 80).cdf).pvalue > 0.01
    zooms = np.log(plan.zoom.numpy())
    assert stats.kstest(zooms, stats.uniform(-np.log(1.3), 2 * np.log(1.3)).cdf).pvalue > 0.01
    for factors in plan.colour.numpy().T:
        assert stats.kstest(factors, stats.uniform(0.5, 1.0).cdf).pvalue > 0.01
    together = np.corrcoef([angles, zooms, *plan.colour.numpy().T, *plan.shift.numpy().T])
    assert np.abs(together - np.eye(len(together))).max() < 0.03


@pytest.mark.parametrize("name", OFF)
def test_a_technique_that_is_off_draws_nothing_and_changes_no_other(name: str) -> None:
    whole = drawn(draw_plan(ALL, 20, 32, dice(5)))
    without = drawn(draw_plan(dataclasses.replace(ALL, **{name: OFF[name]}), 20, 32, dice(5)))
    assert set(whole) - set(without) == FIELDS[name]
    for kept, draws in without.items():
        assert torch.equal(draws, whole[kept])


def test_what_is_drawn_afterwards_does_not_depend_on_the_settings() -> None:
    after = []
    for settings in (ALL, AugmentSettings()):
        generator = dice(5)
        draw_plan(settings, 20, 32, generator)
        after.append(draw_mixup(0.4, 20, generator))
    assert torch.equal(*after)


def test_a_seed_decides_the_draws() -> None:
    first, again, other = (drawn(draw_plan(ALL, 20, 32, dice(seed))) for seed in (1, 1, 2))
    for name, draws in first.items():
        assert torch.equal(draws, again[name])
        assert not torch.equal(draws, other[name])


def test_a_shift_below_half_a_pixel_is_none() -> None:
    assert draw_plan(AugmentSettings(shift=0.01), 4, 32, dice()).shift is None


def test_a_plan_moves_to_a_device() -> None:
    there = draw_plan(ALL, 4, 32, dice()).to(torch.device("meta"))
    assert {draws.device.type for draws in drawn(there).values()} == {"meta"}
    assert len(drawn(there)) == 7
    assert drawn(AugmentPlan().to(torch.device("meta"))) == {}


def test_erased_boxes_are_those_of_the_paper() -> None:
    side = 64
    plan = draw_plan(AugmentSettings(erase=0.25), 20_000, side, dice())
    assert plan.box is not None
    assert plan.level is not None
    left, top, right, bottom = plan.box.numpy().T
    hit = right > left
    assert hit.mean() == pytest.approx(0.25, abs=0.01)
    assert np.array_equal(hit, bottom > top)
    assert min(left.min(), top.min()) == 0
    assert max(right.max(), bottom.max()) == side
    width, height = (right - left)[hit], (bottom - top)[hit]
    area = width * height / side**2
    # Sides are rounded to pixels: half a pixel on each of the shortest sides.
    assert 0.015 < area.min() < 0.025
    assert 0.31 < area.max() < 0.35
    assert area.mean() == pytest.approx((0.02 + 0.33) / 2, abs=0.005)
    aspect = np.log(height / width)
    assert aspect.mean() == pytest.approx(0, abs=0.02)
    assert 1.1 < aspect.max() < np.log(1 / 0.3) + 0.15
    levels = plan.level.numpy()
    assert stats.kstest((levels + 0.5) / 256, "uniform").statistic < 0.015
    assert np.array_equal(levels, np.floor(levels))


@pytest.mark.parametrize(
    "settings",
    [
        AugmentSettings(),
        *(AugmentSettings(**{name: getattr(ALL, name)}) for name in OFF),
        AugmentSettings(flip=True, shift=0.2),
        AugmentSettings(flip=True, shift=0.2, colour=0.5, erase=0.5),
        ALL,
    ],
    ids=["none", *OFF, "moved", "moved, coloured", "all"],
)
def test_the_result_is_a_new_float_tensor_in_range(settings: AugmentSettings) -> None:
    pictures = noise(6)
    before = pictures.clone()
    plan = draw_plan(settings, 6, 16, dice())
    result = augment(pictures, plan)
    assert result.dtype == torch.float32
    assert result.shape == (6, 3, 16, 16)
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert float(result.min()) >= 0
    assert float(result.max()) <= 255 + 1e-3
    assert torch.equal(pictures, before)
    assert torch.equal(result, augment(pictures, plan))
    assert torch.equal(result, before.permute(0, 3, 1, 2).float()) == (not drawn(plan))
    result.zero_()
    assert torch.equal(pictures, before)


@pytest.mark.parametrize("cuts", [[0, 12], [0, 4, 12], [0, 1, 2, 3, 7, 12]], ids=str)
def test_parts_are_changed_as_the_whole_is(cuts: list[int]) -> None:
    pictures = noise(12)
    plan = draw_plan(ALL, 12, 16, dice())
    parts = [
        augment(pictures[start:stop], plan.rows(slice(start, stop)))
        for start, stop in pairwise(cuts)
    ]
    assert torch.equal(torch.cat(parts), augment(pictures, plan))


def test_none_and_single_pixels_are_pictures() -> None:
    assert augment(noise(0), draw_plan(ALL, 0, 16, dice())).shape == (0, 3, 16, 16)
    pixel = noise(2, 1)
    plan = AugmentPlan(flip=torch.tensor([True, False]), shift=torch.tensor([[1, 2], [-3, 0]]))
    wanted = pixel.permute(0, 3, 1, 2).float()
    assert torch.equal(augment(pixel, plan), wanted)
    assert torch.equal(augment(pixel, dataclasses.replace(plan, zoom=torch.ones(2))), wanted)


def test_floats_are_refused() -> None:
    message = r"needs pictures of uint8 \(n, side, side, 3\), but got torch.float32 \(2, 3, 8, 8\)"
    with pytest.raises(RunError, match=message):
        augment(torch.zeros(2, 3, 8, 8), AugmentPlan())


def test_a_plan_for_another_batch_is_refused() -> None:
    message = r"a row for each of 4 pictures, but got \[1\]; take the rows of this part"
    with pytest.raises(RunError, match=message):
        augment(noise(4), AugmentPlan(flip=torch.tensor([True])))


@pytest.mark.parametrize("alpha", [0.01, 0.2, 0.4, 0.5, 1, 5])
def test_shares_are_beta_distributed(alpha: float) -> None:
    shares = _symmetric_beta(alpha, 20_000, dice()).numpy()
    assert shares.min() >= 0
    assert shares.max() <= 1
    assert shares.mean() == pytest.approx(0.5, abs=0.01)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.03)
    if alpha > 0.1:  # below, most shares are 0 or 1 as floats
        assert stats.kstest(shares, stats.beta(alpha, alpha).cdf).pvalue > 0.01


@pytest.mark.parametrize("n", [0, 1, 2, 7, 8])
def test_pairs_share_and_an_odd_last_one_keeps_itself(n: int) -> None:
    shares = draw_mixup(0.4, n, dice())
    assert shares.dtype == torch.float32
    assert shares.shape == (n,)
    paired = n // 2 * 2
    assert torch.equal(shares[0:paired:2], shares[1:paired:2])
    assert len(set(shares[0:paired:2].tolist())) == n // 2
    assert bool((shares[paired:] == 1).all())


@pytest.mark.parametrize("n", [1, 6, 7])
def test_mixing_equals_numpy(n: int) -> None:
    pictures = augment(noise(n, 8), AugmentPlan())
    before = pictures.clone()
    shares = draw_mixup(0.4, n, dice(1))
    mixed = mix(pictures, shares)
    assert mixed.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(pictures, before)
    for row in range(n):
        partner = min(row ^ 1, n - 1)
        share = float(shares[row])
        wanted = share * before[row].double() + (1 - share) * before[partner].double()
        assert (mixed[row] - wanted).abs().max() < 1e-4


def test_parts_are_mixed_as_the_whole_is() -> None:
    pictures = augment(noise(9, 8), AugmentPlan())
    shares = draw_mixup(0.4, 9, dice(1))
    parts = [mix(pictures[part], shares[part]) for part in (slice(4), slice(4, 6), slice(6, 9))]
    assert torch.equal(torch.cat(parts), mix(pictures, shares))
