"""The native torch classifier: a net in float32, and how to keep it without pickle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError

from eyevsai_core.errors import EyevsaiError, ModelCorruptError
from eyevsai_torch.judge import pixels_to_input
from eyevsai_torch.normalise import NormalisedNet

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt
    from torch import nn

    from eyevsai_torch.config import TorchConfig
    from eyevsai_torch.staged import StagedNet

__all__ = ["NetBuilder", "TorchClassifier", "model_tensors"]

_WEIGHTS, _SETTINGS = "model.safetensors", "settings.json"
_BATCH = 128


class NetBuilder(Protocol):
    """Makes a family's net from its config."""

    def __call__(self, config: Any, *, n_classes: int, image_size: int) -> StagedNet:
        """Return a `StagedNet` with new weights: float (n, 3, size, size) to (n, n_classes)."""


@dataclass(frozen=True)
class TorchClassifier:
    """A fitted net behind the protocol `Classifier`: always in evaluation mode and float32."""

    config: TorchConfig
    classes: tuple[str, ...]
    image_size: int
    net: NormalisedNet

    def predict_scores(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return logits, float32 (n, n_classes), of uint8 (n, size, size, 3)."""
        rows = [
            self._scores(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)
        ]
        return np.concatenate(rows) if rows else np.zeros((0, len(self.classes)), np.float32)

    @torch.no_grad()
    def _scores(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        device = self.net.mean.device
        pictures = torch.from_numpy(np.array(images)).to(device)
        # TF32, which GPUs multiply in unless told otherwise, has ten bits: too few for parity.
        with torch.backends.cudnn.flags(allow_tf32=False):
            scores: npt.NDArray[np.float32] = self.net(pixels_to_input(pictures)).cpu().numpy()
        return scores

    def save(self, directory: Path) -> None:
        """Write ``model.safetensors`` and ``settings.json``."""
        (directory / _WEIGHTS).write_bytes(safetensors.torch.save(model_tensors(self.net)))
        settings = {
            "config": self.config.to_dict(),
            "classes": list(self.classes),
            "image_size": self.image_size,
        }
        (directory / _SETTINGS).write_text(json.dumps(settings, indent=2), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path, config: type[TorchConfig], build: NetBuilder) -> Self:
        """Read what `save` wrote, for a family's config and nets. Raises `ModelCorruptError`."""
        try:
            settings: dict[str, Any] = json.loads(
                (directory / _SETTINGS).read_text(encoding="utf-8")
            )
            tensors = safetensors.torch.load((directory / _WEIGHTS).read_bytes())
            options = config.from_dict(settings["config"])
            classes, size = tuple(settings["classes"]), int(settings["image_size"])
            with torch.device("meta"):  # the weights come from the file: none are drawn
                net = build(options, n_classes=len(classes), image_size=size)
            whole = NormalisedNet(net, torch.zeros(3), torch.ones(3))
            whole.load_state_dict(tensors, assign=True)
        except (OSError, SafetensorError, EyevsaiError) as error:
            raise _corrupt(directory, error) from error
        except (ValueError, LookupError, TypeError, RuntimeError, AttributeError) as error:
            raise _corrupt(directory, error) from error
        return cls(options, classes, size, fitted(whole))


def fitted(net: NormalisedNet) -> NormalisedNet:
    """Return `net` ready to predict: in evaluation mode, without gradients."""
    return net.eval().requires_grad_(False)  # noqa: FBT003  PyTorch's


def model_tensors(net: nn.Module) -> dict[str, torch.Tensor]:
    """Return the weights of a net by name, as safetensors wants them: contiguous."""
    return {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}


def _corrupt(directory: Path, error: Exception) -> ModelCorruptError:
    return ModelCorruptError(f"cannot load the native model in {str(directory)!r}: {error}")
