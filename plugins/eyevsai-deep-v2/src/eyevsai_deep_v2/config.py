"""Options of the `deep-v2` family."""

from __future__ import annotations

from dataclasses import dataclass

from eyevsai_core.config import Search, option
from eyevsai_torch.config import TorchConfig

__all__ = ["DeepV2Config"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepV2Config(TorchConfig):
    """A residual, dense or mixed net with attention, and stronger regularisation."""

    net: str = option("resnet", help="kind of net", choices=("resnet", "densenet", "hybrid"))
    width: int = option(
        32, help="channels of the first stage; each stage has twice as many", low=4, high=512
    )
    depth: int = option(1, help="blocks of each stage, in multiples of its first", low=1, high=16)
    self_attention: bool = option(
        False,
        help="the last stage's pixels look at each other",
        search=Search(choices=(True, False)),
    )
    learning_rate: float | None = option(
        None,
        help="largest learning rate; none: 0.1 for sgd, 0.002 for adam, 0.003 for adamw",
        low=1e-7,
        high=100,
        search=Search(low=0.01, high=0.3, log=True),
    )
    label_smoothing: float = option(
        0.1, help="probability spread over all classes", low=0, high=0.9
    )
    mixup_alpha: float = option(
        0.0,
        help="mixup: pairs of pictures are blended by Beta(alpha, alpha); 0: off",
        low=0,
        high=10,
        search=Search(low=0.2, high=0.4),
    )
    erase: float = option(
        0.25, help="probability of covering a random rectangle; 0: off", low=0, high=1
    )
    dropout: float = option(
        0.2,
        help="share of features that are dropped before the last layer; a half and a quarter of "
        "it after the stages before",
        low=0,
        high=0.95,
        search=Search(low=0.1, high=0.5),
    )
