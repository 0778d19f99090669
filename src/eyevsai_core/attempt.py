"""One attempt to train: the steps from pictures to a registered model, in their fixed order.

data -> fit -> calibrate -> build the graph -> parity gate -> evaluate the artefact -> card ->
report -> register. What fails before the last step leaves a run with a reason and no model.
"""

from __future__ import annotations

import logging
import platform
import shutil
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eyevsai_core.calibration import fit_calibration
from eyevsai_core.card import ModelCard
from eyevsai_core.classifier import OnnxClassifier
from eyevsai_core.errors import OutputError
from eyevsai_core.evaluation import Evaluation, evaluate_model
from eyevsai_core.families import family_versions
from eyevsai_core.files import check_writable, staging_directory, writing
from eyevsai_core.graph import build_artefact, with_metadata
from eyevsai_core.loading import load_model
from eyevsai_core.model_registry import ModelRegistry
from eyevsai_core.parity import check_parity
from eyevsai_core.report import render_report

if TYPE_CHECKING:
    import onnx

    from eyevsai_core.calibration import Calibration
    from eyevsai_core.config import TrainConfig
    from eyevsai_core.family import Classifier
    from eyevsai_core.parity import Parity
    from eyevsai_core.preparation import Preparation
    from eyevsai_core.run import Run
    from eyevsai_core.start import StartModel

__all__ = ["Attempt", "TrainedModel"]

_LOGGER = logging.getLogger("eyevsai")
_PARITY_PICTURES = 200
_INTENDED_USE = "Telling the listed classes apart in pictures like those of the data set."
_LIMITS = (
    "Knows only the listed classes and answers with one of them whatever the picture shows. "
    "The probabilities are calibrated for pictures like those of the data set, and only for them."
)


@dataclass(frozen=True)
class TrainedModel:
    """A registered model: its reference, folder, card, test-split evaluation, run and report."""

    ref: str
    path: Path
    card: ModelCard
    evaluation: Evaluation
    run: Run
    report_path: Path

    @cached_property
    def classifier(self) -> OnnxClassifier:
        """The artefact, verified against its card and loaded."""
        return load_model(self.path)


class Attempt:
    """One execution of the fixed order; a class only so that the steps share what they know."""

    def __init__(self, run: Run, preparation: Preparation) -> None:
        self.started = time.monotonic()
        self.run = run
        self.preparation = preparation
        self.request = preparation.request
        self.family, self.variant = preparation.family, preparation.variant
        self.dataset = preparation.dataset
        self.registry = ModelRegistry(
            Path(self.request.registry) if self.request.registry else None
        )
        check_writable(self.registry.root)
        if self.request.out:
            check_writable(Path(self.request.out))
        run.remember("fingerprint", self.dataset.fingerprint)

    # The context that a trainer sees (`FitContext`).

    @property
    def directory(self) -> Path:
        """The run's folder for checkpoints."""
        return self.run.checkpoints

    @property
    def threads(self) -> int:
        """How many threads to use."""
        return self.preparation.threads

    @property
    def start(self) -> Classifier | None:
        """The model to continue from."""
        return self.preparation.start

    def report(self, step: int, total: int, metrics: dict[str, float]) -> None:
        """Keep one line of the history and move the progress bar."""
        self.run.report(step, total, metrics)
        self.preparation.tell("fit", step, total, metrics)

    def progress(self, done: float, total: int, metrics: dict[str, float]) -> None:
        """Move the progress bar between two reports."""
        self.preparation.tell("fit", done, total, metrics)

    def note(self, text: str) -> None:
        """Say a sentence to the user, and keep it in the run."""
        _LOGGER.warning(text)
        self.run.remember("note", text)

    # The steps.

    def execute(self) -> TrainedModel:
        """Do every step in order and register the model."""
        trainer = self.family.make_trainer(self.preparation.config)
        train, validation = self.preparation.data("train"), self.preparation.data("validation")
        self.preparation.tell(
            "fit", 0, 0
        )  # features may take a while before the first step is reported
        with writing(self.run.folder):  # where families keep their checkpoints
            native = trainer.fit(train, validation, self)
        held_out = self.preparation.data("calibration")
        calibration = fit_calibration(
            native.predict_scores(held_out.images), held_out.labels, method=self.request.calibration
        )
        graph, artefact, parity = self._gate(native, calibration)
        evaluations = self._evaluate(artefact)
        card = self._card(self._fitted_with(native), calibration, parity, evaluations)
        return self._register(graph, native, card, evaluations["test"])

    def _gate(
        self, native: Classifier, calibration: Calibration
    ) -> tuple[onnx.ModelProto, OnnxClassifier, Parity]:
        """Build the artefact, and let it through only if it equals the native classifier."""
        self.preparation.tell("verify", 0, 1)
        graph = build_artefact(
            self.family.to_graph(native),
            classes=self.dataset.classes,
            image_size=native.image_size,
            calibration=calibration,
            metadata=self._metadata({}),
        )
        artefact = OnnxClassifier.from_bytes(graph.SerializeToString(), threads=self.threads)
        unreadable = {Path(path) for path, _ in self.preparation.cache.unreadable}
        samples = [s for s in self.dataset.split("validation") if s.path not in unreadable]
        step = -(-len(samples) // _PARITY_PICTURES)
        parity = check_parity(
            artefact,
            native,
            calibration,
            [sample.path for sample in samples[::step]],
            tolerance=self.family.parity_tolerance,
        )
        self.preparation.tell("verify", 1, 1)
        return graph, artefact, parity

    def _evaluate(self, artefact: OnnxClassifier) -> dict[str, Evaluation]:
        """Evaluate on test, to report, and on calibration, to compare versions by.

        Not on validation: a family may learn from it once it has chosen its options.
        """
        return {
            split: evaluate_model(
                artefact,
                self.dataset,
                split=split,
                pixels=self.preparation.cache,
                progress=lambda done, total: self.preparation.tell("evaluate", done, total),
            )
            for split in ("calibration", "test")
        }

    def _metadata(self, more: dict[str, str]) -> dict[str, str]:
        return {
            "family": self.family.name,
            "variant": self.variant.name,
            "dataset": self.dataset.name,
            "dataset_fingerprint": self.dataset.fingerprint,
            "licence": self.dataset.licence,
            "attribution": self.dataset.attribution,
            **more,
        }

    def _fitted_with(self, native: Classifier) -> TrainConfig:
        """Return the options with the trainer's choices in place of none, where it says them."""
        config = getattr(native, "config", None)
        return config if isinstance(config, self.family.config) else self.preparation.config

    def _card(
        self,
        config: TrainConfig,
        calibration: Calibration,
        parity: Parity,
        evaluations: dict[str, Evaluation],
    ) -> ModelCard:
        dataset = self.dataset
        return ModelCard(
            family=self.family.name,
            variant=self.variant.name,
            summary=self.variant.summary,
            plain=self.variant.plain,
            versions=family_versions(self.family),
            dataset={
                "name": dataset.name,
                "fingerprint": dataset.fingerprint,
                "licence": dataset.licence,
                "attribution": dataset.attribution,
                "source": dataset.source,
                "counts": {split: sum(n.values()) for split, n in dataset.counts().items()},
                "unreadable": len(self.preparation.cache.unreadable),
            },
            classes=dataset.classes,
            image_size=self.preparation.cache.image_size,
            config=config.to_dict(),
            seed=config.seed,
            metrics={
                split: {name: asdict(value) for name, value in evaluation.metrics.items()}
                for split, evaluation in evaluations.items()
            },
            calibration=calibration.to_dict(),
            parity=parity.to_dict(),
            machine=_machine(self.threads),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            duration_s=round(time.monotonic() - self.started, 3),
            intended_use=_INTENDED_USE,
            limits=_LIMITS,
            command=self.request.command,
            name=self.request.name or "",
            started_from=_origin(self.preparation.start_model),
        )

    def _register(
        self, graph: onnx.ModelProto, native: Classifier, card: ModelCard, test: Evaluation
    ) -> TrainedModel:
        """Write everything into a staging folder, and move it into the registry in one step."""
        with staging_directory(self.registry.root) as folder:
            staging = folder / "model"
            staging.mkdir()
            accuracy = test.metrics["accuracy"].value
            final = with_metadata(
                graph,
                self._metadata({"test_accuracy": f"{accuracy:.6f}", "card_digest": card.digest}),
            )
            (staging / "model.onnx").write_bytes(final.SerializeToString())
            (staging / "native").mkdir()
            native.save(staging / "native")
            report = render_report(
                card=card,
                evaluation=test,
                history=self.run.history(),
                pixels=self.preparation.cache.images("test"),
                command=self.request.command,
            )
            (staging / "report.html").write_text(report, encoding="utf-8")
            ref = self.registry.register_model(staging, card)
        path = self.registry.path(ref)
        self.run.remember("ref", str(ref))
        self.run.remember("card_digest", card.digest)
        if self.request.name:
            self.registry.set_alias(ref, self.request.name)
        if self.request.out:
            _copy(path, self.request.out)
        return TrainedModel(
            ref=str(ref),
            path=path,
            card=self.registry.card(ref),
            evaluation=test,
            run=self.run,
            report_path=path / "report.html",
        )


def _copy(model: Path, out: str) -> None:
    try:
        shutil.copytree(model, out, dirs_exist_ok=True)
    except OSError as error:
        # What shutil raises is a list of (from, to, reason).
        reason = error.args[0][0][-1] if isinstance(error, shutil.Error) else error.strerror
        raise OutputError(
            f"the model is registered in {str(model)!r}, but its copy in {out!r} is not whole: "
            f"{reason}; copy it with: eyevsai export"
        ) from error


def _origin(start: StartModel | None) -> dict[str, Any]:
    """Say in a card what the model continued from: its name may come to mean another model."""
    return {"ref": start.card.ref, "card_digest": start.card.digest} if start else {}


def _machine(threads: int) -> dict[str, Any]:
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "threads": threads,
    }
