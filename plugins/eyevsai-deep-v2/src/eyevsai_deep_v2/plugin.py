"""What this package offers to eyevsai: the `deep-v2` family, described without loading it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyevsai_core.family import Variant
from eyevsai_core.hookspecs import hookimpl
from eyevsai_deep_v2.config import DeepV2Config
from eyevsai_torch.family import torch_family

if TYPE_CHECKING:
    from eyevsai_core.family import ModelFamily

__all__ = ["eyevsai_model_families"]


@hookimpl
def eyevsai_model_families() -> list[ModelFamily]:
    """Describe the family; imports nothing heavier than this file."""
    return [
        torch_family(
            name="deep-v2",
            summary="residual and dense nets with attention, trained from nothing",
            variants=(
                Variant(
                    name="resnet",
                    summary="residual net with squeeze-and-excitation and CBAM attention",
                    plain=(
                        "A deep stack of magnifying glasses that also learns where to look and "
                        "which of its clues to trust, picture by picture."
                    ),
                ),
                Variant(
                    name="densenet",
                    summary="densely connected net with CBAM attention",
                    plain=(
                        "Every layer can read the notes of all layers before it, so that nothing "
                        "is found out twice, and it learns where to look."
                    ),
                    defaults={"net": "densenet"},
                ),
                Variant(
                    name="hybrid",
                    summary="residual stages, then dense ones, with both kinds of attention",
                    plain=(
                        "The first half corrects itself step by step, the second half keeps notes "
                        "of everything, and both learn where to look."
                    ),
                    defaults={"net": "hybrid"},
                ),
            ),
            config=DeepV2Config,
            nets="eyevsai_deep_v2.net:build_net",
        )
    ]
