"""Training, end to end: pictures in, one registered, verified artefact out."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eyevsai_core.attempt import Attempt, TrainedModel
from eyevsai_core.calibration import check_method
from eyevsai_core.catalog import list_datasets, load_dataset
from eyevsai_core.config import TrainConfig
from eyevsai_core.dataset import Dataset
from eyevsai_core.errors import ConfigError, RunError
from eyevsai_core.families import parse_model_name
from eyevsai_core.model_ref import check_alias
from eyevsai_core.preparation import Preparation, QuietContext, Request
from eyevsai_core.ranks import rank
from eyevsai_core.run import Run
from eyevsai_core.start import find_start

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from eyevsai_core.family import ModelFamily, Variant
    from eyevsai_core.model_registry import ModelRegistry

    Progress = Callable[[str, float, int, dict[str, float]], None]

__all__ = [
    "TrainedModel",
    "assist_resuming",
    "assist_training",
    "resume_training",
    "train_model",
]


def train_model(
    model: str,
    data: str | Path | Dataset,
    *,
    config: Mapping[str, Any] | TrainConfig | None = None,
    seed: int | None = None,
    calibration: str = "auto",
    registry: ModelRegistry | None = None,
    out: str | Path | None = None,
    name: str | None = None,
    start: str | Path | None = None,
    allow_leaks: bool = False,
    allow_conflicts: bool = False,
    allow_unreadable: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
    command: str = "",
) -> TrainedModel:
    """Train, calibrate, verify, evaluate and register one model.

    `model` is ``family`` or ``family/variant``; `data` a data set's name, a folder, a CSV or
    JSONL file, or a `Dataset`. `config` changes options of the variant, `seed` one of them.
    `out` is a folder that receives a copy of the model; `name` an alias to give it.
    `start` is a model of the same family and variant to continue from: a reference, an alias or
    a folder. `allow_leaks` lets a test picture be in another split too, `allow_conflicts` a
    picture be under two labels, `allow_unreadable` more than 1 % of the files be damaged.
    `progress` is called with (stage, done, total, metrics); done of a fit may be a fraction.

    Of several processes that torchrun started, only the first may call it: see `assist_training`.

    Raises `ConfigError` and `UnknownFamilyError` for what was asked, `DatasetError` for the
    pictures, `ParityError` when the artefact is not the model, `OutputError` for disks.
    """
    if rank() > 0:
        raise RunError(
            f"train_model must be called in the first process, but this is number {rank()} of "
            "those that torchrun started; call assist_training with the same arguments here"
        )
    request = _request(
        model,
        data,
        config,
        seed=seed,
        calibration=calibration,
        registry=str(registry.root) if registry else None,
        out=str(Path(out).absolute()) if out else None,
        name=name,
        start=str(find_start(start, registry)) if start else None,
        allow_leaks=allow_leaks,
        allow_conflicts=allow_conflicts,
        allow_unreadable=allow_unreadable,
        threads=threads,
        command=command,
    )
    dataset = load_dataset(data, seed=request.options["seed"])
    family, _, variant = request.model.partition("/")
    run = Run.create(family=family, variant=variant, dataset=dataset.name, config=asdict(request))
    return _run(run, request, dataset, progress)


def assist_training(
    model: str,
    data: str | Path | Dataset,
    *,
    config: Mapping[str, Any] | TrainConfig | None = None,
    seed: int | None = None,
    registry: ModelRegistry | None = None,
    start: str | Path | None = None,
    allow_leaks: bool = False,
    allow_conflicts: bool = False,
    allow_unreadable: bool = False,
    threads: int | None = None,
) -> None:
    """Help the first of the processes that torchrun started, which calls `train_model`.

    The arguments are those of `train_model` that have to do with learning. Nothing is kept
    here: the first process has the run, and registers the model.
    """
    request = _request(
        model,
        data,
        config,
        seed=seed,
        start=str(find_start(start, registry)) if start else None,
        allow_leaks=allow_leaks,
        allow_conflicts=allow_conflicts,
        allow_unreadable=allow_unreadable,
        threads=threads,
    )
    _assist(request, load_dataset(data, seed=request.options["seed"]))


def _request(
    model: str,
    data: str | Path | Dataset,
    config: Mapping[str, Any] | TrainConfig | None,
    *,
    seed: int | None,
    **rest: Any,
) -> Request:
    """Check what must not fail only after hours of training."""
    family, variant = parse_model_name(model)
    options = _options(family, variant, config, seed)
    request = Request(
        model=f"{family.name}/{variant.name}", data=_place(data), options=options, **rest
    )
    check_method(request.calibration)
    if request.name is not None:
        check_alias(request.name)
    return request


def _place(data: str | Path | Dataset) -> str:
    """Return what opens the data again, from wherever the run is resumed."""
    if isinstance(data, Dataset):
        return str(data.root)
    if str(data) in {info.name for info in list_datasets()}:
        return str(data)
    return str(Path(data).expanduser().absolute())


def resume_training(run: Run, *, progress: Progress | None = None) -> TrainedModel:
    """Go on with a run that was interrupted, or try one again that failed.

    The result equals that of a run that was never interrupted. Raises `RunError` when the run
    is finished or still alive, and when its data has changed since.
    """
    request = _asked(run)
    return _run(run, request, load_dataset(request.data, seed=request.options["seed"]), progress)


def assist_resuming(run: Run) -> None:
    """Help the first process, which calls `resume_training`, to go on with its run."""
    request = _asked(run)
    _assist(request, load_dataset(request.data, seed=request.options["seed"]))


def _asked(run: Run) -> Request:
    try:
        return Request(**run.config)
    except TypeError as error:
        raise RunError(
            f"run {run.id!r} was written by another version of eyevsai ({error}); start anew"
        ) from error


def _run(run: Run, request: Request, dataset: Dataset, progress: Progress | None) -> TrainedModel:
    with run:
        return Attempt(run, Preparation(request, dataset, progress)).execute()


def _assist(request: Request, dataset: Dataset) -> None:
    """Prepare the same, and fit: the family's trainer meets the first process's in there."""
    preparation = Preparation(request, dataset, None)
    trainer = preparation.family.make_trainer(preparation.config)
    train, validation = preparation.data("train"), preparation.data("validation")
    with tempfile.TemporaryDirectory() as folder:
        trainer.fit(train, validation, QuietContext(preparation, Path(folder)))


def _options(
    family: ModelFamily,
    variant: Variant,
    config: Mapping[str, Any] | TrainConfig | None,
    seed: int | None,
) -> dict[str, Any]:
    if isinstance(config, TrainConfig) and not isinstance(config, family.config):
        raise ConfigError(
            f"family {family.name!r} takes a {family.config.__name__}, "
            f"but got a {type(config).__name__}"
        )
    values = config.to_dict() if isinstance(config, TrainConfig) else dict(config or {})
    if seed is not None:
        values["seed"] = seed
    return family.make_config(variant.name, **values).to_dict()
