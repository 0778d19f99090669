"""The model that a training continues from: found, verified, and loaded as its family's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eyevsai_core.errors import ConfigError, ModelCorruptError, ModelNotFoundError
from eyevsai_core.model_folder import CARD, verify_folder
from eyevsai_core.model_registry import ModelRegistry

if TYPE_CHECKING:
    from eyevsai_core.card import ModelCard
    from eyevsai_core.family import Classifier, ModelFamily, Variant

__all__ = ["StartModel", "find_start"]


@dataclass(frozen=True)
class StartModel:
    """A registered model, or the folder of one, whose files are those of its card."""

    folder: Path
    card: ModelCard

    @classmethod
    def open(cls, folder: Path) -> StartModel:
        """Check every file against the card. Raises `ModelCorruptError`, `ModelNotFoundError`."""
        if not (folder / CARD).is_file():
            raise ModelNotFoundError(
                f"the model to continue from is not there any more: {str(folder)!r} has no "
                f"{CARD}; train anew, or from another model"
            )
        card, problems = verify_folder(folder)
        if card is None or problems:
            raise ModelCorruptError(
                f"the model to continue from is damaged: {'; '.join(problems[:3])}"
            )
        return cls(folder, card)

    def load(self, family: ModelFamily, variant: Variant) -> Classifier:
        """Load the native model. Raises `ConfigError` when it is of another family or variant."""
        if not family.continues:
            raise ConfigError(
                f"family {family.name!r} cannot continue from a model, it begins anew each time; "
                "leave --from out"
            )
        wanted, found = f"{family.name}/{variant.name}", f"{self.card.family}/{self.card.variant}"
        if wanted != found:
            raise ConfigError(
                f"the model to continue from must be a {wanted}, but {self.card.ref!r} is a "
                f"{found}; train {found}, or continue from another model"
            )
        return family.load_classifier(self.folder / "native")


def find_start(model: str | Path, registry: ModelRegistry | None) -> Path:
    """Return the folder of a model, given by its folder, or by reference or alias.

    A version is found once and kept: `latest` may mean another one when the run is resumed.
    Raises `ModelNotFoundError`.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder.absolute()
    models = registry or ModelRegistry()
    return models.path(models.resolve(str(model))).absolute()
