"""The other files that a fitted net can become."""

from __future__ import annotations

import copy
import json
import warnings
from typing import TYPE_CHECKING

import safetensors.torch
import torch

from eyevsai_core.errors import ExportError
from eyevsai_torch.classifier import model_tensors
from eyevsai_torch.graph import PixelNet

if TYPE_CHECKING:
    from pathlib import Path

    from eyevsai_torch.classifier import TorchClassifier

__all__ = ["write_safetensors", "write_torchscript"]

_EXAMPLES = 2
_TOLERANCE = 1e-4


def write_torchscript(classifier: TorchClassifier, out: Path) -> None:
    """Write a TorchScript file: uint8 (n, size, size, 3) in, scores float32 (n, n_classes) out.

    It holds the normalisation, not the calibration: ``softmax`` of the scores are uncalibrated
    probabilities. Labels and size are in its extra file ``settings.json``. What was written is
    run on pictures of noise and compared. Raises `ExportError` when it differs.
    """
    net = PixelNet(copy.deepcopy(classifier.net).cpu()).eval()
    size = classifier.image_size
    dice = torch.Generator().manual_seed(0)
    pictures = torch.randint(256, (3, size, size, 3), dtype=torch.uint8, generator=dice)
    with warnings.catch_warnings(), torch.no_grad():
        # PyTorch recommends torch.export instead; who asks for TorchScript has a reason.
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = torch.jit.trace(net, pictures[:_EXAMPLES], check_trace=False)
        torch.jit.save(traced, str(out), _extra_files={"settings.json": _settings(classifier)})
        written = torch.jit.load(str(out))
        difference = float((written(pictures) - net(pictures)).abs().max())
    if not difference <= _TOLERANCE:
        raise ExportError(
            f"the TorchScript file must give the scores of the net, but differs by {difference:g}; "
            "use --format onnx"
        )


def write_safetensors(classifier: TorchClassifier, out: Path) -> None:
    """Write the weights by name; labels, size and options are in the header's metadata."""
    settings = {"settings": _settings(classifier)}
    out.write_bytes(safetensors.torch.save(model_tensors(classifier.net), metadata=settings))


def _settings(classifier: TorchClassifier) -> str:
    return json.dumps(
        {
            "classes": list(classifier.classes),
            "image_size": classifier.image_size,
            "config": classifier.config.to_dict(),
        }
    )
