from __future__ import annotations

import numpy as np
import torch

from eyevsai_torch.dice import epoch_order, step_generator, step_seed


def test_a_step_draws_the_same_whatever_came_before() -> None:
    torch.rand(10)
    first = torch.rand(4, generator=step_generator(1, 2, 3))
    torch.manual_seed(9)
    torch.testing.assert_close(torch.rand(4, generator=step_generator(1, 2, 3)), first)


def test_neighbours_draw_otherwise() -> None:
    seeds = {step_seed(s, e, t) for s in range(4) for e in range(4) for t in range(4)}
    assert len(seeds) == 64
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_order_is_a_permutation_of_its_own_each_epoch() -> None:
    first, second = epoch_order(0, 0, 100), epoch_order(0, 1, 100)
    assert first.dtype == np.int64
    np.testing.assert_array_equal(np.sort(first), np.arange(100))
    assert (first != second).any()
    np.testing.assert_array_equal(epoch_order(0, 0, 100), first)
    assert (epoch_order(1, 0, 100) != first).any()
