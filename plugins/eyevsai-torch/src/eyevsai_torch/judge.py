"""Judging a net on pictures that it does not learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from eyevsai_torch.device import sum_dtype

if TYPE_CHECKING:
    from torch import nn

    from eyevsai_torch.device import Precision
    from eyevsai_torch.feed import Feed
    from eyevsai_torch.fleet import Fleet

__all__ = ["judge", "pixels_to_input"]

_BATCH = 256


def pixels_to_input(pictures: torch.Tensor) -> torch.Tensor:
    """Turn uint8 (n, size, size, 3) into what nets take: float32 (n, 3, size, size), 0-255.

    The memory keeps its order, channels last.
    """
    return pictures.permute(0, 3, 1, 2).float()


@torch.no_grad()
def judge(net: nn.Module, feed: Feed, precision: Precision, fleet: Fleet) -> dict[str, float]:
    """Return loss and accuracy of `net`, in evaluation mode, on all pictures of `feed`.

    Each process of the fleet looks at its share.
    """
    share = fleet.share(len(feed))
    starts = range(share.start, share.stop, _BATCH)
    indices = [np.arange(start, min(start + _BATCH, share.stop)) for start in starts]
    sums = torch.zeros(2, dtype=sum_dtype(feed.device), device=feed.device)
    for index, pictures in zip(indices, feed.batches(indices), strict=True):
        labels = torch.from_numpy(feed.labels[index]).to(feed.device)
        with precision.autocast():
            scores = net(pixels_to_input(pictures))
        loss = functional.cross_entropy(scores.float(), labels, reduction="sum")
        sums += torch.stack([loss, (scores.argmax(1) == labels).sum()]).to(sums.dtype)
    loss_total, right = fleet.total(sums).tolist()
    n = max(len(feed), 1)
    return {"validation_loss": loss_total / n, "validation_accuracy": right / n}
