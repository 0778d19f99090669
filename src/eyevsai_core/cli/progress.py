"""Progress bars with rate and time left: on stderr, and only when a person is watching."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Progress = Callable[[str, int, int, dict[str, float]], None]

__all__ = ["progress_bars"]

_NAMES = {
    "decode": "reading pictures",
    "fit": "fitting",
    "verify": "proving that the file equals the model",
    "evaluate": "evaluating",
    "explain": "asking about covered pictures",
}
_SHOWN = ("validation_accuracy", "train_loss", "validation_loss")


@contextmanager
def progress_bars(*, quiet: bool = False) -> Iterator[Progress | None]:
    """Give a callback (stage, done, total, metrics) that draws one bar a stage, or None."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bars = Progress(
        TextColumn("{task.description:24.24}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
    )
    tasks: dict[str, TaskID] = {}

    def show(stage: str, done: int, total: int, metrics: dict[str, float]) -> None:
        if stage not in tasks or bars.tasks[tasks[stage]].total != total:
            tasks[stage] = bars.add_task(_NAMES.get(stage, stage), total=total, note="", rate="")
        speed = bars.tasks[tasks[stage]].speed
        note = "  ".join(f"{k.replace('_', ' ')} {metrics[k]:.3f}" for k in _SHOWN if k in metrics)
        bars.update(
            tasks[stage], completed=done, note=note, rate=f"{speed:.3g}/s" if speed else ""
        )

    with bars:
        yield show
