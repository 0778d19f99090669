"""Kill -9 anywhere, go on, and end with the same bytes."""

from __future__ import annotations

import multiprocessing
import random
import signal
from typing import TYPE_CHECKING

import pytest
from killing import train_and_die

if TYPE_CHECKING:
    from pathlib import Path

_KILLS = 20


@pytest.fixture(scope="module")
def forge() -> multiprocessing.context.ForkServerContext:
    """Processes that begin with PyTorch imported: twenty imports would take a minute."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["killing"])
    return context


def run(
    forge: multiprocessing.context.ForkServerContext, folder: Path, step: int, where: str
) -> int | None:
    process = forge.Process(target=train_and_die, args=(str(folder), step, where))
    process.start()
    process.join(60)
    return process.exitcode


def test_killed_twenty_times_it_ends_with_the_same_bytes(
    tmp_path: Path, forge: multiprocessing.context.ForkServerContext
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    assert run(forge, whole, 0, "never") == 0
    dice = random.Random(0)
    for number in range(_KILLS):
        where = ("before", "after", "writing", "written")[number % 4]
        assert run(forge, killed, dice.randint(1, 9), where) == -signal.SIGKILL
    assert run(forge, killed, 0, "never") == 0
    name = "model.safetensors"
    assert (killed / name).read_bytes() == (whole / name).read_bytes()
    rows = (killed / "rows.txt").read_text(encoding="utf-8")
    assert rows.endswith("(12, 12)]")
