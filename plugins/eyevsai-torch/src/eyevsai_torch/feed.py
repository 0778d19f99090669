"""Feed: pictures from the pixel cache to the device, a batch at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from eyevsai_core.family import TrainData

    Index = npt.NDArray[np.int64]

__all__ = ["Feed"]

_RESIDENT_SHARE = 0.25


class Feed:
    """The rows of one or more splits as if they were one array.

    On a CPU a batch is gathered from the memory map when it is asked for. On a GPU all pictures
    move there once if they take up at most a quarter of its free memory; otherwise the next
    batch is gathered and sent while the GPU works on the last.
    """

    def __init__(self, parts: Sequence[TrainData], device: torch.device) -> None:
        self.device = device
        self.labels: Index = np.concatenate([part.labels for part in parts])
        self._parts = [part.images for part in parts]
        self._starts = np.cumsum([0, *(len(part.labels) for part in parts)])
        self._resident: torch.Tensor | None = None
        if device.type == "cuda" and self._bytes < _RESIDENT_SHARE * torch.cuda.mem_get_info()[0]:
            self._resident = torch.cat([_tensor(part[:]) for part in self._parts]).to(device)

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.labels)

    @property
    def _bytes(self) -> int:
        return sum(part.nbytes for part in self._parts)

    def batches(self, indices: Iterable[Index]) -> Iterator[torch.Tensor]:
        """Yield the pictures of each index, uint8 (n, size, size, 3), on the device."""
        if self.device.type == "cpu" or self._resident is not None:
            yield from map(self.pictures, indices)
            return
        with ThreadPoolExecutor(1, "feed") as helper:
            coming = None
            for index in indices:
                after = helper.submit(self.pictures, index)
                if coming is not None:
                    yield coming.result()
                coming = after
            if coming is not None:
                yield coming.result()

    def pictures(self, index: Index) -> torch.Tensor:
        """Return the pictures of an index, uint8 (n, size, size, 3), on the device."""
        if self._resident is not None:
            return self._resident[torch.from_numpy(index).to(self.device)]
        rows = _tensor(self._gather(index))
        if self.device.type == "cuda":
            rows = rows.pin_memory()
        return rows.to(self.device, non_blocking=True)

    def _gather(self, index: Index) -> npt.NDArray[np.uint8]:
        if len(self._parts) == 1:
            return np.asarray(self._parts[0][index])
        found = np.empty((len(index), *self._parts[0].shape[1:]), np.uint8)
        for part, start, stop in zip(self._parts, self._starts[:-1], self._starts[1:], strict=True):
            mine = (start <= index) & (index < stop)
            found[mine] = part[index[mine] - start]
        return found


def _tensor(rows: npt.NDArray[np.uint8]) -> torch.Tensor:
    # A slice of the read-only map is copied, because PyTorch knows no read-only tensors.
    return torch.from_numpy(np.require(rows, requirements=["C", "W"]))
