"""Options of the `deep-v1` family."""

from __future__ import annotations

from dataclasses import dataclass

from eyevsai_core.config import option
from eyevsai_torch.config import TorchConfig

__all__ = ["DeepV1Config"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepV1Config(TorchConfig):
    """A convolutional net of four blocks."""

    block: str = option(
        "standard", help="kind of the four blocks", choices=("standard", "residual")
    )
    width: int = option(
        32, help="channels of the first block; each block has twice as many", low=4, high=512
    )
