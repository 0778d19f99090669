"""Colours and covered rectangles: against numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from eyevsai_torch.augment import AugmentSettings, draw_plan
from eyevsai_torch.colour import covered, jittered

if TYPE_CHECKING:
    import numpy.typing as npt


def dice(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def planes(n: int, side: int = 16) -> torch.Tensor:
    return torch.randint(256, (n, 3, side, side), generator=dice(n)).float()


def coloured(picture: npt.NDArray[np.float32], factors: list[float]) -> npt.NDArray[np.float64]:
    brightness, contrast, saturation = factors
    luma = np.array([0.299, 0.587, 0.114])
    brighter = picture.astype(float) * brightness
    mean = np.tensordot(luma, brighter, 1).mean()
    stronger = contrast * brighter + (1 - contrast) * mean
    grey = np.tensordot(luma, stronger, 1)
    mixed = saturation * stronger + (1 - saturation) * grey
    return np.asarray(np.clip(mixed, 0, 255))


def test_colours_equal_three_steps_in_numpy() -> None:
    pictures = planes(30)
    plan = draw_plan(AugmentSettings(colour=1.0), 30, 16, dice())
    assert plan.colour is not None
    result = jittered(pictures, plan.colour).numpy()
    for row in range(30):
        wanted = coloured(pictures[row].numpy(), plan.colour[row].tolist())
        assert np.abs(result[row] - wanted).max() < 1e-3


def test_factors_of_one_change_nothing() -> None:
    pictures = planes(3)
    assert (jittered(pictures, torch.ones(3, 3)) - pictures).abs().max() < 1e-4


def test_saturation_does_not_touch_grey_pictures() -> None:
    grey = planes(5)[:, :1].expand(-1, 3, -1, -1).contiguous()
    factors = torch.stack([torch.ones(5), torch.ones(5), torch.linspace(0, 2, 5)], dim=1)
    assert (jittered(grey, factors) - grey).abs().max() < 1e-4


def test_no_saturation_is_grey() -> None:
    result = jittered(planes(1), torch.tensor([[1.0, 1.0, 0.0]]))
    assert (result - result[:, :1]).abs().max() < 1e-4


def test_covering_fills_the_box_and_nothing_else() -> None:
    pictures = planes(3)
    box = torch.tensor([[2, 3, 7, 5], [0, 0, 16, 16], [0, 0, 0, 0]])
    level = torch.tensor([10.0, 20.0, 30.0])
    wanted = pictures.numpy().copy()
    wanted[0, :, 3:5, 2:7] = 10
    wanted[1] = 20
    assert np.array_equal(covered(pictures, box, level), wanted)
