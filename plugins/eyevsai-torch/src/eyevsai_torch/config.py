"""Options that every PyTorch family has; a family's own config is a subclass with its net's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eyevsai_core.config import Search, TrainConfig, option
from eyevsai_core.errors import ConfigError

if TYPE_CHECKING:
    from eyevsai_torch.augment import AugmentSettings

__all__ = ["TorchConfig"]

_FEW_EPOCHS, _MANY_EPOCHS, _EFFORT = 15, 200, 6300.0
_SMALL_BATCH, _BATCH, _STEPS = 16, 128, 24
_RATES = {"sgd": 0.1, "adam": 2e-3, "adamw": 3e-3}
_FRUGAL = 32  # pictures at a time, with memory_efficient
_STALE = 3  # of so many parts of all epochs


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchConfig(TrainConfig):
    """How a net is trained: everything but the net. What is None is chosen from the pictures."""

    epochs: int | None = option(
        None,
        help="passes over the training pictures; none: fewer the more pictures there are",
        unit="epochs",
        low=1,
        high=10000,
    )
    batch_size: int | None = option(
        None,
        help="pictures of one step, over all processes; none: 128, or less where pictures are few",
        unit="pictures",
        low=2,
        high=65536,
        search=Search(choices=(32, 64, 128)),
    )
    accumulate: int = option(
        1, help="parts that a step's pictures are worked through in", low=1, high=1024
    )
    optimizer: str = option(
        "sgd",
        help="sgd has Nesterov's momentum",
        choices=("sgd", "adam", "adamw"),
        search=Search(choices=("sgd", "adam", "adamw")),
    )
    learning_rate: float | None = option(
        None,
        help="largest learning rate; none: 0.1 for sgd, 0.002 for adam, 0.003 for adamw",
        low=1e-7,
        high=100,
        search=Search(low=1e-3, high=1e-1, log=True),
    )
    momentum: float = option(0.9, help="momentum of sgd, first moment of adam", low=0, high=0.9999)
    weight_decay: float = option(
        5e-4,
        help="decay of weights, not of biases and norms; decoupled with adamw",
        low=0,
        high=10,
        search=Search(low=1e-5, high=1e-3, log=True),
    )
    schedule: str = option(
        "one_cycle",
        help="how the learning rate moves",
        choices=("one_cycle", "cosine", "plateau", "constant"),
    )
    warmup: float = option(
        0.2, help="share of the steps in which the learning rate rises", low=0, high=0.9
    )
    patience: int | None = option(
        None,
        help="epochs without a better validation after which it ends; none: a third of all",
        unit="epochs",
        low=1,
        high=10000,
    )
    validation: str = option(
        "choose",
        help="choose: validation pictures choose the epoch; learn: they are learned from as well, "
        "and the last weights are kept",
        choices=("choose", "learn"),
    )
    ema: float = option(
        0.999,
        help="decay of the moving average of weights, which is what is kept; 0: off",
        low=0,
        high=0.999999,
    )
    clip_norm: float | None = option(
        None, help="largest norm of the gradient; none: as it is", low=1e-6, high=1e6
    )
    label_smoothing: float = option(
        0.0, help="probability spread over all classes", low=0, high=0.9
    )
    mixup_alpha: float = option(
        0.0,
        help="mixup: pairs of pictures are blended by Beta(alpha, alpha); 0: off",
        low=0,
        high=10,
        search=Search(low=0.2, high=0.4),
    )
    class_weight: str = option(
        "none", help="balanced: rare classes count more", choices=("none", "balanced")
    )
    flip: bool = option(True, help="mirror pictures at random")
    shift: float = option(
        0.1, help="largest random shift, as a share of the side; 0: off", low=0, high=0.5
    )
    rotate: float = option(
        0.0, help="largest random rotation; 0: off", unit="degrees", low=0, high=180
    )
    zoom: float = option(
        0.0, help="largest random change of scale, as a share; 0: off", low=0, high=0.9
    )
    colour: float = option(
        0.0, help="strength of random brightness, contrast and saturation; 0: off", low=0, high=1
    )
    erase: float = option(
        0.0, help="probability of covering a random rectangle; 0: off", low=0, high=1
    )
    dropout: float = option(
        0.3,
        help="share of features that are dropped before the last layer",
        low=0,
        high=0.95,
        search=Search(low=0.3, high=0.5),
    )
    freeze: int = option(
        0, help="first stages of the net that keep their weights, with --from", low=0, high=16
    )
    precision: str = option(
        "auto",
        help="of the arithmetic: auto takes what the device is fast in",
        choices=("auto", "float32", "bf16", "fp16"),
    )
    device: str = option("auto", help="where to compute", choices=("auto", "cpu", "cuda", "mps"))
    channels_last: bool = option(True, help="keep the channels of a pixel together in memory")
    compile: bool = option(
        False, help="torch.compile: slow to start, then faster for nets with attention"
    )
    memory_efficient: bool = option(
        False, help="less memory for more time: small parts, activations computed twice"
    )

    def __post_init__(self) -> None:
        """Check the fields, and those that depend on each other."""
        # Named, because slots make a new class that an argumentless super() does not know.
        TrainConfig.__post_init__(self)
        if self.precision == "fp16" and self.device == "cpu":
            raise ConfigError(
                "option 'precision' must be auto, float32 or bf16 on a CPU, but got 'fp16', which "
                "it computes many times slower"
            )

    def resolved(self, n_pictures: int) -> TorchConfig:
        """Return the config with a number in place of every None, for `n_pictures` to learn from.

        The number of epochs falls with the root of the number of pictures: 1 000 pictures are
        seen 199 times, 50 000 are seen 28 times. A step has 128 pictures, or fewer where an epoch
        would not have two dozen steps.
        """
        batch = self.batch_size or 2 ** int(
            math.log2(min(max(n_pictures / _STEPS, _SMALL_BATCH), _BATCH))
        )
        epochs = self.epochs or round(
            min(max(_EFFORT / math.sqrt(n_pictures), _FEW_EPOCHS), _MANY_EPOCHS)
        )
        return self.replace(
            epochs=epochs,
            batch_size=batch,
            learning_rate=self.learning_rate or _RATES[self.optimizer],
            patience=self.patience or max(-(-epochs // _STALE), 5),
        )

    def parts(self, n_pictures: int) -> int:
        """Return in how many parts a step of `n_pictures` pictures of this process is done."""
        wanted = self.accumulate
        if self.memory_efficient:
            wanted = max(wanted, -(-n_pictures // _FRUGAL))
        return wanted

    def augmentation(self) -> AugmentSettings:
        """Return what the augmentation needs to know."""
        from eyevsai_torch.augment import AugmentSettings  # noqa: PLC0415  keeps plugin.py light

        return AugmentSettings(
            flip=self.flip,
            shift=self.shift,
            rotate=self.rotate,
            scale=self.zoom,
            colour=self.colour,
            erase=self.erase,
        )
