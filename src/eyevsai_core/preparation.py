"""What comes before every fit: the family, the data, the input size, the checked options.

Training, the processes that help it, and the learning rate range test all begin with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eyevsai_core.dataset_check import refuse_conflicts, refuse_leaks
from eyevsai_core.errors import ConfigError
from eyevsai_core.families import parse_model_name
from eyevsai_core.family import TrainData
from eyevsai_core.parallel import core_count
from eyevsai_core.pixels import PixelCache, auto_image_size
from eyevsai_core.ranks import processes_here, world_size
from eyevsai_core.splits import with_splits
from eyevsai_core.start import StartModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from eyevsai_core.config import TrainConfig
    from eyevsai_core.dataset import Dataset
    from eyevsai_core.family import Classifier

    Progress = Callable[[str, float, int, dict[str, float]], None]

__all__ = ["Preparation", "QuietContext", "Request"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for: enough to do it again, or to go on after a kill. All plain values."""

    model: str
    data: str
    options: dict[str, Any]
    calibration: str = "auto"
    registry: str | None = None
    out: str | None = None
    name: str | None = None
    start: str | None = None
    allow_leaks: bool = False
    allow_conflicts: bool = False
    allow_unreadable: bool = False
    threads: int | None = None
    command: str = ""


class Preparation:
    """The family, the data and the options of a request, checked; pictures are read when asked."""

    def __init__(self, request: Request, dataset: Dataset, progress: Progress | None) -> None:
        self.request = request
        self._progress = progress
        self.family, self.variant = parse_model_name(request.model)
        if world_size() > 1 and not self.family.distributed:
            raise ConfigError(
                f"family {self.family.name!r} trains in one process, but torchrun started "
                f"{world_size()}; start it without torchrun"
            )
        self.threads = request.threads or max(core_count() // processes_here(), 1)
        self.dataset = with_splits(dataset, seed=request.options["seed"])
        if not request.allow_conflicts:
            refuse_conflicts(self.dataset)
        if not request.allow_leaks:
            refuse_leaks(self.dataset)
        self.start_model = StartModel.open(Path(request.start)) if request.start else None
        # A net sees best what has the size that it has learned to see.
        before = self.start_model.card.image_size if self.start_model else None
        self.image_size = request.options["image_size"] or before or auto_image_size(self.dataset)
        options = {**request.options, "image_size": self.image_size}
        self.config: TrainConfig = self.family.config.from_dict(options)
        self.start: Classifier | None = (
            self.start_model.load(self.family, self.variant) if self.start_model else None
        )

    def tell(
        self, stage: str, done: float, total: int, metrics: dict[str, float] | None = None
    ) -> None:
        """Move the progress bar of a stage."""
        if self._progress:
            self._progress(stage, done, total, metrics or {})

    @cached_property
    def cache(self) -> PixelCache:
        """Every picture, decoded once, at the size that the model looks at."""
        return PixelCache.open(
            self.dataset,
            self.image_size,
            threads=self.threads,
            allow_unreadable=self.request.allow_unreadable,
            progress=lambda done, total: self.tell("decode", done, total),
        )

    def data(self, split: str) -> TrainData:
        """Return a split as a trainer sees it."""
        return TrainData(
            images=self.cache.images(split),
            labels=self.cache.labels(split),
            classes=self.dataset.classes,
        )


@dataclass(frozen=True, slots=True)
class QuietContext:
    """A trainer's context (`FitContext`) without a run: nothing is kept."""

    preparation: Preparation
    directory: Path

    @property
    def threads(self) -> int:
        """How many threads to use."""
        return self.preparation.threads

    @property
    def start(self) -> Classifier | None:
        """The model to continue from."""
        return self.preparation.start

    def report(self, step: int, total: int, metrics: dict[str, float]) -> None:
        """Move the progress bar."""
        self.progress(step, total, metrics)

    def progress(self, done: float, total: int, metrics: dict[str, float]) -> None:
        """Move the progress bar."""
        self.preparation.tell("fit", done, total, metrics)

    def note(self, text: str) -> None:
        """Say nothing: who owns the run says it."""
