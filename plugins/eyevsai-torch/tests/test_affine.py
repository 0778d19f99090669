"""Moving pixels: against numpy's pad and scipy's interpolation."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from scipy import ndimage

from eyevsai_torch.affine import moved, warped
from eyevsai_torch.augment import AugmentSettings, augment, draw_plan

if TYPE_CHECKING:
    import numpy.typing as npt


def dice(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(n: int, side: int = 16) -> torch.Tensor:
    return torch.randint(256, (n, side, side, 3), dtype=torch.uint8, generator=dice(n + side))


def planes(n: int, side: int = 16) -> torch.Tensor:
    return noise(n, side).permute(0, 3, 1, 2).float().contiguous()


def padded_and_cropped(
    picture: npt.NDArray[np.uint8], flip: object, across: int, down: int
) -> npt.NDArray[np.uint8]:
    side = len(picture)
    if flip:
        picture = picture[:, ::-1]
    reach = max(abs(across), abs(down))
    wide = np.pad(picture, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    return wide[reach + down :, reach + across :][:side, :side]


@pytest.mark.parametrize("side", [8, 15, 32])
def test_flip_and_shift_equal_numpy_byte_for_byte(side: int) -> None:
    pictures = noise(60, side)
    settings = AugmentSettings(flip=True, shift=0.5)
    plan = draw_plan(settings, 60, side, dice(3))
    assert plan.flip is not None
    assert plan.shift is not None
    result = augment(pictures, plan)
    for row, (flip, (across, down)) in enumerate(
        zip(plan.flip.tolist(), plan.shift.tolist(), strict=True)
    ):
        wanted = padded_and_cropped(pictures[row].numpy(), flip, across, down)
        assert np.array_equal(result[row].permute(1, 2, 0).numpy(), wanted)


@pytest.mark.parametrize(
    ("across", "down"), [(0, 0), (1, -2), (-7, 7), (20, -35)], ids=["none", "few", "side", "far"]
)
def test_a_shift_of_any_length_reflects(across: int, down: int) -> None:
    pictures = noise(2, 8)
    plan = {"flip": torch.tensor([False, True]), "shift": torch.tensor([[across, down]] * 2)}
    result = moved(pictures, **plan).numpy()
    for row, flip in enumerate((False, True)):
        wanted = padded_and_cropped(pictures[row].numpy(), flip, across, down)
        assert np.array_equal(result[row], wanted)


def test_only_mirrored() -> None:
    pictures = noise(2)
    result = moved(pictures, flip=torch.tensor([True, False]), shift=None)
    assert np.array_equal(result[0], pictures[0].numpy()[:, ::-1])
    assert torch.equal(result[1], pictures[1])


def test_pictures_that_are_a_view_are_read_right() -> None:
    view = noise(4, 8).transpose(1, 2)
    flip = torch.tensor([True] * 4)
    assert torch.equal(moved(view, flip=flip, shift=None), view.flip(2))


def interpolated(
    picture: npt.NDArray[np.float32],
    *,
    flip: bool,
    shift: tuple[int, int],
    angle: float,
    zoom: float,
) -> npt.NDArray[np.float64]:
    """Say what happens to the picture, forwards, and let scipy look the pixels up backwards."""
    side = picture.shape[-1]
    middle = (side - 1) / 2
    to_middle = np.array([[1, 0, -middle], [0, 1, -middle], [0, 0, 1]])
    mirror = np.diag([-1.0 if flip else 1.0, 1, 1])
    # Counter-clockwise where y points down.
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    move = np.array([[1, 0, -shift[0]], [0, 1, -shift[1]], [0, 0, 1]])
    forwards = (
        move @ np.linalg.inv(to_middle) @ np.diag([zoom, zoom, 1]) @ turn @ mirror @ to_middle
    )
    y, x = np.mgrid[:side, :side]
    places = np.linalg.inv(forwards) @ np.stack([x.ravel(), y.ravel(), np.ones(side * side)])
    return np.stack(
        [
            ndimage.map_coordinates(plane.astype(float), places[1::-1], order=1, mode="mirror")
            for plane in picture
        ]
    ).reshape(picture.shape)


@pytest.mark.parametrize("side", [15, 16])
def test_all_of_the_geometry_equals_scipy(side: int) -> None:
    pictures = noise(20, side)
    plan = draw_plan(
        AugmentSettings(flip=True, shift=0.3, rotate=180, scale=0.8), 20, side, dice(1)
    )
    assert plan.flip is not None
    assert plan.shift is not None
    assert plan.angle is not None
    assert plan.zoom is not None
    result = augment(pictures, plan).numpy()
    for row in range(20):
        wanted = interpolated(
            pictures[row].permute(2, 0, 1).float().numpy(),
            flip=bool(plan.flip[row]),
            shift=(int(plan.shift[row, 0]), int(plan.shift[row, 1])),
            angle=float(plan.angle[row]),
            zoom=float(plan.zoom[row]),
        )
        assert np.abs(result[row] - wanted).max() < 0.01


@pytest.mark.parametrize(("side", "tolerance"), [(15, 1e-3), (32, 1e-3), (64, 3e-3)])
def test_no_turn_is_the_identity(side: int, tolerance: float) -> None:
    before = planes(2, side)
    after = warped(before, flip=None, shift=None, angle=torch.zeros(2), zoom=None)
    assert (after - before).abs().max() < tolerance


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_are_counter_clockwise(quarters: int) -> None:
    before = planes(1)
    angle = torch.tensor([quarters * torch.pi / 2])
    after = warped(before, flip=None, shift=None, angle=angle, zoom=None)
    wanted = np.rot90(before.numpy(), quarters, (2, 3))
    assert np.abs(after.numpy() - wanted).max() < 1e-2


def test_half_a_turn_is_two_flips() -> None:
    before = planes(1)
    after = warped(before, flip=None, shift=None, angle=torch.tensor([torch.pi]), zoom=None)
    assert (after - before.flip(2, 3)).abs().max() < 1e-2


def test_interpolation_reflects_as_indexing_does() -> None:
    pictures = noise(8)
    plan = draw_plan(AugmentSettings(flip=True, shift=0.5), 8, 16, dice())
    still = dataclasses.replace(plan, zoom=torch.ones(8))
    assert (augment(pictures, plan) - augment(pictures, still)).abs().max() < 1e-2


def test_zoom_above_one_magnifies() -> None:
    before = torch.zeros(1, 3, 17, 17)
    before[..., 7:10, 7:10] = 255
    after = warped(before, flip=None, shift=None, angle=None, zoom=torch.tensor([2.0]))
    assert float(after.sum()) == pytest.approx(4 * float(before.sum()), rel=1e-5)
