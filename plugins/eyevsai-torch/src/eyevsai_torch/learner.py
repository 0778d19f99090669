"""Learner: a net, what it learned so far, and how it takes one step."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.parallel import DistributedDataParallel

from eyevsai_core.errors import RunError
from eyevsai_torch.augment import augment, draw_mixup, draw_plan, mix
from eyevsai_torch.average import MovingAverage
from eyevsai_torch.checkpoint import Checkpoint
from eyevsai_torch.device import sum_dtype
from eyevsai_torch.dice import step_generator, step_seed
from eyevsai_torch.dropout import dropout_rows
from eyevsai_torch.fleet import Fleet
from eyevsai_torch.optimizer import make_optimizer, set_rates
from eyevsai_torch.schedule import Schedule
from eyevsai_torch.targets import loss_sum, soft_targets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from torch import nn

    from eyevsai_torch.augment import AugmentPlan
    from eyevsai_torch.config import TorchConfig
    from eyevsai_torch.device import Precision
    from eyevsai_torch.normalise import NormalisedNet

__all__ = ["Batch", "Learner"]

_PAIR = 2


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's work for this process.

    ``pictures`` are its rows, uint8 (n, size, size, 3), on the device; ``labels`` are those of
    the whole batch over all processes, int64 (total,), on the CPU.
    """

    pictures: torch.Tensor
    labels: torch.Tensor
    epoch: int
    step: int


@dataclass(frozen=True, slots=True)
class _Draw:
    """What was drawn for a step: a row a picture of the whole batch, and the weight of all."""

    plan: AugmentPlan
    lam: torch.Tensor | None
    targets: torch.Tensor
    weight: float
    seed: int

    def inputs(self, pictures: torch.Tensor, rows: slice) -> torch.Tensor:
        """Return `pictures`, which are those of `rows`, as the net sees them."""
        changed = augment(pictures, self.plan.rows(rows).to(pictures.device))
        return (
            changed
            if self.lam is None
            else mix(changed, self.lam[rows].to(pictures.device, non_blocking=True))
        )


class Learner:
    """Holds everything that a step changes; `checkpoint` and `restore` carry it over a kill."""

    def __init__(
        self,
        config: TorchConfig,
        net: NormalisedNet,
        precision: Precision,
        total: int,
        *,
        n_classes: int,
        class_weights: torch.Tensor | None = None,
        fleet: Fleet | None = None,
    ) -> None:
        """Prepare `net`, which is on its device, for `total` steps with a resolved config.

        `class_weights` is float32 (n_classes,), on the CPU.
        """
        self.config, self.net, self.precision = config, net, precision
        self.fleet = fleet or Fleet()
        self.optimizer = make_optimizer(config, net)
        self.schedule = Schedule.of(config, total)
        self.average = MovingAverage(net, config.ema, total)
        self.scaler = torch.amp.GradScaler(precision.device.type, enabled=precision.needs_scaler)
        self.n_classes = n_classes
        self.class_weights = class_weights
        self._weights_there = None if class_weights is None else class_weights.to(precision.device)
        self.steps = 0
        self.halvings = 0
        # Loss, right answers, weight and pictures since the epoch began: read once an epoch, so
        # that a GPU is never waited for.
        device = precision.device
        self.sums = torch.zeros(4, dtype=sum_dtype(device), device=device)
        self.worker: nn.Module = net

    def distribute(self) -> None:
        """Let the processes of the fleet add up their gradients."""
        if not self.fleet.is_alone:
            device = self.precision.device
            self.worker = DistributedDataParallel(
                self.worker,
                device_ids=[device] if device.type == "cuda" else None,
                forward_sync_buffers=False,  # the norms' statistics are equal already
                gradient_as_bucket_view=True,
            )

    def go_alone(self) -> None:
        """Let go of the other processes.

        What talks to them must not outlive the connection: PyTorch would wait for ever.
        """
        self.worker = self.net

    def step(self, batch: Batch) -> None:
        """Learn from one batch.

        Its parts are weighted so that the gradient is that of the whole batch, over all parts and
        processes. When a GPU's memory does not suffice, the parts are halved and the step is
        done again; the augmentation is the same, as it belongs to the step. What the norms of
        the net saw before the memory ran out, they see once more: a hundredth of their memory.
        """
        while True:
            try:
                self._accumulate(batch)
            except torch.OutOfMemoryError as error:
                self.optimizer.zero_grad(set_to_none=True)
                self._halve(len(batch.pictures), error)
            else:
                break
        rate, momentum = self.schedule.at(self.steps)
        set_rates(self.optimizer, rate, momentum)
        if self.config.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.config.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update(self.steps)
        self.steps += 1

    def _accumulate(self, batch: Batch) -> None:
        """Add up the gradients of this process's parts, and, of several processes, theirs."""
        total, device = len(batch.labels), self.precision.device
        draw = self._draw(batch)
        mine = self.fleet.share(total)
        done = torch.zeros_like(self.sums)
        for rows in self._parts(mine):
            pictures = batch.pictures[rows.start - mine.start : rows.stop - mine.start]
            inputs = draw.inputs(pictures, rows)
            targets = draw.targets[rows].to(device, non_blocking=True)
            seed = dropout_rows(draw.seed, rows.start, rows.stop, total)
            with self._quiet(last=rows.stop == mine.stop), seed:
                with self.precision.autocast():
                    scores = self.worker(inputs)
                loss, _ = loss_sum(scores.float(), targets, self._weights_there)
                # DDP takes the mean over the processes, the loss is a sum over them.
                self.scaler.scale(loss * (self.fleet.size / draw.weight)).backward()
            labels = batch.labels[rows].to(device, non_blocking=True)
            right = (scores.detach().argmax(1) == labels).sum()
            done[:2] += torch.stack([loss.detach(), right]).to(done.dtype)
        if self.fleet.is_first:
            done += torch.tensor([0.0, 0.0, draw.weight, total], device=device)
        self.sums += done

    def _draw(self, batch: Batch) -> _Draw:
        """Draw what is random in a step, for all its rows, wherever they are worked on."""
        config, total = self.config, len(batch.labels)
        dice = step_generator(config.seed, batch.epoch, batch.step)
        plan = draw_plan(config.augmentation(), total, batch.pictures.shape[1], dice)
        lam = draw_mixup(config.mixup_alpha, total, dice) if config.mixup_alpha else None
        targets = soft_targets(
            batch.labels, self.n_classes, smoothing=config.label_smoothing, lam=lam
        )
        weights = self.class_weights
        weight = total if weights is None else float((targets @ weights).sum())
        return _Draw(plan, lam, targets, weight, step_seed(config.seed, batch.epoch, batch.step))

    def _parts(self, mine: slice) -> Iterator[slice]:
        """Cut this process's rows into parts of whole pairs."""
        size = self.part_size(mine.stop - mine.start)
        for start in range(mine.start, mine.stop, size):
            yield slice(start, min(start + size, mine.stop))

    def part_size(self, n: int) -> int:
        """Return how many of this process's `n` pictures are worked on at a time: whole pairs."""
        wanted: int = self.config.parts(n) * 2**self.halvings
        pairs = -(-n // (_PAIR * wanted))
        return max(pairs, 1) * _PAIR

    def _quiet(self, *, last: bool) -> AbstractContextManager[object]:
        """Let processes talk only after the last part."""
        if isinstance(self.worker, DistributedDataParallel) and not last:
            return self.worker.no_sync()
        return nullcontext()

    def _halve(self, n: int, error: torch.OutOfMemoryError) -> None:
        if not self.fleet.is_alone or self.part_size(n) <= _PAIR:
            raise RunError(
                f"the {self.precision.device.type} device ran out of memory in a step of {n} "
                "pictures in this process; set --batch-size lower or --memory-efficient, or "
                "--image-size lower"
            ) from error
        self.halvings += 1
        torch.cuda.empty_cache()

    def checkpoint(self) -> Checkpoint:
        """Return everything that a step changes."""
        tensors = {"sums": self.sums}
        tensors |= {f"net.{name}": value for name, value in self.net.state_dict().items()}
        tensors |= {f"average.{n}": value for n, value in self.average.net.state_dict().items()}
        for number, slots in self.optimizer.state_dict()["state"].items():
            for name, value in slots.items():
                if isinstance(value, torch.Tensor):
                    tensors[f"optimizer.{number}.{name}"] = value
        state = {
            "steps": self.steps,
            "halvings": self.halvings,
            "schedule": self.schedule.state(),
            "scaler": self.scaler.state_dict(),
        }
        return Checkpoint(tensors, state)

    def restore(self, saved: Checkpoint) -> None:
        """Take over what `checkpoint` returned. Raises `RunError` when it is of another net."""
        try:
            self.net.load_state_dict(saved.part("net"))
            self.average.net.load_state_dict(saved.part("average"))
            slots: dict[int, dict[str, torch.Tensor]] = {}
            for key, value in saved.part("optimizer").items():
                number, name = key.split(".", 1)
                slots.setdefault(int(number), {})[name] = value
            self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": slots})
            self.sums.copy_(saved.tensors["sums"])
            self.steps, self.halvings = int(saved.state["steps"]), int(saved.state["halvings"])
            self.schedule.restore(saved.state["schedule"])
            if self.scaler.is_enabled():
                self.scaler.load_state_dict(saved.state["scaler"])
        except (RuntimeError, ValueError, LookupError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise RunError(
                f"the checkpoint does not fit this net: {reason}; remove it to begin anew"
            ) from error
