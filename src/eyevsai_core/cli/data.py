"""``eyevsai data``: data sets by name, and whether pictures are fit to learn from."""

from __future__ import annotations

from typing import Annotated

import typer

from eyevsai_core.cli.console import FAILED, plain, print_json, print_table
from eyevsai_core.cli.options import Json, complete_data
from eyevsai_core.cli.progress import progress_bars

__all__ = ["app"]

app = typer.Typer(help="List, describe and check data sets.", no_args_is_help=True)
Data = Annotated[
    str, typer.Argument(help="Name, folder, .csv or .jsonl.", autocompletion=complete_data)
]


@app.command("list")
def list_data(*, as_json: Json = False) -> None:
    """List the data sets that have a name."""
    from eyevsai_core.catalog import list_datasets

    infos = list_datasets()
    if as_json:
        print_json(
            [
                {
                    "name": info.name,
                    "summary": info.summary,
                    "classes": list(info.classes),
                    "pictures": info.pictures,
                    "licence": info.licence,
                    "attribution": info.attribution,
                    "source": info.source,
                }
                for info in infos
            ]
        )
        return
    print_table(
        ("name", "classes", "pictures", "licence", "what it is"),
        [(i.name, str(len(i.classes)), str(i.pictures), i.licence, i.summary) for i in infos],
        numbers="classes,pictures",
    )
    plain("\nA folder of <label>/<picture>, a .csv or a .jsonl is a data set too.")


@app.command("info")
def info_data(data: Data, *, as_json: Json = False) -> None:
    """Describe a data set: splits, classes, fingerprint, licence."""
    from eyevsai_core.catalog import load_dataset

    dataset = load_dataset(data)
    counts = dataset.counts()
    if as_json:
        print_json(
            {
                "name": dataset.name,
                "root": str(dataset.root),
                "classes": list(dataset.classes),
                "counts": counts,
                "fingerprint": dataset.fingerprint,
                "licence": dataset.licence,
                "attribution": dataset.attribution,
                "source": dataset.source,
            }
        )
        return
    plain(f"{dataset.name}: {len(dataset.classes)} classes, {len(dataset.samples)} pictures")
    plain(f"fingerprint {dataset.fingerprint}")
    plain(f"in {dataset.root}")
    if dataset.licence:
        plain(f"licence {dataset.licence}: {dataset.attribution}")
    splits = list(counts)
    rows = [(label, *(str(counts[s][label]) for s in splits)) for label in dataset.classes]
    rows.append(("all", *(str(sum(counts[s].values())) for s in splits)))
    print_table(("class", *splits), rows, numbers=",".join(splits))


@app.command("check")
def check_data(
    data: Data,
    *,
    as_json: Json = False,
) -> None:
    """Look for damaged files, duplicates, leaks and contradicting labels; exit 1 if any."""
    from eyevsai_core.catalog import load_dataset
    from eyevsai_core.dataset_check import check_dataset

    dataset = load_dataset(data)
    with progress_bars(quiet=as_json) as progress:
        found = check_dataset(
            dataset,
            progress=(lambda done, total: progress("decode", done, total, {}))
            if progress
            else None,
        )
    if as_json:
        print_json(found.to_dict())
    else:
        plain(found.to_text())
    if not found.ok:
        raise typer.Exit(FAILED)
