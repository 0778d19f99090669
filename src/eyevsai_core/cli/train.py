"""`eyevsai train`: from pictures to a registered model."""

from __future__ import annotations

import shlex
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from eyevsai_core.cli import completion as offer
from eyevsai_core.cli.console import (
    SPLITS,
    facts,
    interval_text,
    note,
    print_json,
    say,
    seconds_text,
    show,
)
from eyevsai_core.cli.family_options import FAMILY_VALUES, TrainCommand, collect_options
from eyevsai_core.cli.help import indented
from eyevsai_core.cli.options import AllowUnreadable, Json, Registry, Threads
from eyevsai_core.cli.progress import Bars
from eyevsai_core.cli.references import open_registry
from eyevsai_core.errors import ConfigError, OutputError, RunError
from eyevsai_core.ranks import rank

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eyevsai_core.run import Run
    from eyevsai_core.training import TrainedModel

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_EXAMPLES = """
eyevsai train shallow --data doodles
eyevsai train shallow/rf_hog_lbp --data pictures/ --image-size 64 --seed 7
eyevsai train shallow --data table.csv --config best.toml --name production
eyevsai train shallow --help
eyevsai train --resume
"""


@app.command(cls=TrainCommand, epilog=_EXAMPLES)
def train_command(
    ctx: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            metavar="FAMILY[/VARIANT]",
            help="what to train; see them with: eyevsai list",
            autocompletion=offer.complete_variants,
        ),
    ] = "",
    *,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            "-d",
            metavar="NAME|PATH",
            help="a data set's name, a folder of <label>/<picture> or <split>/<label>/<picture>, "
            "or a .csv or .jsonl table of path,label[,split]",
            autocompletion=offer.complete_data,
        ),
    ] = "",
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", help="seed of every random choice (default: 0)"),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="ALIAS",
            help="an alias for the model, such as production",
            autocompletion=offer.complete_aliases,
        ),
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", metavar="DIR", help="folder for a copy of the model")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="continue from a registered model of this family, also with other labels",
            autocompletion=offer.complete_models,
        ),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("-o", "--option", metavar="NAME=VALUE", help="set one option of the family"),
    ] = None,
    config: Annotated[
        str | None, typer.Option("--config", metavar="FILE", help="read options from a TOML file")
    ] = None,
    calibration: Annotated[
        str,
        typer.Option(
            "--calibration",
            metavar="METHOD",
            help="auto, none, temperature, platt or isotonic",
        ),
    ] = "auto",
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            metavar="[RUN]",
            help="go on with an interrupted run, by default the last one",
            autocompletion=offer.complete_runs,
        ),
    ] = None,
    threads: Threads = None,
    allow_leaks: Annotated[
        bool, typer.Option("--allow-leaks", help="train although test pictures are also elsewhere")
    ] = False,
    allow_conflicts: Annotated[
        bool, typer.Option("--allow-conflicts", help="train although a picture has two labels")
    ] = False,
    allow_unreadable: AllowUnreadable = False,
    registry: Registry = None,
    as_json: Json = False,
) -> None:
    """Train a model, calibrate it, prove that its file equals it, measure it, register it.

    Pictures are read once; what is interrupted can be resumed; what fails registers nothing.
    """
    from eyevsai_core.families import parse_model_name
    from eyevsai_core.training import resume_training, train_model

    if resume is None and not model:
        raise ConfigError("say what to train, such as: eyevsai train shallow --data doodles")
    values: dict[str, Any] = {}
    if model:
        family, variant = parse_model_name(model)
        model = f"{family.name}/{variant.name}"
        file = Path(config) if config else None
        values = collect_options(family, ctx.meta[FAMILY_VALUES], options or [], file)
        values |= {} if seed is None else {"seed": seed}
    if resume is None and not data:
        raise ConfigError(f"say on what to train, such as: eyevsai train {model} --data doodles")
    run = None if resume is None else _run_to_resume(resume, model, data, values)
    if rank() > 0:
        _assist(
            run,
            model,
            data,
            config=values,
            registry=open_registry(registry),
            start=start,
            allow_leaks=allow_leaks,
            allow_conflicts=allow_conflicts,
            allow_unreadable=allow_unreadable,
            threads=threads,
        )
        return
    with Bars("open") as bars, _told_how_to_go_on():
        if run:
            trained = resume_training(run, progress=bars)
        else:
            trained = train_model(
                model,
                data,
                config=values,
                calibration=calibration,
                registry=open_registry(registry),
                out=out,
                name=name,
                start=start,
                allow_leaks=allow_leaks,
                allow_conflicts=allow_conflicts,
                allow_unreadable=allow_unreadable,
                threads=threads,
                progress=bars,
                command=shlex.join(["eyevsai", *sys.argv[1:]]),
            )
    if as_json:
        print_json(_plain(trained))
    else:
        _show(trained)


def _assist(run: Run | None, model: str, data: str, **asked: Any) -> None:
    """Be one of the other processes that torchrun started: the first one says and keeps all."""
    from eyevsai_core.training import assist_resuming, assist_training

    if run:
        assist_resuming(run)
    else:
        assist_training(model, data, **asked)


@contextmanager
def _told_how_to_go_on() -> Iterator[None]:
    """When the work is stopped, say how to go on with it."""
    try:
        yield
    except KeyboardInterrupt as stop:
        run = _own_run()
        if run is None:
            raise
        raise KeyboardInterrupt(f"go on with: eyevsai train --resume {run.id}") from stop
    except OutputError:
        run = _own_run()
        if run:
            note(f"once that is mended, go on with: eyevsai train --resume {run.id}")
        raise


def _own_run() -> Run | None:
    """Return the run that this process worked on and did not finish."""
    from eyevsai_core.run import RunState, list_runs

    for run in reversed(list_runs()):
        with suppress(RunError):
            if run.is_own:
                return None if run.state is RunState.OK else run
    return None


def _run_to_resume(name: str, model: str, data: str, values: dict[str, Any]) -> Run:
    """Find the run; what else was said must be what it was asked."""
    from eyevsai_core.run import find_run

    run = find_run(name)
    asked = run.config
    options = asked.get("options", {})
    wrong = [f"--{key} {value}" for key, value in values.items() if options.get(key) != value]
    if model and asked.get("model") != model:
        wrong.insert(0, model)
    if data and asked.get("data") not in (data, str(Path(data).expanduser().absolute())):
        wrong.append(f"--data {data}")
    if wrong:
        raise ConfigError(
            f"run {run.id!r} goes on as it began, but it was not asked for {', '.join(wrong)}; "
            "say only --resume, or train anew without it"
        )
    note(("resuming ", "dim"), run.id)
    return run


def _plain(trained: TrainedModel) -> dict[str, Any]:
    card = trained.card
    return {
        "ref": trained.ref,
        "path": trained.path,
        "report": trained.report_path,
        "run": trained.run.id,
        "dataset": card.dataset,
        "classes": len(card.classes),
        "image_size": card.image_size,
        "config": card.config,
        "metrics": card.metrics,
        "calibration": card.calibration,
        "parity": card.parity,
        "duration_s": card.duration_s,
    }


def _show(trained: TrainedModel) -> None:
    """Print what a person wants to know now: how good, where, and what next."""
    card, metrics = trained.card, trained.evaluation.metrics
    counts = card.dataset["counts"]
    parity = card.parity
    show(
        Text.assemble(("✓ ", "green"), (trained.ref, "bold")),
        indented(
            facts(
                {
                    "accuracy": interval_text(metrics["accuracy"], percent=True),
                    "log loss": interval_text(metrics["log_loss"]),
                    "calibration": f"{card.calibration.get('method', '')}, error "
                    f"{metrics['ece'].value:.3f}",
                    "data": f"{card.dataset['name']}: {len(card.classes)} classes, "
                    + ", ".join(f"{counts[s]} {s}" for s in SPLITS if s in counts),
                    "pictures": f"looked at in {card.image_size} x {card.image_size}",
                    "file": f"equals the model on {parity['pictures']} pictures and "
                    f"{parity['odd_files']} odd files, to {parity['largest_difference']:.0e}",
                    "time": seconds_text(card.duration_s),
                    "model": trained.path / "model.onnx",
                    "report": trained.report_path,
                }
            )
        ),
    )
    say(("try:  ", "dim"), f"eyevsai predict --model {trained.ref} PICTURE")
