from __future__ import annotations

import math

import pytest

from eyevsai_torch.config import TorchConfig
from eyevsai_torch.schedule import Schedule


def schedule(name: str, total: int = 100, **options: object) -> Schedule:
    config = TorchConfig(schedule=name, learning_rate=0.4, warmup=0.2, **options)  # type: ignore[arg-type]
    return Schedule.of(config, total)


def test_one_cycle_is_up_and_down_along_half_cosines() -> None:
    rates = [schedule("one_cycle").at(step)[0] for step in range(101)]
    assert rates[0] == pytest.approx(0.4 / 25)
    assert rates[20] == pytest.approx(0.4)
    assert rates[10] == pytest.approx(0.4 * (0.04 + 0.96 * 0.5))
    assert rates[60] == pytest.approx(0.4 * (1e-4 + (1 - 1e-4) * 0.5))
    assert rates[100] == pytest.approx(0.4e-4)
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)


def test_momentum_moves_against_the_rate_in_one_cycle() -> None:
    cycle = schedule("one_cycle")
    assert cycle.at(0)[1] == pytest.approx(0.95)
    assert cycle.at(20)[1] == pytest.approx(0.85)
    assert cycle.at(100)[1] == pytest.approx(0.95)


@pytest.mark.parametrize("momentum", [0.0, 0.02, 0.98, 0.9999])
def test_momentum_stays_a_momentum(momentum: float) -> None:
    cycle = schedule("one_cycle", momentum=momentum)
    assert all(0 <= cycle.at(step)[1] < 1 for step in range(101))


def test_cosine_warms_up_linearly_and_falls_to_nothing() -> None:
    cosine = schedule("cosine")
    assert cosine.at(0)[0] == pytest.approx(0.4 / 20)
    assert cosine.at(9)[0] == pytest.approx(0.2)
    assert cosine.at(60)[0] == pytest.approx(0.4 * (1 + math.cos(math.pi / 2)) / 2)
    assert cosine.at(100)[0] == pytest.approx(0, abs=1e-9)
    assert {cosine.at(step)[1] for step in range(100)} == {0.9}


def test_constant_stays() -> None:
    assert {schedule("constant").at(step)[0] for step in range(20, 100)} == {0.4}


def test_plateau_falls_when_the_loss_does_not() -> None:
    plateau = schedule("plateau")
    for loss in (1.0, 0.9, 0.9, 0.95):
        plateau.epoch_ended(loss)
    assert plateau.at(50)[0] == pytest.approx(0.4)
    plateau.epoch_ended(0.9)
    assert plateau.at(50)[0] == pytest.approx(0.4 * 0.3)
    plateau.epoch_ended(0.5)
    for _ in range(3):
        plateau.epoch_ended(0.6)
    assert plateau.at(50)[0] == pytest.approx(0.4 * 0.09)


def test_others_do_not_listen_to_the_loss() -> None:
    cosine = schedule("cosine")
    for _ in range(10):
        cosine.epoch_ended(1.0)
    assert cosine.at(19)[0] == pytest.approx(0.4)


@pytest.mark.parametrize("losses", [[], [1.0, 2.0, 2.0, 2.0, 2.0]])
def test_state_goes_over(losses: list[float]) -> None:
    before, after = schedule("plateau"), schedule("plateau")
    for loss in losses:
        before.epoch_ended(loss)
    after.restore(before.state())
    assert after == before


def test_a_run_of_one_step_has_a_rate() -> None:
    assert schedule("one_cycle", total=1).at(0)[0] > 0
    assert schedule("cosine", total=1).at(0)[0] == pytest.approx(0.4)
