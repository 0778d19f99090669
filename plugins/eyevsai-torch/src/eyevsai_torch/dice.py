"""Random numbers without state: each draw belongs to a seed, an epoch and a step.

What a step draws depends on nothing that was drawn before. A run that is resumed needs to know
only which step is next, and several processes draw the same numbers without talking.
"""

from __future__ import annotations

import numpy as np
import torch

__all__ = ["epoch_order", "step_generator", "step_seed"]

_ORDER, _STEP = 1, 2


def step_seed(seed: int, epoch: int, step: int) -> int:
    """Return a seed, 0 to 2**63 - 1, for one step (both counted from 0) of a run."""
    return _seed(seed, _STEP, epoch, step)


def step_generator(seed: int, epoch: int, step: int) -> torch.Generator:
    """Return a generator on the CPU for one step of a run."""
    return torch.Generator().manual_seed(step_seed(seed, epoch, step))


def epoch_order(seed: int, epoch: int, n: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the order in which an epoch sees `n` pictures: a permutation, int64 (n,)."""
    dice = np.random.Generator(np.random.PCG64(_seed(seed, _ORDER, epoch)))
    return dice.permutation(n)


def _seed(*words: int) -> int:
    # SeedSequence mixes its words, so that neighbouring steps have unrelated numbers.
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1))
