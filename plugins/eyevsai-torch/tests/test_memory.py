from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from eyevsai_torch.memory import memory_metrics

if TYPE_CHECKING:
    import pytest


def test_resident_memory_of_this_process() -> None:
    before = memory_metrics(torch.device("cpu"))
    held = torch.ones(32 << 20, dtype=torch.uint8)
    after = memory_metrics(torch.device("cpu"))
    assert set(after) == {"rss_mb"}
    assert 20 < after["rss_mb"] - before["rss_mb"] < 200
    assert held.sum() == 32 << 20


def test_gpu_memory_is_the_largest_since_the_last_call(monkeypatch: pytest.MonkeyPatch) -> None:
    reset: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 3 << 20)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset.append)
    device = torch.device("cuda", 1)
    assert memory_metrics(device)["device_mb"] == 3
    assert reset == [device]


def test_memory_of_a_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.mps, "current_allocated_memory", lambda: 5 << 20)
    assert memory_metrics(torch.device("mps"))["device_mb"] == 5
