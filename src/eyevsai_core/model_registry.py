"""ModelRegistry: trained models on disk, each version written once and whole.

``root/<family>/<variant>/<dataset>/<version>/`` holds ``model.onnx``, ``card.json`` with the
SHA-256 of every other file, the native model and the report. A version appears by one rename, so
that any number of processes can register at once and none sees half a model.
"""

from __future__ import annotations

import dataclasses
import errno
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eyevsai_core.card import ModelCard
from eyevsai_core.errors import ModelCorruptError, ModelNotFoundError, OutputError, did_you_mean
from eyevsai_core.files import (
    STAGING_PREFIX,
    data_home,
    flush_folder,
    staging_directory,
    write_atomic,
)
from eyevsai_core.model_folder import CARD, file_sha256, model_files, verify_folder
from eyevsai_core.model_ref import (
    COMPUTED,
    ModelRef,
    check_alias,
    is_name,
    is_version,
    parse_reference,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eyevsai_core.classifier import OnnxClassifier

__all__ = ["ModelRegistry", "ModelRow"]

_ALIASES = "aliases"
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One registered model in a list; `card` is None and `problem` says why if it is damaged."""

    ref: ModelRef
    path: Path
    card: ModelCard | None
    aliases: tuple[str, ...]
    problem: str = ""


class ModelRegistry:
    """The registered models below one folder."""

    def __init__(self, root: Path | None = None) -> None:
        """Use `root`, or ``$EYEVSAI_HOME/models``, or the platform's data folder."""
        self.root = (root or data_home() / "models").expanduser().absolute()

    def register_model(self, staging: Path, card: ModelCard) -> ModelRef:
        """Move a complete folder into the registry as the next version, and return its name.

        `staging` holds ``model.onnx`` and whatever belongs to it, on the registry's file system
        (`files.staging_directory(registry.root)`); it is gone afterwards. Raises `OutputError`;
        then nothing was registered.
        """
        names = (card.family, card.variant, card.dataset.get("name", ""))
        if not all(map(is_name, names)):
            raise ModelCorruptError(
                f"family, variant and dataset must be lower-case names, but got {names!r}"
            )
        series = self.root.joinpath(*names)
        hashes = {path: file_sha256(staging / path) for path in model_files(staging)}
        try:
            series.mkdir(parents=True, exist_ok=True)
            version = max(self._versions(series), default=0) + 1
            while True:
                ref = ModelRef(*names, version)
                final = dataclasses.replace(card, ref=str(ref), files=hashes)
                (staging / CARD).write_text(final.to_json() + "\n", encoding="utf-8")
                flush_folder(staging)
                try:
                    staging.rename(series / str(version))
                except OSError as error:
                    if error.errno not in _TAKEN:
                        raise
                    version += 1  # another process took this number: take the next
                else:
                    return ref
        except OSError as error:
            raise OutputError(
                f"cannot register the model in {str(series)!r}: {error.strerror or error}; "
                "nothing was registered. Free some space or choose another registry"
            ) from error

    def list_models(self) -> list[ModelRow]:
        """Return every model, damaged ones included, by name and version."""
        rows = []
        for series in self._series():
            aliases = self._aliases(series)
            cards: dict[int, ModelCard | str] = {}
            for version in self._versions(series):
                try:
                    cards[version] = ModelCard.read(series / str(version) / CARD)
                except ModelCorruptError as error:
                    cards[version] = str(error)
            computed = _computed(cards)
            for version, card in sorted(cards.items()):
                named = [name for name, v in {**aliases, **computed}.items() if v == version]
                rows.append(
                    ModelRow(
                        ref=self._ref(series, version),
                        path=series / str(version),
                        card=card if isinstance(card, ModelCard) else None,
                        aliases=tuple(sorted(named)),
                        problem=card if isinstance(card, str) else "",
                    )
                )
        return rows

    def resolve(self, text: str) -> ModelRef:
        """Return the model that a reference means; without a version the latest.

        Raises `ModelNotFoundError` with a suggestion.
        """
        family, variant, dataset, wanted = parse_reference(text)
        series = self.root / family / variant / dataset
        versions = self._versions(series)
        if not versions:
            known = sorted({self._ref(s, 1).series for s in self._series()})
            listed = ", ".join(known[:8]) or "no model at all; train one with eyevsai train"
            raise ModelNotFoundError(
                f"no model {text!r} in {str(self.root)!r}; it has: {listed}."
                + did_you_mean(f"{family}/{variant}/{dataset}", known)
            )
        if is_version(wanted):
            found: int | None = int(wanted) if int(wanted) in versions else None
        elif wanted == "latest":
            found = max(versions)
        else:
            found = self._named_versions(series).get(wanted)
        if found is None or found not in versions:
            aliases = sorted({*self._aliases(series), *COMPUTED})
            raise ModelNotFoundError(
                f"model {family}/{variant}/{dataset} has no version or alias {wanted!r}; it has "
                f"versions {', '.join(map(str, sorted(versions)))} and aliases {', '.join(aliases)}"
            )
        return ModelRef(family, variant, dataset, found)

    def path(self, ref: ModelRef) -> Path:
        """Return the folder of a model."""
        return self.root / ref.family / ref.variant / ref.dataset / str(ref.version)

    def card(self, ref: ModelRef) -> ModelCard:
        """Read the card of a model. Raises `ModelCorruptError`."""
        return ModelCard.read(self.path(ref) / CARD)

    def load(self, ref: str | ModelRef, *, threads: int | None = None) -> OnnxClassifier:
        """Verify and load a model."""
        from eyevsai_core.classifier import OnnxClassifier  # noqa: PLC0415  a list needs no runtime

        found = ref if isinstance(ref, ModelRef) else self.resolve(ref)
        return OnnxClassifier.from_folder(self.path(found), threads=threads)

    def verify(self, ref: ModelRef) -> list[str]:
        """Check every file of a model against its card; return what is wrong, best nothing."""
        card, problems = verify_folder(self.path(ref))
        if card and card.ref != str(ref):
            problems.append(f"the card is that of {card.ref!r}")
        return problems

    def set_alias(self, ref: ModelRef, alias: str) -> None:
        """Let an alias, such as ``production``, mean this version.

        Raises `ConfigError` for what cannot be an alias, `ModelNotFoundError`.
        """
        check_alias(alias)
        self._must_exist(ref)
        # A file an alias: two processes that set different ones do not undo each other.
        write_atomic(self.path(ref).parent / _ALIASES / alias, str(ref.version).encode())

    def remove_alias(self, series: str, alias: str) -> None:
        """Forget an alias of ``family/variant/dataset``. Raises `ModelNotFoundError`."""
        family, variant, dataset, _ = parse_reference(series)
        path = self.root / family / variant / dataset / _ALIASES / alias
        if not is_name(alias) or not path.is_file():
            raise ModelNotFoundError(f"model {series!r} has no alias {alias!r}")
        path.unlink()

    def remove(self, ref: ModelRef) -> None:
        """Delete one version. Its number is not given again while a later one exists."""
        self._must_exist(ref)
        with staging_directory(self.root) as trash:
            self.path(ref).rename(trash / "gone")
        for alias, version in self._aliases(self.path(ref).parent).items():
            if version == ref.version:
                (self.path(ref).parent / _ALIASES / alias).unlink(missing_ok=True)

    def prune(self, *, keep: int = 1, dry_run: bool = False) -> list[ModelRef]:
        """Remove all but the `keep` latest versions of each series, sparing what has an alias.

        Returns what was, or would be, removed.
        """
        gone = []
        for series in self._series():
            versions = sorted(self._versions(series))
            spared = set(self._named_versions(series).values())
            old = versions[: -keep or None] if keep else versions
            gone += [self._ref(series, v) for v in old if v not in spared]
        if not dry_run:
            for ref in gone:
                self.remove(ref)
        return gone

    def clean(self) -> int:
        """Remove what killed processes left behind; return how many folders. Not while training."""
        left = [p for p in self.root.glob(f"{STAGING_PREFIX}*") if p.is_dir()]
        for folder in left:
            shutil.rmtree(folder, ignore_errors=True)
        return len(left)

    def _must_exist(self, ref: ModelRef) -> None:
        if not self.path(ref).is_dir():
            raise ModelNotFoundError(f"there is no model {str(ref)!r} in {str(self.root)!r}")

    def _series(self) -> Iterator[Path]:
        for path in sorted(self.root.glob("*/*/*")):
            parts = path.relative_to(self.root).parts
            if path.is_dir() and all(map(is_name, parts)) and self._versions(path):
                yield path

    def _ref(self, series: Path, version: int) -> ModelRef:
        family, variant, dataset = series.relative_to(self.root).parts
        return ModelRef(family, variant, dataset, version)

    def _versions(self, series: Path) -> list[int]:
        if not series.is_dir():
            return []
        return [int(p.name) for p in series.iterdir() if is_version(p.name) and p.is_dir()]

    def _aliases(self, series: Path) -> dict[str, int]:
        found = {}
        for path in (series / _ALIASES).glob("[a-z0-9]*"):
            text = path.read_text(encoding="utf-8", errors="replace").strip()
            if is_version(text) and is_name(path.name):
                found[path.name] = int(text)
        return found

    def _named_versions(self, series: Path) -> dict[str, int]:
        cards: dict[int, ModelCard | str] = {}
        for version in self._versions(series):
            try:
                cards[version] = ModelCard.read(series / str(version) / CARD)
            except ModelCorruptError as error:
                cards[version] = str(error)
        return {**self._aliases(series), **_computed(cards)}


def _computed(cards: dict[int, ModelCard | str]) -> dict[str, int]:
    """Say which are ``latest`` and ``best``: by accuracy on calibration, never on test."""
    named = {"latest": max(cards)} if cards else {}
    scores = {
        version: accuracy
        for version, card in cards.items()
        if isinstance(card, ModelCard) and (accuracy := _held_out_accuracy(card)) is not None
    }
    if scores:
        named["best"] = max(scores, key=lambda version: (scores[version], version))
    return named


def _held_out_accuracy(card: ModelCard) -> float | None:
    metric = card.metrics.get("calibration", {}).get("accuracy", {})
    value = metric.get("value") if isinstance(metric, dict) else None
    return float(value) if isinstance(value, int | float) else None
