"""``eyevsai models``: the registered models."""

from __future__ import annotations

from typing import Annotated

import typer

from eyevsai_core.cli.console import FAILED, plain, print_json, print_table
from eyevsai_core.cli.options import Json, Registry, complete_model, open_registry

__all__ = ["app"]

app = typer.Typer(help="List, verify, name and remove registered models.", no_args_is_help=True)
Model = Annotated[str, typer.Argument(help="Reference.", autocompletion=complete_model)]


@app.command("list")
def list_models(*, registry: Registry = None, as_json: Json = False) -> None:
    """List the registered models with their accuracy."""
    rows = open_registry(registry).list_models()
    table = []
    for row in rows:
        metrics = (row.card.metrics if row.card else {}).get("test", {}).get("accuracy", {})
        table.append(
            {
                "ref": str(row.ref),
                "aliases": list(row.aliases),
                "test_accuracy": metrics.get("value"),
                "low": metrics.get("low"),
                "high": metrics.get("high"),
                "created": row.card.created if row.card else None,
                "path": str(row.path),
                "problem": row.problem,
            }
        )
    if as_json:
        print_json(table)
        return
    if not table:
        plain("no models yet; train one: eyevsai train shallow --data doodles")
        return
    print_table(
        ("model", "accuracy", "95 %", "aliases", "made"),
        [
            (
                item["ref"],
                "damaged" if item["test_accuracy"] is None else f"{item['test_accuracy']:.3f}",
                "" if item["low"] is None else f"{item['low']:.3f}-{item['high']:.3f}",
                ", ".join(item["aliases"]),
                (item["created"] or "")[:10] if not item["problem"] else item["problem"],
            )
            for item in table
        ],
        numbers="accuracy,95 %",
    )


@app.command("show")
def show_model(model: Model, *, registry: Registry = None, as_json: Json = False) -> None:
    """Show a model's card."""
    models = open_registry(registry)
    card = models.card(models.resolve(model))
    if as_json:
        print_json(card.to_dict())
        return
    plain(card.to_markdown())


@app.command("verify")
def verify_model(
    model: Annotated[
        str | None,
        typer.Argument(help="Reference [default: every model].", autocompletion=complete_model),
    ] = None,
    *,
    registry: Registry = None,
    as_json: Json = False,
) -> None:
    """Check every file against the card's SHA-256, and that the artefact is safe and loads."""
    from eyevsai_core.classifier import load_model
    from eyevsai_core.errors import EyevsaiError

    models = open_registry(registry)
    refs = [models.resolve(model)] if model else [row.ref for row in models.list_models()]
    found = {}
    for ref in refs:
        problems = models.verify(ref)
        if not problems:
            try:
                load_model(models.path(ref))
            except EyevsaiError as error:
                problems = [str(error)]
        found[str(ref)] = problems
        if not as_json:
            plain(f"{ref}: {'; '.join(problems) or 'ok'}")
    if as_json:
        print_json(found)
    if any(found.values()):
        raise typer.Exit(FAILED)


@app.command("alias")
def alias_model(
    model: Model,
    alias: Annotated[str, typer.Argument(help="Name, such as production.")],
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Forget the alias.")] = False,
    registry: Registry = None,
    as_json: Json = False,
) -> None:
    """Give a version a name, such as production."""
    models = open_registry(registry)
    ref = models.resolve(model)
    if remove:
        models.remove_alias(ref.series, alias)
    else:
        models.set_alias(ref, alias)
    if as_json:
        print_json({"ref": str(ref), "alias": alias, "removed": remove})
    else:
        plain(f"{ref.series}@{alias} " + ("is forgotten" if remove else f"is now {ref}"))


@app.command("prune")
def prune_models(
    *,
    keep: Annotated[int, typer.Option("--keep", min=0, help="Versions of each to keep.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    registry: Registry = None,
    as_json: Json = False,
) -> None:
    """Remove old versions; what has an alias, and the best, stays."""
    gone = [str(ref) for ref in open_registry(registry).prune(keep=keep, dry_run=dry_run)]
    if as_json:
        print_json({"removed": gone, "dry_run": dry_run})
    else:
        plain("\n".join(f"{'would remove' if dry_run else 'removed'} {ref}" for ref in gone) or "nothing to remove")


@app.command("rm")
def remove_model(
    model: Model,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    registry: Registry = None,
    as_json: Json = False,
) -> None:
    """Remove one version."""
    models = open_registry(registry)
    ref = models.resolve(model)
    if not yes and not as_json:
        typer.confirm(f"remove {ref} for good?", abort=True)
    models.remove(ref)
    if as_json:
        print_json({"removed": [str(ref)]})
    else:
        plain(f"removed {ref}")
