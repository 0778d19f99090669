"""How much memory is in use: of this process, and of its GPU."""

from __future__ import annotations

import psutil
import torch

__all__ = ["memory_metrics"]

_MB = 1 << 20


def memory_metrics(device: torch.device) -> dict[str, float]:
    """Return ``rss_mb``, the memory of this process now, and of a GPU ``device_mb``.

    Both in units of 2**20 bytes; an NVIDIA GPU's is the largest since the last call.
    """
    metrics = {"rss_mb": round(psutil.Process().memory_info().rss / _MB, 1)}
    if device.type == "cuda":
        metrics["device_mb"] = round(torch.cuda.max_memory_allocated(device) / _MB, 1)
        torch.cuda.reset_peak_memory_stats(device)
    elif device.type == "mps":
        metrics["device_mb"] = round(torch.mps.current_allocated_memory() / _MB, 1)
    return metrics
