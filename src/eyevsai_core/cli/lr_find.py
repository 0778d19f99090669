"""`eyevsai lr-find`: a good learning rate for a family's net on some pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from eyevsai_core.cli import completion as offer
from eyevsai_core.cli.console import facts, print_json, say, show
from eyevsai_core.cli.family_options import FAMILY_VALUES, TrainCommand, collect_options
from eyevsai_core.cli.help import indented
from eyevsai_core.cli.options import AllowUnreadable, Json, Threads
from eyevsai_core.cli.progress import Bars
from eyevsai_core.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from eyevsai_core.learning_rate import LearningRateCurve

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_EXAMPLES = """
eyevsai lr-find deep-v1 --data doodles
eyevsai lr-find deep-v2/resnet --data pictures/ --optimizer adamw --out lr.svg
"""
_SUFFIXES = (".svg", ".png", ".csv", ".json")


@app.command(cls=TrainCommand, epilog=_EXAMPLES)
def lr_find_command(
    ctx: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            metavar="FAMILY[/VARIANT]",
            help="whose learning rate; see them with: eyevsai list",
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
            help="what it is to learn from: a data set's name, a folder or a table",
            autocompletion=offer.complete_data,
        ),
    ] = "",
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="seed of every random choice")
    ] = 0,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="where to draw or write the curve: .svg, .png, .csv or .json",
        ),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("-o", "--option", metavar="NAME=VALUE", help="set one option of the family"),
    ] = None,
    config: Annotated[
        str | None, typer.Option("--config", metavar="FILE", help="read options from a TOML file")
    ] = None,
    threads: Threads = None,
    allow_leaks: Annotated[
        bool, typer.Option("--allow-leaks", help="although test pictures are also elsewhere")
    ] = False,
    allow_conflicts: Annotated[
        bool, typer.Option("--allow-conflicts", help="although a picture has two labels")
    ] = False,
    allow_unreadable: AllowUnreadable = False,
    as_json: Json = False,
) -> None:
    """Train for a moment with ever larger learning rates, and say which is a good one.

    Nothing is registered. Give the answer to train as --learning-rate.
    """
    from eyevsai_core.families import parse_model_name
    from eyevsai_core.learning_rate import find_learning_rate

    if not model or not data:
        raise ConfigError(
            "say whose learning rate and on what, such as: eyevsai lr-find deep-v1 --data doodles"
        )
    place = _checked(out)
    family, variant = parse_model_name(model)
    name = f"{family.name}/{variant.name}"
    file = Path(config) if config else None
    values = collect_options(family, ctx.meta[FAMILY_VALUES], options or [], file)
    with Bars("open") as bars:
        curve = find_learning_rate(
            name,
            data,
            config=values,
            seed=seed,
            allow_leaks=allow_leaks,
            allow_conflicts=allow_conflicts,
            allow_unreadable=allow_unreadable,
            threads=threads,
            progress=bars,
        )
    if place:
        _write(curve, place)
    if as_json:
        print_json({**_plain(curve), "out": place})
        return
    rows = {
        "suggestion": f"{curve.suggestion:g}",
        "loss falls fastest": f"at {curve.steepest:.2g}",
        "least loss": f"at {10 * curve.minimum_tenth:.2g}; a tenth of it is "
        f"{curve.minimum_tenth:.2g}",
        **({"curve": place} if place else {}),
    }
    show(Text.assemble(("✓ ", "green"), (name, "bold")), indented(facts(rows)))
    say(
        ("try:  ", "dim"),
        f"eyevsai train {name} --data {data} --learning-rate {curve.suggestion:g}",
    )


def _checked(out: str | None) -> Path | None:
    """Refuse a format that nobody writes before anything is trained."""
    if out is None:
        return None
    place = Path(out)
    if place.suffix.lower() not in _SUFFIXES:
        raise ConfigError(
            f"--out must end with one of {', '.join(_SUFFIXES)}, but got {out!r}."
            + did_you_mean(place.suffix, _SUFFIXES)
        )
    if place.suffix.lower() == ".png":
        from eyevsai_core.plots import require_plots

        require_plots()
    return place


def _plain(curve: LearningRateCurve) -> dict[str, Any]:
    return {
        "suggestion": curve.suggestion,
        "steepest": curve.steepest,
        "minimum_tenth": curve.minimum_tenth,
        "rates": curve.rates.tolist(),
        "losses": curve.losses.tolist(),
    }


def _write(curve: LearningRateCurve, place: Path) -> None:
    from eyevsai_core.files import write_atomic, write_json

    kind = place.suffix.lower()
    if kind == ".json":
        write_json(place, _plain(curve))
    elif kind == ".png":
        from eyevsai_core.plots import learning_rate_png

        write_atomic(place, learning_rate_png(curve))
    else:
        text = curve.to_svg() if kind == ".svg" else curve.to_csv()
        write_atomic(place, text.encode())
