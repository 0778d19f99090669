"""Work on many items with threads, in order, in bounded memory."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

__all__ = ["core_count", "map_ordered"]

_T = TypeVar("_T")
_R = TypeVar("_R")

_AHEAD = 4  # items in flight for each thread


def core_count() -> int:
    """Return how many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_ordered(
    function: Callable[[_T], _R], items: Iterable[_T], *, threads: int | None = None
) -> Iterator[_R]:
    """Yield ``function(item)`` of each item, in order, `threads` at a time (one a core).

    Only a few results wait to be taken, however many items there are; what `function` raises is
    raised here, when its turn comes.
    """
    threads = threads or core_count()
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[_R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > _AHEAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            # Whoever stops taking, or is interrupted, does not wait for the rest.
            for future in waiting:
                future.cancel()
