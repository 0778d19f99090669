"""What this package offers to eyevsai: the `deep-v1` family, described without loading it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyevsai_core.family import Variant
from eyevsai_core.hookspecs import hookimpl
from eyevsai_deep_v1.config import DeepV1Config
from eyevsai_torch.family import torch_family

if TYPE_CHECKING:
    from eyevsai_core.family import ModelFamily

__all__ = ["eyevsai_model_families"]


@hookimpl
def eyevsai_model_families() -> list[ModelFamily]:
    """Describe the family; imports nothing heavier than this file."""
    return [
        torch_family(
            name="deep-v1",
            summary="convolutional nets of four blocks, trained from nothing in minutes",
            variants=(
                Variant(
                    name="standard",
                    summary="four blocks of two 3x3 convolutions with batch norm and max pooling",
                    plain=(
                        "Slides thousands of little magnifying glasses over the picture: the first "
                        "find edges, the next find corners and curls, the last find whole things."
                    ),
                ),
                Variant(
                    name="residual",
                    summary="four blocks of residual 3x3 convolutions with batch norm",
                    plain=(
                        "Like the standard one, but every layer only adds a small correction to "
                        "what was already seen, so that nothing gets lost on the way."
                    ),
                    defaults={"block": "residual"},
                ),
            ),
            config=DeepV1Config,
            nets="eyevsai_deep_v1.net:build_net",
        )
    ]
