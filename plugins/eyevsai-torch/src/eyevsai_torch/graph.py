"""A fitted net as ONNX: pixels in, scores out."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from eyevsai_core.errors import ExportError
from eyevsai_torch.judge import pixels_to_input

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx

    from eyevsai_torch.classifier import TorchClassifier

__all__ = ["PixelNet", "classifier_graph"]

_OPSET, _IR = 18, 10
_EXAMPLES = 2  # one picture would be taken for a batch of one for ever


class PixelNet(nn.Module):
    """Takes pictures as they are stored, uint8 (n, size, size, 3), and returns scores."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the scores, float32 (n, n_classes)."""
        scores: torch.Tensor = self.net(pixels_to_input(pixels))
        return scores


def classifier_graph(classifier: TorchClassifier) -> onnx.ModelProto:
    """Return a graph with input ``pixels``, uint8 (n, size, size, 3), and output ``scores``.

    Raises `ExportError` when PyTorch cannot export the net.
    """
    net = PixelNet(copy.deepcopy(classifier.net).cpu().float()).eval()
    size = classifier.image_size
    example = torch.zeros((_EXAMPLES, size, size, 3), dtype=torch.uint8)
    try:
        with _quietly(), torch.no_grad():
            program: Any = torch.onnx.export(
                net,
                (example,),
                dynamo=True,
                external_data=False,
                opset_version=_OPSET,
                input_names=["pixels"],
                output_names=["scores"],
                dynamic_shapes=({0: "n"},),
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise ExportError(
            f"PyTorch {torch.__version__} cannot export this net: {error}; the versions that were "
            "tried together stand in constraints.txt of eyevsai"
        ) from error
    model: onnx.ModelProto = program.model_proto
    model.ir_version = min(model.ir_version, _IR)
    return model


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silence what the exporter says about torchvision and about its own future."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
