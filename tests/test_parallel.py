from __future__ import annotations

import os
import threading
from itertools import count
from typing import TYPE_CHECKING

import pytest

from eyevsai_core import parallel
from eyevsai_core.parallel import core_count, map_ordered

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_results_come_in_order() -> None:
    gates = [threading.Event() for _ in range(3)]

    def work(i: int) -> int:
        if i < 2:  # each waits for the one after it, so they end in reverse
            gates[i + 1].wait(5)
        gates[i].set()
        return 10 * i

    assert list(map_ordered(work, range(3), threads=3)) == [0, 10, 20]


def test_items_are_taken_a_few_at_a_time() -> None:
    taken: list[int] = []

    def endless() -> Iterator[int]:
        for number in count(1):
            taken.append(number)
            yield number

    results = map_ordered(str, endless(), threads=2)
    assert next(results) == "1"
    assert len(taken) <= 2 * parallel._AHEAD + 1
    results.close()


def test_what_the_function_raises_comes_when_its_turn_comes() -> None:
    results = map_ordered(lambda i: 1 / i, [1, 0, 2], threads=1)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_nothing_gives_nothing() -> None:
    assert list(map_ordered(str, [])) == []


def test_cores() -> None:
    assert core_count() >= 1


@pytest.mark.parametrize(("cores", "threads"), [(5, 5), (None, 1)])
def test_where_a_process_does_not_know_its_own_cores_it_takes_all(
    monkeypatch: pytest.MonkeyPatch, cores: int | None, threads: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert core_count() == threads
