"""Several processes that train one model: who is which, and what they tell each other.

Started by ``torchrun``, on one machine or several; one process alone is a fleet of one. A batch
is shared out in pairs of pictures, because mixup blends pairs.
"""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

from eyevsai_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Fleet"]

_PAIR = 2


@dataclass(frozen=True, slots=True)
class Fleet:
    """The place of this process among all that train together."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Fleet:
        """Read what torchrun says. Raises `ConfigError` when it makes no sense."""
        names = {"rank": "RANK", "size": "WORLD_SIZE", "local_rank": "LOCAL_RANK"}
        texts = {field: environment[name] for field, name in names.items() if name in environment}
        try:
            fleet = cls(**{field: int(text) for field, text in texts.items()})
        except ValueError as error:
            raise ConfigError(
                f"RANK, WORLD_SIZE and LOCAL_RANK must be numbers, as torchrun sets them, but "
                f"got {texts!r}"
            ) from error
        if not 0 <= fleet.rank < fleet.size or fleet.local_rank < 0:
            raise ConfigError(
                f"RANK must be from 0 to WORLD_SIZE - 1, as torchrun sets them, but got {texts!r}"
            )
        return fleet

    @property
    def is_first(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        """Whether there is nobody to talk to."""
        return self.size == 1

    def join(self, device: torch.device) -> None:
        """Meet the other processes: NCCL between GPUs, Gloo between CPUs.

        Once in a process, for all its trainings: who meets a second time may be told the address
        of the first.
        """
        if not self.is_alone and not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
            atexit.register(dist.destroy_process_group)

    def wait(self) -> None:
        """Wait until all are here."""
        if not self.is_alone:
            dist.barrier()

    def share(self, n: int) -> slice:
        """Return this process's rows of a batch of `n`: whole pairs, in order."""
        pairs = -(-n // _PAIR)
        start, stop = (pairs * (self.rank + k) // self.size * _PAIR for k in (0, 1))
        return slice(start, min(stop, n))

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum of `values` over all processes."""
        if not self.is_alone:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def tell(self, content: bytes, device: torch.device) -> bytes:
        """Return what the first process calls this with, in every process.

        As a tensor of bytes: what PyTorch offers for objects is a pickle.
        """
        if self.is_alone:
            return content
        length = torch.tensor([len(content)], dtype=torch.int64, device=device)
        dist.broadcast(length, 0)
        raw = torch.empty(int(length), dtype=torch.uint8, device=device)
        if self.is_first and content:
            raw.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        dist.broadcast(raw, 0)
        return raw.cpu().numpy().tobytes()
