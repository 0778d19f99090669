"""`eyevsai models`: the registered models."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from eyevsai_core.cli.completion import complete_aliases, complete_models
from eyevsai_core.cli.console import (
    EXIT_ERROR,
    print_json,
    printable,
    say,
    show,
    status_text,
    table,
)
from eyevsai_core.cli.help import Command, Group
from eyevsai_core.cli.options import Json, Registry, Yes
from eyevsai_core.cli.progress import Bars
from eyevsai_core.cli.references import find_model, open_registry
from eyevsai_core.errors import ConfigError

if TYPE_CHECKING:
    from eyevsai_core.model_ref import ModelRef
    from eyevsai_core.model_registry import ModelRow

app = typer.Typer(
    cls=Group,
    add_completion=False,
    rich_markup_mode=None,
    help="Look after the registered models.",
    epilog="eyevsai models list\neyevsai models alias shallow/svm_hog_lbp/doodles@3 production",
)

_COLUMNS = ("model", "accuracy", "95 % interval", "made", "aliases")
Reference = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="family/variant/data[@version or alias], or a shorter name",
        autocompletion=complete_models,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only say what would be removed")]


@app.command("list", cls=Command)
def list_models(*, registry: Registry = None, as_json: Json = False) -> None:
    """List the models with their test accuracy."""
    models = open_registry(registry)
    rows = models.list_models()
    if as_json:
        print_json({"registry": models.root, "models": [_plain(row) for row in rows]})
        return
    if not rows:
        say(("no models in ", "dim"), str(models.root))
        say(("make one:  ", "dim"), "eyevsai train shallow --data doodles")
        return
    made = table(*_COLUMNS, right=("accuracy",), whole=_COLUMNS[:-1])
    for row in rows:
        made.add_row(Text(str(row.ref), "cyan"), *_cells(row))
    show(made)


@app.command(
    "show", cls=Command, epilog="eyevsai models show production\neyevsai models show shallow --json"
)
def show_model(model: Reference, *, registry: Registry = None, as_json: Json = False) -> None:
    """Show the card of a model: data, classes, options, metrics, versions, files."""
    from eyevsai_core.cli.cards import show_card

    models = open_registry(registry)
    ref = find_model(models, model)
    card = models.card(ref)
    if as_json:
        print_json({**card.to_dict(), "path": models.path(ref)})
    else:
        show_card(card, models.path(ref))


@app.command(
    "verify", cls=Command, epilog="eyevsai models verify\neyevsai models verify production"
)
def verify_models(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]", help="one model (default: all)", autocompletion=complete_models
        ),
    ] = None,
    *,
    registry: Registry = None,
    as_json: Json = False,
) -> None:
    """Check every file against its card, and that the artefact is safe and loads."""
    from eyevsai_core.errors import EyevsaiError

    models = open_registry(registry)
    refs = [find_model(models, model)] if model else [row.ref for row in models.list_models()]
    found: dict[str, list[str]] = {}
    with Bars() as bars:
        for number, ref in enumerate(refs, start=1):
            found[str(ref)] = models.verify(ref)
            if not found[str(ref)]:
                try:
                    models.load(ref)
                except EyevsaiError as error:
                    found[str(ref)] = [str(error)]
            bars("verify", number, len(refs))
    if as_json:
        print_json({"ok": not any(found.values()), "models": found})
    for name, problems in ({} if as_json else found).items():
        say(("✗ " if problems else "✓ ", "red" if problems else "green"), name)
        for problem in problems:
            say("    ", printable(problem))
    if any(found.values()):
        raise typer.Exit(EXIT_ERROR)


@app.command("alias", cls=Command)
def alias_model(
    model: Reference,
    alias: Annotated[
        str,
        typer.Argument(
            metavar="ALIAS", help="a name, such as production", autocompletion=complete_aliases
        ),
    ],
    *,
    remove: Annotated[bool, typer.Option("--remove", help="forget the alias")] = False,
    registry: Registry = None,
    as_json: Json = False,
) -> None:
    """Give a version a name; the name moves if another version had it."""
    models = open_registry(registry)
    ref = find_model(models, model)
    if remove:
        models.remove_alias(ref.series, alias)
    else:
        models.set_alias(ref, alias)
    if as_json:
        print_json({"ref": str(ref), "alias": alias, "removed": remove})
    elif remove:
        say(f"{ref.series}@{alias} is forgotten")
    else:
        say(("✓ ", "green"), f"{ref.series}@{alias} is {ref}")


@app.command("prune", cls=Command, epilog="eyevsai models prune --keep 3 --dry-run")
def prune_models(
    *,
    keep: Annotated[
        int, typer.Option("--keep", metavar="N", min=0, help="how many versions to keep of each")
    ] = 1,
    dry_run: DryRun = False,
    yes: Yes = False,
    registry: Registry = None,
    as_json: Json = False,
) -> None:
    """Remove old versions; what has an alias stays, and so does the best."""
    models = open_registry(registry)
    gone = models.prune(keep=keep, dry_run=True)
    if gone and not dry_run:
        _confirm(gone, yes=yes)
        gone = models.prune(keep=keep)
    _say_removed(gone, dry_run=dry_run, as_json=as_json)


@app.command("rm", cls=Command)
def remove_model(
    model: Reference,
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
    registry: Registry = None,
    as_json: Json = False,
) -> None:
    """Remove one version of a model."""
    models = open_registry(registry)
    ref = find_model(models, model)
    if not dry_run:
        _confirm([ref], yes=yes)
        models.remove(ref)
    _say_removed([ref], dry_run=dry_run, as_json=as_json)


def _confirm(refs: list[ModelRef], *, yes: bool) -> None:
    """Ask before something is lost; who cannot be asked must have said --yes."""
    if yes:
        return
    names = ", ".join(map(str, refs))
    if not _somebody_is_here():
        raise ConfigError(f"this removes {names}; nobody is here to be asked: say --yes")
    typer.confirm(f"Remove {names}?", abort=True, err=True)


def _somebody_is_here() -> bool:
    return sys.stdin.isatty()


def _say_removed(refs: list[ModelRef], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json({"removed": [str(ref) for ref in refs], "dry_run": dry_run})
        return
    for ref in refs:
        say(("would remove " if dry_run else "removed ", "dim"), str(ref))
    if not refs:
        say("nothing to remove")


def _accuracy(row: ModelRow) -> dict[str, Any]:
    metric = row.card.metrics.get("test", {}).get("accuracy") if row.card else None
    return metric if isinstance(metric, dict) else {}


def _plain(row: ModelRow) -> dict[str, Any]:
    accuracy = _accuracy(row)
    return {
        "ref": str(row.ref),
        "state": "ok" if row.card else "damaged",
        "problem": row.problem,
        "aliases": list(row.aliases),
        "test_accuracy": accuracy.get("value"),
        "low": accuracy.get("low"),
        "high": accuracy.get("high"),
        "created": row.card.created if row.card else None,
        "path": row.path,
    }


def _cells(row: ModelRow) -> list[str | Text]:
    accuracy = _accuracy(row)
    if row.card is None:
        return ["", status_text("damaged"), "", printable(row.problem)]
    if not accuracy:
        return ["", "", row.card.created[:10], ", ".join(row.aliases)]
    interval = f"{100 * accuracy['low']:.1f} to {accuracy['high']:.1%}"
    return [
        Text(f"{accuracy['value']:.1%}", "bold"),
        Text(interval, "dim"),
        row.card.created[:10],
        ", ".join(row.aliases),
    ]
