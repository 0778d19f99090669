"""Progress bars with rate and time left: on stderr, and only when somebody is watching."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from rich.progress import Progress, Task, TaskID

__all__ = ["Bars"]

_TITLES = {
    "open": "looking at the data",
    "decode": "reading pictures",
    "fit": "fitting",
    "verify": "verifying the file",
    "evaluate": "evaluating",
    "explain": "trying covered pictures",
    "check": "checking pictures",
    "predict": "answering",
}
_NAMES = {
    "validation_accuracy": "accuracy",
    "validation_loss": "loss",
    "train_loss": "train loss",
    "best": "best",
}
_SHOWN = 2
_SLOW = 1.0  # below one a second, "seconds each" reads better than a rate
_REDRAWS = 10  # a second


class Bars:
    """One bar a stage; call it with (stage, done, total, metrics), as the library does.

    Draws nothing unless stderr is a terminal.
    """

    def __init__(self, first: str = "") -> None:
        """Begin with the stage `first`, of unknown length, if it is given."""
        self._first = first
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._began = 0.0

    def __enter__(self) -> Self:
        """Start drawing."""
        if sys.stderr.isatty():
            self._bars = _progress()
            self._bars.start()
            if self._first:
                self._tasks[self._first] = self._bars.add_task(
                    _TITLES.get(self._first, self._first), total=None, count="", rate="", note=""
                )
        self._began = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop drawing; what is finished stays to be read, what took no time goes."""
        if self._bars is None:
            return
        self._finish_open()
        if time.monotonic() - self._began < _SLOW and kind is None:
            for task in self._tasks.values():
                self._bars.remove_task(task)
        self._bars.stop()

    def __call__(
        self, stage: str, done: float, total: int, metrics: Mapping[str, float] | None = None
    ) -> None:
        """Move the bar of a stage to `done` of `total`; 0 of 0 when nobody knows how much it is."""
        if self._bars is None:
            return
        if stage not in self._tasks or (done == 0 and self._is_finished(stage)):
            self._finish_open()
            self._tasks[stage] = self._bars.add_task(
                _TITLES.get(stage, stage), total=total or None, count="", rate="", note=""
            )
        task = self._tasks[stage]
        self._bars.update(
            task,
            completed=done,
            total=total or None,
            count=f"{int(done):,}/{total:,}" if total > 1 else "",
            rate=_rate(self._bars.tasks[self._bars.task_ids.index(task)].speed),
            note=_note(metrics or {}),
        )

    def stage(self, name: str) -> Callable[[int, int], None]:
        """Return a callback (done, total) for one stage."""
        return lambda done, total: self(name, done, total)

    def _is_finished(self, stage: str) -> bool:
        return bool(
            self._bars and self._bars.tasks[self._bars.task_ids.index(self._tasks[stage])].finished
        )

    def _finish_open(self) -> None:
        """Complete the first stage, whose length nobody knew."""
        task = self._tasks.get(self._first)
        if task is not None and self._bars is not None:
            self._bars.update(task, total=1, completed=1)


def _progress() -> Progress:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    from eyevsai_core.cli.console import err

    class Clock(TimeRemainingColumn):
        """The time left; where nobody can know it, the time that has passed."""

        def render(self, task: Task) -> Text:
            if task.total is None and task.elapsed is not None:
                minutes, seconds = divmod(int(task.elapsed), 60)
                return Text(f"{minutes:02}:{seconds:02}", style="progress.elapsed")
            return super().render(task)

    return Progress(
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24, complete_style="cyan", finished_style="green"),
        TextColumn("{task.fields[count]}", justify="right"),
        TextColumn("{task.fields[rate]}", style="dim"),
        Clock(compact=True, elapsed_when_finished=True),
        TextColumn("{task.fields[note]}", style="dim"),
        console=err(),
        refresh_per_second=_REDRAWS,
    )


def _rate(speed: float | None) -> str:
    if not speed:
        return ""
    return f"{speed:,.0f}/s" if speed >= _SLOW else f"{1 / speed:.1f} s each"


def _note(metrics: Mapping[str, float]) -> str:
    shown = [name for name in _NAMES if name in metrics][:_SHOWN]
    texts = [f"{_NAMES[name]} {metrics[name]:.3f}" for name in shown]
    memory = metrics.get("device_mb", metrics.get("rss_mb"))
    texts += [] if memory is None else [f"{memory / 1024:.1f} GB"]
    return "  ".join(texts)
