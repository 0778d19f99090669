"""Where to compute and how exactly: the device, the precision, and the C library's memory."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from eyevsai_core.errors import ConfigError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["Precision", "choose_device", "choose_precision", "sum_dtype", "tune_malloc"]

_M_MMAP_MAX, _M_TRIM_THRESHOLD, _M_TOP_PAD = -4, -1, -2  # malloc.h
_KEPT_BYTES = 256 << 20
_BFLOAT16_GPU = 8  # compute capability: Ampere, the first that multiplies it in hardware


@dataclass(frozen=True, slots=True)
class Precision:
    """A precision on a device: ``float32``, or ``bf16`` and ``fp16`` by autocasting to it."""

    name: str
    device: torch.device

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context that the forward pass runs in."""
        dtype = torch.float16 if self.name == "fp16" else torch.bfloat16
        # Weights are cast anew in each pass: a cache would outlive none and cost memory.
        return torch.autocast(self.device.type, dtype, enabled=self.name != "float32")

    @property
    def needs_scaler(self) -> bool:
        """Whether small gradients would vanish without loss scaling (Micikevicius et al. 2018)."""
        return self.name == "fp16"


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """Return the device of this name; ``auto`` is the first of cuda, mps, cpu that is there.

    `local_rank` chooses among several GPUs. Raises `ConfigError` when the device is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next((kind for kind, usable in there.items() if usable), "cpu")
    if not there.get(name, True):
        raise ConfigError(
            f"option 'device' must be a device that PyTorch sees here, but got {name!r}; it sees: "
            f"{', '.join(['cpu', *(kind for kind, usable in there.items() if usable)])}"
        )
    if name == "cuda":
        return torch.device("cuda", local_rank % torch.cuda.device_count())
    return torch.device(name)


def choose_precision(name: str, device: torch.device) -> Precision:
    """Return the precision of this name; ``auto`` is what the device multiplies fastest.

    bf16 on a CPU with AVX512_BF16 or AMX and on GPUs since Ampere, fp16 on older GPUs, otherwise
    float32. Raises `ConfigError` for fp16 on a CPU, which emulates it.
    """
    if name == "auto":
        name = _fastest(device)
    if name == "fp16" and device.type == "cpu":
        raise ConfigError(
            "option 'precision' must be auto, float32 or bf16 on a CPU, but got 'fp16'; leave it "
            "at auto"
        )
    return Precision(name, device)


def _fastest(device: torch.device) -> str:
    if device.type == "cpu":
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()  # noqa: SLF001  no public name
        return "bf16" if fast else "float32"
    if device.type == "cuda":
        major, _ = torch.cuda.get_device_capability(device)
        return "bf16" if major >= _BFLOAT16_GPU else "fp16"
    return "float32"


def sum_dtype(device: torch.device) -> torch.dtype:
    """Return what sums over many pictures are kept in: float64, where the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64


def tune_malloc() -> bool:
    """Let glibc keep the memory that it freed; return whether that could be said.

    Activations above 32 MB are given back to the system after every use, and cleared page by
    page when they are asked for again: at 64 pixels, a step of training took a million page
    faults and twice the time. Costs up to half a gigabyte of memory.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    settings = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: 2**31 - 1, _M_TOP_PAD: _KEPT_BYTES}
    return {mallopt(key, value) for key, value in settings.items()} == {1}
