from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from making_nets import CLASSES, data

from eyevsai_core.family import TrainData
from eyevsai_torch.feed import Feed

if TYPE_CHECKING:
    from pathlib import Path

CPU = torch.device("cpu")


def mapped(folder: Path, n: int, seed: int) -> TrainData:
    """Pictures as the pixel cache gives them: a read-only memory map."""
    made = data(n, seed)
    made.images.tofile(folder / f"{seed}.u8")
    rows = np.memmap(folder / f"{seed}.u8", np.uint8, "r", shape=made.images.shape)
    return TrainData(images=rows, labels=made.labels, classes=CLASSES)


def test_rows_of_a_memory_map(tmp_path: Path) -> None:
    part = mapped(tmp_path, 10, 0)
    feed = Feed([part], CPU)
    assert len(feed) == 10
    index = np.array([9, 0, 3])
    found = feed.pictures(index)
    assert found.dtype is torch.uint8
    np.testing.assert_array_equal(found.numpy(), part.images[index])
    found.zero_()
    assert part.images[9].any()


def test_two_parts_are_one(tmp_path: Path) -> None:
    parts = [mapped(tmp_path, 10, 0), mapped(tmp_path, 6, 1)]
    feed = Feed(parts, CPU)
    assert len(feed) == 16
    index = np.array([15, 2, 10, 9])
    expected = np.concatenate([part.images for part in parts])[index]
    np.testing.assert_array_equal(feed.pictures(index).numpy(), expected)
    np.testing.assert_array_equal(feed.labels, np.concatenate([part.labels for part in parts]))


@pytest.mark.parametrize("device", ["cpu", "elsewhere"])
def test_batches_come_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    part = mapped(tmp_path, 12, 0)
    feed = Feed([part], CPU)
    if device == "elsewhere":
        # What a GPU takes: gathered one batch ahead, by a thread. A stand-in that is not "cpu".
        monkeypatch.setattr(feed, "device", torch.device("meta"))
        monkeypatch.setattr(feed, "pictures", lambda index: torch.from_numpy(part.images[index]))
    indices = [np.array([1, 2]), np.array([5]), np.array([11, 0, 4])]
    for index, found in zip(indices, feed.batches(iter(indices)), strict=True):
        np.testing.assert_array_equal(found.numpy(), part.images[index])
    assert list(feed.batches([])) == []


def test_a_gpu_with_room_keeps_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [mapped(tmp_path, 4, 0), mapped(tmp_path, 4, 1)]
    feed = Feed(parts, CPU)
    monkeypatch.setattr(
        feed, "_resident", torch.cat([torch.from_numpy(part.images[:].copy()) for part in parts])
    )
    found = feed.pictures(np.array([7, 0]))
    np.testing.assert_array_equal(found[0].numpy(), parts[1].images[3])
    np.testing.assert_array_equal(found[1].numpy(), parts[0].images[0])
