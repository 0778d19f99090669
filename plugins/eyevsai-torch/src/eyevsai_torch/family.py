"""What every PyTorch family's description has in common: its functions, which import when called.

A family gives its config and the place of the function that builds its nets; `list` imports
neither PyTorch nor the nets.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eyevsai_core.family import Exporter, ModelFamily

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import onnx

    from eyevsai_core.config import TrainConfig
    from eyevsai_core.family import Classifier, FitContext, TrainData, Trainer, Variant
    from eyevsai_torch.classifier import NetBuilder
    from eyevsai_torch.config import TorchConfig
    from eyevsai_torch.trainer import TorchTrainer

__all__ = ["torch_family"]


def torch_family(
    *,
    name: str,
    summary: str,
    variants: tuple[Variant, ...],
    config: type[TorchConfig],
    nets: str,
) -> ModelFamily:
    """Describe a family of nets. `nets` is ``module:function``, a `NetBuilder`."""
    functions = _Functions(config, nets)
    return ModelFamily(
        name=name,
        summary=summary,
        framework="PyTorch",
        variants=variants,
        config=config,
        make_trainer=functions.make_trainer,
        load_classifier=functions.load_classifier,
        to_graph=_to_graph,
        requirements=(f"eyevsai-{name}",),
        modules=("onnxscript", "safetensors", "torch"),
        exporters={
            "safetensors": Exporter(".safetensors", _write_safetensors),
            "torchscript": Exporter(".pt", _write_torchscript),
        },
        continues=True,
        distributed=True,
        find_learning_rate=functions.find_learning_rate,
    )


@dataclass(frozen=True, slots=True)
class _Functions:
    """The functions of a description that depend on the family."""

    config: type[TorchConfig]
    nets: str

    def make_trainer(self, config: TrainConfig) -> Trainer:
        return self._trainer(config)

    def load_classifier(self, directory: Path) -> Classifier:
        from eyevsai_torch.classifier import TorchClassifier  # noqa: PLC0415  keeps plugin.py light

        return TorchClassifier.load(directory, self.config, self._builder())

    def find_learning_rate(
        self, config: TrainConfig, train: TrainData, context: FitContext
    ) -> Sequence[tuple[float, float]]:
        return self._trainer(config).find_learning_rate(train, context)

    def _trainer(self, config: TrainConfig) -> TorchTrainer:
        from eyevsai_torch.trainer import TorchTrainer  # noqa: PLC0415  keeps plugin.py light

        return TorchTrainer(config, self._builder())

    def _builder(self) -> NetBuilder:
        module, _, function = self.nets.partition(":")
        build: NetBuilder = getattr(importlib.import_module(module), function)
        return build


def _to_graph(classifier: Any) -> onnx.ModelProto:
    from eyevsai_torch.graph import classifier_graph  # noqa: PLC0415  keeps plugin.py light

    return classifier_graph(classifier)


def _write_safetensors(classifier: Any, out: Path) -> None:
    from eyevsai_torch.exporters import write_safetensors  # noqa: PLC0415  keeps plugin.py light

    write_safetensors(classifier, out)


def _write_torchscript(classifier: Any, out: Path) -> None:
    from eyevsai_torch.exporters import write_torchscript  # noqa: PLC0415  keeps plugin.py light

    write_torchscript(classifier, out)
