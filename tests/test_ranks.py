from __future__ import annotations

import pytest

from eyevsai_core.ranks import processes_here, rank, world_size

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")


def test_alone_without_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    assert (rank(), world_size(), processes_here()) == (0, 1, 1)


def test_torchrun_says_it_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(NAMES, ("3", "8", "4"), strict=True):
        monkeypatch.setenv(name, value)
    assert (rank(), world_size(), processes_here()) == (3, 8, 4)


@pytest.mark.parametrize("text", ["", "-1", "one"])
def test_what_is_no_number_counts_as_not_said(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, text)
    assert (rank(), world_size(), processes_here()) == (0, 1, 1)


def test_nobody_shares_with_zero_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "0")
    assert processes_here() == 1
