"""What a plugin offers: the description of a model family, and the protocols it fulfils."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from eyevsai_core.errors import PluginError, UnknownFamilyError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import onnx

    from eyevsai_core.config import TrainConfig

__all__ = [
    "Classifier",
    "Exporter",
    "FitContext",
    "Images",
    "ModelFamily",
    "TrainData",
    "Trainer",
    "Variant",
]

_NAME = re.compile(r"[a-z0-9]([a-z0-9_.-]{0,62}[a-z0-9])?")


@runtime_checkable
class Images(Protocol):
    """A batch of pictures of one size: a view of the pixel cache, or any array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, height, width, 3)."""

    def __getitem__(self, index: Any) -> npt.NDArray[np.uint8]:
        """Index as a numpy array does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainData:
    """One split as a trainer sees it.

    ``images`` is uint8 (n, size, size, 3), RGB, 0-255, memory-mapped and read-only; ``labels``
    is int64 (n,), each an index into ``classes``.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]


class FitContext(Protocol):
    """What a trainer may ask of the run that it works for."""

    @property
    def directory(self) -> Path:
        """A folder for checkpoints. What is found here was left by an interrupted fit."""

    @property
    def threads(self) -> int:
        """How many threads to use, at least 1."""

    @property
    def start(self) -> Classifier | None:
        """The native model to continue from; None to begin anew."""

    def report(self, step: int, total: int, metrics: dict[str, float]) -> None:
        """Feed the progress bar and the history: `step` of `total` is done.

        Raises `KeyboardInterrupt` or a pruning signal through the trainer, which must let it
        pass; everything that `resume` needs has to be on disk before the call. A step that is
        reported again replaces what was reported of it before.
        """

    def progress(self, done: float, total: int, metrics: dict[str, float]) -> None:
        """Move the progress bar between two reports; nothing is kept."""

    def note(self, text: str) -> None:
        """Tell the user, in one sentence, what went another way than was asked, and why."""


@runtime_checkable
class Classifier(Protocol):
    """A fitted, immutable native model: what a trainer made, before it becomes an artefact.

    If it has a ``config``, an instance of the family's config, the card shows that one: there the
    trainer puts what it chose in place of options that were none.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels; column *i* of any matrix is ``classes[i]``."""

    @property
    def image_size(self) -> int:
        """Side of the square pictures that this model was trained on, in pixels."""

    def predict_scores(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return logits, shape (n, n_classes).

        `images` has shape (n, image_size, image_size, 3). ``softmax(scores)`` are the model's
        uncalibrated probabilities.
        """

    def save(self, directory: Path) -> None:
        """Write the model into an existing empty folder, without pickle."""


class Trainer(Protocol):
    """Fits one model. Made anew for each fit from a checked config."""

    def fit(self, train: TrainData, validation: TrainData, context: FitContext) -> Classifier:
        """Learn from `train`, choose by `validation`, and return the fitted model.

        The same config, data and thread count give the same model, interrupted or not.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One configuration of a family with a name of its own.

    ``summary`` is for engineers; ``plain`` explains the same to a ten-year-old. ``defaults``
    are the options in which this variant differs from the family's config.
    """

    name: str
    summary: str
    plain: str
    defaults: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exporter:
    """A format of its own that a family's models can be written in, as one file.

    ``write(classifier, out)`` gets a native model and the path of a file that is not there.
    """

    suffix: str
    write: Callable[[Any, Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFamily:
    """Everything the core knows of a family; making it must import no framework.

    ``to_graph(classifier)`` returns an ONNX model with one input ``pixels``, uint8
    (n, size, size, 3), and one output ``scores``, float32 (n, n_classes), equal to
    ``classifier.predict_scores``. ``requirements`` is what `eyevsai install` installs.
    ``modules`` are the import names that must be there for the family to be ready.

    What a family may offer beyond that: ``exporters``, formats by name; ``continues``, that its
    trainer goes on from ``context.start`` if there is one; ``distributed``, that several
    processes started by torchrun train one model; ``find_learning_rate(config, train,
    context)``, the learning rates and losses of a range test.
    """

    name: str
    summary: str
    framework: str
    variants: tuple[Variant, ...]
    config: type[TrainConfig]
    make_trainer: Callable[[TrainConfig], Trainer]
    load_classifier: Callable[[Path], Classifier]
    to_graph: Callable[[Any], onnx.ModelProto]
    requirements: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    export_formats: tuple[str, ...] = ("onnx", "native", "predictions")
    parity_tolerance: float = 1e-4
    exporters: Mapping[str, Exporter] = field(default_factory=dict)
    continues: bool = False
    distributed: bool = False
    find_learning_rate: (
        Callable[[TrainConfig, TrainData, FitContext], Sequence[tuple[float, float]]] | None
    ) = None

    def __post_init__(self) -> None:
        """Check the names, the variants' defaults, and the tolerance."""
        names = [self.name, *(variant.name for variant in self.variants)]
        for name in names:
            if not _NAME.fullmatch(name):
                raise PluginError(
                    f"family and variant names are lower-case letters, digits, '-', '_' and '.', "
                    f"at most 64, but family {self.name!r} has the name {name!r}"
                )
        if not self.variants or len(set(names[1:])) < len(self.variants):
            raise PluginError(
                f"family {self.name!r} must have at least one variant, each with its own name, "
                f"but has {names[1:]!r}"
            )
        for variant in self.variants:
            self.config.from_dict(variant.defaults)
        if not 0 < self.parity_tolerance <= 1e-3:  # noqa: PLR2004  design: 1e-3 is the ceiling
            raise PluginError(
                f"family {self.name!r} must state a parity tolerance of at most 0.001, "
                f"but states {self.parity_tolerance!r}"
            )

    def variant(self, name: str | None = None) -> Variant:
        """Return the variant of this name; without a name the first, which is the default."""
        if name is None:
            return self.variants[0]
        for variant in self.variants:
            if variant.name == name:
                return variant
        known = [variant.name for variant in self.variants]
        raise UnknownFamilyError(
            f"family {self.name!r} has no variant {name!r}; it has: {', '.join(known)}."
            + did_you_mean(name, known)
        )

    def make_config(self, variant: str | None = None, **options: Any) -> TrainConfig:
        """Return the checked config of a variant with some options changed."""
        return self.config.from_dict({**self.variant(variant).defaults, **options})
