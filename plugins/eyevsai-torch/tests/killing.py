"""A fit in a process of its own that kills itself; a module, because such processes import it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from making_nets import fit

from eyevsai_torch import checkpoint as checkpoint_module
from eyevsai_torch import loop as loop_module
from eyevsai_torch.learner import Learner

if TYPE_CHECKING:
    from eyevsai_torch.learner import Batch

_OPTIONS = {
    "epochs": 12,
    "n": 160,
    "precision": "auto",
    "flip": True,
    "shift": 0.2,
    "rotate": 10.0,
    "erase": 0.3,
    "mixup_alpha": 0.3,
    "accumulate": 2,
    "optimizer": "adamw",
    "schedule": "plateau",
}


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def train_and_die(folder: str, step: int, where: str) -> None:
    """Train in a process of its own that is killed at its `step`-th step, somewhere in it."""
    count = 0
    loop_module._CHECKPOINT_S = 0.0  # after every step, so that every step can be gone on from
    plain_step, plain_write = Learner.step, checkpoint_module.write_atomic

    def step_or_die(self: Learner, batch: Batch) -> None:
        nonlocal count
        count += 1
        if count == step and where == "before":
            _die()
        plain_step(self, batch)
        if count == step and where == "after":
            _die()

    def write_or_die(path: Path, content: bytes) -> None:
        if count == step and where == "writing":
            (path.parent / ".staging-half").write_bytes(content[: len(content) // 2])
            _die()
        plain_write(path, content)
        if count == step and where == "written":
            _die()

    Learner.step = step_or_die  # type: ignore[method-assign]
    checkpoint_module.write_atomic = write_or_die
    classifier, context = fit(Path(folder), **_OPTIONS)  # type: ignore[arg-type]
    classifier.save(Path(folder))
    rows = [(done, total) for done, total, _ in context.rows]
    Path(folder, "rows.txt").write_text(repr(rows), encoding="utf-8")
