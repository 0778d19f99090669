"""The loop over epochs: order, checkpoints, early stopping, and what is told on the way."""

from __future__ import annotations

import hashlib
import json
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from eyevsai_core.errors import RunError
from eyevsai_torch.checkpoint import Checkpoint
from eyevsai_torch.dice import epoch_order
from eyevsai_torch.judge import judge
from eyevsai_torch.learner import Batch
from eyevsai_torch.memory import memory_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eyevsai_core.family import FitContext
    from eyevsai_torch.config import TorchConfig
    from eyevsai_torch.feed import Feed
    from eyevsai_torch.learner import Learner

__all__ = ["Loop"]

_FILE = "checkpoint.safetensors"
_CHECKPOINT_S, _TOLD_S = 60.0, 0.5


@dataclass
class _Progress:
    """Where the loop stands: all JSON types."""

    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_loss: float = math.inf
    best_accuracy: float = -1.0
    seconds: float = 0.0
    elapsed: float = 0.0
    row: dict[str, float] = field(default_factory=dict)

    def is_better(self, metrics: dict[str, float]) -> bool:
        """Whether an epoch is the best so far: by accuracy, and among equals by loss."""
        mine = (self.best_accuracy, -self.best_loss)
        return (metrics["validation_accuracy"], -metrics["validation_loss"]) > mine


class Loop:
    """Trains a learner on `train` for the epochs of its config, judged by `validation`.

    Without `validation` the last weights are the result. `batch` is the number of pictures of a
    step over all processes.
    """

    def __init__(
        self,
        learner: Learner,
        train: Feed,
        validation: Feed | None,
        context: FitContext,
    ) -> None:
        self.learner, self.train, self.validation = learner, train, validation
        self.context = context
        self.config: TorchConfig = learner.config
        self.progress = _Progress()
        self.best: dict[str, torch.Tensor] = {}
        self._saved = self._told = time.monotonic()

    @property
    def batch(self) -> int:
        """Pictures of a step."""
        return min(self.config.batch_size or 1, len(self.train))

    @property
    def steps(self) -> int:
        """Steps of an epoch; the pictures that are left over have their turn in another one."""
        return len(self.train) // self.batch

    @property
    def part(self) -> int:
        """Pictures that this process works on at a time."""
        rows = self.learner.fleet.share(self.batch)
        return self.learner.part_size(rows.stop - rows.start)

    def run(self) -> dict[str, torch.Tensor]:
        """Go on from the checkpoint, if there is one, to the end; return the best weights."""
        self._resume()
        total = self.config.epochs or 1
        if self.progress.row:
            # The process may have died between writing the last epoch down and telling it.
            self._report()
        while self.progress.epoch < total and not self._is_stale():
            self._epoch()
            self._report()
        return self.best

    def _epoch(self) -> None:
        """Do what is left of an epoch, judge it, and write it down."""
        learner, progress = self.learner, self.progress
        started = time.monotonic()
        learner.net.train()
        learner.worker.train()
        for batch in self._batches():
            learner.step(batch)
            progress.step += 1
            self._pause(started)
        loss, right, weight, pictures = learner.fleet.total(learner.sums).tolist()
        self._check_loss(loss)
        progress.row = self._row(started, loss / weight, right / pictures)
        progress.epoch += 1
        progress.step = 0
        progress.seconds = 0.0
        learner.sums.zero_()
        self._choose()
        self._save()

    def _batches(self) -> Iterator[Batch]:
        """Yield the batches of an epoch that were not done before a kill."""
        progress, fleet = self.progress, self.learner.fleet
        order = epoch_order(self.config.seed, progress.epoch, len(self.train))
        starts = [step * self.batch for step in range(progress.step, self.steps)]
        rows = [order[start : start + self.batch] for start in starts]
        mine = [row[fleet.share(self.batch)] for row in rows]
        pictures = self.train.batches(mine)
        for number, (row, own) in enumerate(zip(rows, pictures, strict=True), progress.step):
            labels = torch.from_numpy(self.train.labels[row])
            yield Batch(own, labels, progress.epoch, number)

    def _row(self, started: float, loss: float, accuracy: float) -> dict[str, float]:
        """Return the history's line of the epoch that was just learned."""
        learner = self.learner
        seconds = self.progress.seconds + time.monotonic() - started
        rate, _ = learner.schedule.at(learner.steps - 1)
        row = {"train_loss": loss, "learning_rate": rate}
        if not self.config.mixup_alpha:
            row["train_accuracy"] = accuracy  # of blended pictures nobody knows the right answer
        if self.validation is not None:
            row |= judge(learner.average.net, self.validation, learner.precision, learner.fleet)
            learner.schedule.epoch_ended(row["validation_loss"])
        progress = self.progress
        progress.elapsed += progress.seconds + time.monotonic() - started
        row["elapsed_s"] = round(progress.elapsed, 3)
        row["pictures_per_s"] = round(self.steps * self.batch / max(seconds, 1e-9), 1)
        if learner.halvings:
            row["halvings"] = float(learner.halvings)
        return {**row, **memory_metrics(learner.precision.device)}

    def _check_loss(self, loss: float) -> None:
        """Stop early what can only end in nothing, and before a checkpoint keeps it."""
        if not math.isfinite(loss):
            raise RunError(
                f"the training diverged: the loss is {loss} in epoch {self.progress.epoch + 1}. "
                f"Set --learning-rate lower (it is {self.config.learning_rate:g}) or --clip-norm 1"
            )

    def _choose(self) -> None:
        """Keep the weights if they are the best so far; without validation, the last ones."""
        progress, row = self.progress, self.progress.row
        if self.validation is not None:
            if not progress.is_better(row):
                return
            progress.best_accuracy = row["validation_accuracy"]
            progress.best_loss = row["validation_loss"]
        progress.best_epoch = progress.epoch
        weights = self.learner.average.net.state_dict()
        self.best = {name: value.detach().clone() for name, value in weights.items()}

    def _is_stale(self) -> bool:
        """Whether nothing became better for as many epochs as the config is patient."""
        waited = self.progress.epoch - self.progress.best_epoch
        return self.validation is not None and waited >= (self.config.patience or waited + 1)

    def _report(self) -> None:
        if self.learner.fleet.is_first:
            total = self.config.epochs or 1
            self.context.report(self.progress.epoch, total, self.progress.row)

    def _pause(self, started: float) -> None:
        """Between two steps: move the progress bar, and now and then write a checkpoint."""
        now = time.monotonic()
        if now - self._told >= _TOLD_S:
            self._told = now
            self._check_loss(self.learner.sums[0].item())
            done = self.progress.epoch + self.progress.step / self.steps
            if self.learner.fleet.is_first:
                self.context.progress(done, self.config.epochs or 1, self.progress.row)
        # Several processes save together, and so at the ends of epochs: their clocks differ.
        due = now - self._saved >= _CHECKPOINT_S and self.progress.step < self.steps
        if due and self.learner.fleet.is_alone:
            passed, self.progress.seconds = self.progress.seconds, 0.0
            self.progress.seconds = passed + now - started
            self._save()
            self.progress.seconds = passed

    def _save(self) -> None:
        """Write the checkpoint; every process saves its sums by adding them to the first one's."""
        learner = self.learner
        self._saved = time.monotonic()
        sums = learner.fleet.total(learner.sums)
        if not learner.fleet.is_first:
            return
        saved = learner.checkpoint()
        tensors = {**saved.tensors, "sums": sums}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        state = {**saved.state, "progress": self._plain(), "asked": self._asked()}
        Checkpoint(tensors, state).write(self.context.directory / _FILE)

    def _plain(self) -> dict[str, Any]:
        values = dict(vars(self.progress))
        # JSON has no infinity.
        return {**values, "best_loss": values["best_loss"] if self.best else None}

    def _asked(self) -> str:
        """Return a digest of everything that must be the same when the run goes on."""
        facts = {
            "config": self.config.to_dict(),
            "pictures": len(self.train),
            "labels": hashlib.sha256(self.train.labels.tobytes()).hexdigest(),
            "net": {n: list(v.shape) for n, v in self.learner.net.state_dict().items()},
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def _resume(self) -> None:
        """Take over the checkpoint of an interrupted fit, the first process's in all of them."""
        learner, path = self.learner, self.context.directory / _FILE
        fleet = learner.fleet
        found = path.read_bytes() if fleet.is_first and path.is_file() else b""
        content = fleet.tell(found, learner.precision.device)
        if not content:
            return
        saved = Checkpoint.from_bytes(content, str(path))
        if saved.state.get("asked") != self._asked():
            raise RunError(
                f"the checkpoint {str(path)!r} was left by a fit with other options, pictures or "
                "another net; remove it to begin anew"
            )
        learner.restore(saved)
        if not fleet.is_first:
            learner.sums.zero_()  # the first process has the sum of all
        self.best = saved.part("best")
        values = saved.state["progress"]
        if values["best_loss"] is None:
            values["best_loss"] = math.inf
        self.progress = _Progress(**values)
