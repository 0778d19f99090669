"""``eyevsai train FAMILY[/VARIANT] --data ...``: every option of the family is an option here."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eyevsai_core.cli.console import fail, notice, plain, print_json, print_table, stdout
from eyevsai_core.cli.options import (
    Json,
    Registry,
    Threads,
    complete_data,
    complete_family,
    open_registry,
)
from eyevsai_core.cli.progress import progress_bars
from eyevsai_core.errors import ConfigError

if TYPE_CHECKING:
    from eyevsai_core.config import TrainConfig
    from eyevsai_core.family import ModelFamily, Variant
    from eyevsai_core.training import TrainedModel

__all__ = ["train_command"]

_FIXED = (
    ("--data NAME|PATH", "a data set's name, a folder of <label>/<picture>, a .csv or a .jsonl"),
    ("--seed N", "seed of every random choice [default: 0]"),
    ("-o NAME=VALUE", "set an option; the same as --name value"),
    ("--config FILE.toml", "read options from a file; options given here win"),
    ("--resume [RUN]", "go on with an interrupted run: its name or folder; alone: the last"),
    ("--calibration METHOD", "auto, none, temperature, platt or isotonic [default: auto]"),
    ("--out DIR", "also copy the model into this folder"),
    ("--name ALIAS", "also give the model this alias"),
    ("--registry DIR", "folder of registered models [default: $EYEVSAI_HOME/models]"),
    ("--threads N", "threads to use [default: all cores]"),
    ("--allow-leaks", "accept pictures that are both in test and in another split"),
    ("--allow-unreadable", "accept more than 1 % unreadable pictures, left out"),
    ("--json", "print one JSON value on stdout"),
)


def train_command(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            metavar="FAMILY[/VARIANT]", show_default=False, autocompletion=complete_family
        ),
    ] = "",
    *,
    data: Annotated[str, typer.Option("--data", autocompletion=complete_data)] = "",
    seed: Annotated[int | None, typer.Option("--seed")] = None,
    option: Annotated[list[str] | None, typer.Option("-o", "--option")] = None,
    config: Annotated[Path | None, typer.Option("--config")] = None,
    calibration: Annotated[str, typer.Option("--calibration")] = "auto",
    out: Annotated[Path | None, typer.Option("--out")] = None,
    name: Annotated[str | None, typer.Option("--name")] = None,
    registry: Registry = None,
    threads: Threads = None,
    allow_leaks: Annotated[bool, typer.Option("--allow-leaks")] = False,
    allow_unreadable: Annotated[bool, typer.Option("--allow-unreadable")] = False,
    help_: Annotated[bool, typer.Option("--help", "-h", is_eager=True)] = False,
    as_json: Json = False,
) -> None:
    """Train, verify, evaluate and register a model; `train FAMILY --help` lists its options."""
    from eyevsai_core.families import parse_model_name

    # Options that the parser does not know count as arguments, so the first may be one of them.
    resume, words = _take_resume([model, *context.args] if model else context.args)
    model, extra = (words[0], words[1:]) if words and words[0][:1] != "-" else ("", words)
    if help_:
        _help(*(parse_model_name(model) if model else (None, None)))
        return
    if resume is not None:
        _say(_resume(resume, as_json=as_json), as_json=as_json)
        return
    if not model or not data:
        missing = "FAMILY[/VARIANT]" if not model else "--data NAME|PATH"
        fail(
            f"missing {missing}; for example: eyevsai train shallow --data doodles",
            as_json=as_json,
            code=2,
        )
    family, variant = parse_model_name(model)
    values = _options(family, extra, option or [], config, as_json=as_json)
    from eyevsai_core.training import train_model

    with _interruptible(), progress_bars(quiet=as_json) as progress:
        trained = train_model(
            f"{family.name}/{variant.name}",
            data,
            config=values,
            seed=seed,
            calibration=calibration,
            registry=open_registry(registry),
            out=out,
            name=name,
            allow_leaks=allow_leaks,
            allow_unreadable=allow_unreadable,
            threads=threads,
            progress=progress,
            command=shlex.join(["eyevsai", *sys.argv[1:]]),
        )
    _say(trained, as_json=as_json)


class _interruptible:  # noqa: N801  reads as a statement
    """Say how to go on when a run is stopped."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is KeyboardInterrupt:
            from eyevsai_core.run import find_run

            run = find_run("last")
            notice(f"stopped; go on with: eyevsai train --resume {run.id}")


def _resume(name: str, *, as_json: bool) -> TrainedModel:
    from eyevsai_core.run import find_run
    from eyevsai_core.training import resume_training

    run = find_run(name)
    notice(f"resuming {run.id}")
    with _interruptible(), progress_bars(quiet=as_json) as progress:
        return resume_training(run, progress=progress)


def _take_resume(arguments: list[str]) -> tuple[str | None, list[str]]:
    """Take ``--resume [RUN]`` out of the arguments: alone it means the last run."""
    for place, word in enumerate(arguments):
        if word.startswith("--resume="):
            return word.removeprefix("--resume="), arguments[:place] + arguments[place + 1 :]
        if word == "--resume":
            following = arguments[place + 1 : place + 2]
            named = bool(following) and not following[0].startswith("-")
            rest = arguments[:place] + arguments[place + 1 + named :]
            return (following[0] if named else "last"), rest
    return None, arguments


def _options(
    family: ModelFamily,
    words: list[str],
    pairs: list[str],
    config: Path | None,
    *,
    as_json: bool,
) -> dict[str, Any]:
    """Read the family's options from a file, from ``-o name=value`` and from ``--name value``."""
    values = family.config.read_toml(config) if config else {}
    try:
        typed = [_pair(pair) for pair in pairs] + _typed(words, family.config)
        values |= family.config.parse_options(typed)
    except ConfigError as error:
        fail(error, as_json=as_json, code=2)
    return values


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"-o takes NAME=VALUE, but got {text!r}")
    return name.strip(), value


def _typed(words: list[str], config: type[TrainConfig]) -> list[tuple[str, str]]:
    """Split ``--name value``, ``--name=value``, ``--flag`` and ``--no-flag`` into pairs."""
    flags = {spec.name for spec in config.options() if spec.type is bool}
    found = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise ConfigError(f"unexpected {word!r}; options look like --name value")
        name, equals, value = word[2:].partition("=")
        field = name.replace("-", "_")
        if equals:
            found.append((name, value))
        elif field in flags and not (rest and rest[0].lower() in ("true", "false", "none")):
            found.append((name, "true"))
        elif field.removeprefix("no_") in flags and field not in flags:
            found.append((field.removeprefix("no_"), "false"))
        elif not rest or rest[0].startswith("--"):
            config.parse_options([(name, "")])  # an unknown name is the better complaint
            raise ConfigError(f"option --{name} needs a value")
        else:
            found.append((name, rest.pop(0)))
    return found


def _help(family: ModelFamily | None, variant: Variant | None) -> None:
    named = f"{family.name}/{variant.name}" if family and variant else "FAMILY[/VARIANT]"
    stdout().print(f"\n[bold]Usage:[/] eyevsai train {named} --data NAME|PATH [OPTIONS]\n")
    plain("  Train a model, prove that its file equals it, evaluate and register it.\n")
    print_table(("option", "what it does"), _FIXED)
    if not family or not variant:
        plain("\n  Each family has options of its own: eyevsai train shallow --help")
        return
    defaults = family.make_config(variant.name).to_dict()
    rows = [
        (
            spec.flag,
            spec.range_text + (f" {spec.unit}" if spec.unit else ""),
            "none" if defaults[spec.name] is None else str(defaults[spec.name]).lower(),
            spec.help,
        )
        for spec in family.config.options()
        if spec.name != "seed"
    ]
    plain()
    print_table(
        ("option", "range", "default", "what it does"), rows, title=f"Options of {named}"
    )
    others = ", ".join(f"{family.name}/{v.name}" for v in family.variants)
    plain(f"\nVariants: {others}")


def _say(trained: TrainedModel, *, as_json: bool) -> None:
    metrics = trained.evaluation.metrics
    if as_json:
        print_json(
            {
                "ref": trained.ref,
                "path": str(trained.path),
                "report": str(trained.report_path),
                "run": trained.run.id,
                "metrics": trained.card.metrics,
                "parity": trained.card.parity,
                "seconds": trained.card.duration_s,
            }
        )
        return
    accuracy = metrics["accuracy"]
    parity = trained.card.parity
    rows = [
        ("model", trained.ref),
        ("test accuracy", f"{accuracy}  on {accuracy.n} pictures"),
        ("calibration error", str(metrics["ece"])),
        (
            "proven equal",
            f"{parity['pictures']} pictures and {parity['odd_files']} odd files, largest "
            f"difference {parity['largest_difference']:.1e}",
        ),
        ("file", str(trained.path / "model.onnx")),
        ("report", str(trained.report_path)),
        ("time", f"{trained.card.duration_s:.1f} s"),
    ]
    for name, value in rows:
        plain(f"{name:>18}  {value}")
    notice(f"try it: eyevsai predict --model {trained.ref} PICTURE...")
