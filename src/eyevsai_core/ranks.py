"""Which of several processes this is, when ``torchrun`` started them to train one model."""

from __future__ import annotations

import os

__all__ = ["processes_here", "rank", "world_size"]


def rank() -> int:
    """Return this process's number; 0, the first, is the one that owns the run and reports."""
    return _number("RANK", 0)


def world_size() -> int:
    """Return how many processes train together, on all machines; 1 without torchrun."""
    return _number("WORLD_SIZE", 1)


def processes_here() -> int:
    """Return how many of them share this machine's cores."""
    return max(_number("LOCAL_WORLD_SIZE", 1), 1)


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else default
