from __future__ import annotations

import io
import itertools
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from eyevsai_core.cli import progress
from eyevsai_core.cli.progress import Bars

if TYPE_CHECKING:
    from collections.abc import Callable


class Terminal(io.StringIO):
    """A place to write to that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Terminal]:
    """Let somebody watch stderr; `seconds` pass between two looks at the clock.

    To be called in the test itself: pytest gives every phase a stderr of its own.
    """

    def watch(seconds: float = 2.0) -> Terminal:
        screen = Terminal()
        clock = itertools.count(0.0, seconds)
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "120")
        return screen

    return watch


def last(screen: Terminal) -> list[str]:
    """Return the lines that stay on the screen."""
    return screen.getvalue().rpartition("\r")[2].splitlines()


def test_quiet_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Bars("open") as bars:
        bars("fit", 1, 2, {"validation_accuracy": 0.5})
        bars.stage("decode")(1, 2)
    assert capsys.readouterr() == ("", "")


def test_one_bar_a_stage_with_count_rate_and_metrics(watched: Callable[..., Terminal]) -> None:
    terminal = watched()
    with Bars("open") as bars:
        bars("decode", 0, 5000)
        bars("decode", 5000, 5000)
        bars("fit", 0, 0)
        bars("fit", 1, 3)
        bars("fit", 3, 3, {"train_loss": 0.25, "validation_accuracy": 0.75, "seconds": 9.0})
        bars("strange", 1, 1)
    text = terminal.getvalue()
    for word in ("looking at the data", "reading pictures", "5,000/5,000", "fitting", "3/3"):
        assert word in text
    assert "accuracy 0.750  train loss 0.250" in text
    assert "strange" in text
    assert text.count("✓") >= 4


def test_a_stage_that_begins_again_is_a_new_bar(watched: Callable[..., Terminal]) -> None:
    terminal = watched()
    with Bars() as bars:
        bars("evaluate", 1, 1)
        bars("evaluate", 0, 8)
        bars("evaluate", 8, 8)
    assert "8/8" in terminal.getvalue()


def test_what_took_no_time_leaves_nothing(watched: Callable[..., Terminal]) -> None:
    terminal = watched(seconds=0)
    with Bars("open") as bars:
        bars("predict", 1, 1)
    assert not [line for line in last(terminal) if "answering" in line]


def test_an_error_leaves_the_bars_to_be_read(watched: Callable[..., Terminal]) -> None:
    terminal = watched(seconds=0)
    with suppress(ZeroDivisionError), Bars("open") as bars:
        bars("fit", 1, 3)
        raise ZeroDivisionError
    assert "fitting" in terminal.getvalue()


@pytest.mark.parametrize(
    ("speed", "text"), [(None, ""), (0.0, ""), (1234.5, "1,234/s"), (0.25, "4.0 s each")]
)
def test_rates(speed: float | None, text: str) -> None:
    assert progress._rate(speed) == text


@pytest.mark.parametrize(
    ("metrics", "text"),
    [
        ({"validation_accuracy": 0.5, "rss_mb": 1536.0}, "accuracy 0.500  1.5 GB"),
        ({"rss_mb": 1536.0, "device_mb": 20480.0}, "20.0 GB"),
        ({}, ""),
    ],
)
def test_the_memory_in_use_is_shown(metrics: dict[str, float], text: str) -> None:
    assert progress._note(metrics) == text
