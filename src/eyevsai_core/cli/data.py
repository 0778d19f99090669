"""`eyevsai data`: data sets, and whether pictures are fit to learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from eyevsai_core.cli.completion import complete_data
from eyevsai_core.cli.console import EXIT_ERROR, facts, print_json, printable, say, show, table
from eyevsai_core.cli.help import Command, Group, indented
from eyevsai_core.cli.options import Json
from eyevsai_core.cli.progress import Bars

if TYPE_CHECKING:
    from eyevsai_core.dataset import Dataset
    from eyevsai_core.dataset_check import DatasetCheck

app = typer.Typer(
    cls=Group,
    add_completion=False,
    rich_markup_mode=None,
    help="Look at data sets before a model does.",
    epilog="eyevsai data list\neyevsai data info doodles\neyevsai data check pictures/",
)

Source = Annotated[
    str,
    typer.Argument(
        metavar="NAME|PATH",
        help="a data set's name, a folder of <label>/<picture>, or a .csv or .jsonl table",
        autocompletion=complete_data,
    ),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="seed of the split, if it has none")]


@app.command("list", cls=Command)
def list_data(*, as_json: Json = False) -> None:
    """List the data sets that have a name."""
    from eyevsai_core.catalog import list_datasets

    infos = list_datasets()
    if as_json:
        names = ("name", "summary", "classes", "pictures", "licence", "attribution", "source")
        print_json({"datasets": [{name: getattr(i, name) for name in names} for i in infos]})
        return
    numbers = ("pictures", "classes")
    rows = table("name", *numbers, "licence", "", right=numbers, whole=("name",))
    for i in infos:
        name = Text(i.name, "bold cyan")
        rows.add_row(name, str(i.pictures), str(len(i.classes)), i.licence, i.summary)
    show(rows)
    say(("\nA folder of <label>/<picture>, a .csv or a .jsonl is a data set too.", "dim"))


@app.command("info", cls=Command, epilog="eyevsai data info doodles\neyevsai data info pictures/")
def info_data(source: Source, *, seed: Seed = 0, as_json: Json = False) -> None:
    """Describe a data set: its splits, classes, licence and fingerprint."""
    from eyevsai_core.catalog import load_dataset

    with Bars("open"):
        dataset = load_dataset(source, seed=seed)
        counts = dataset.counts()
        fingerprint = dataset.fingerprint
    if as_json:
        names = ("name", "root", "classes", "licence", "attribution", "source")
        plain = {name: getattr(dataset, name) for name in names}
        print_json({**plain, "fingerprint": fingerprint, "counts": counts})
    else:
        _show(dataset, counts)


@app.command("check", cls=Command, epilog="eyevsai data check pictures/")
def check_data(source: Source, *, seed: Seed = 0, as_json: Json = False) -> None:
    """Look for damaged files, duplicates, leaks between splits and contradictions.

    Ends with 1 when there is something to mend.
    """
    from eyevsai_core.catalog import load_dataset
    from eyevsai_core.dataset_check import check_dataset

    with Bars("open") as bars:
        found = check_dataset(load_dataset(source, seed=seed), progress=bars.stage("check"))
    if as_json:
        print_json(found.to_dict())
    else:
        _show_check(found)
    if not found.ok:
        raise typer.Exit(EXIT_ERROR)


def _show(dataset: Dataset, counts: dict[str, dict[str, int]]) -> None:
    splits = list(counts)
    rows = table("class", *splits, right=splits)
    for label in dataset.classes:
        cells = (str(counts[split][label]) for split in splits)
        rows.add_row(Text(printable(label)), *cells)
    totals = (Text(str(sum(counts[split].values())), "bold") for split in splits)
    rows.add_row(Text("all", "bold"), *totals)
    about = facts(
        {
            "pictures": f"{len(dataset.samples)} in {len(dataset.classes)} classes",
            "place": dataset.root,
            "licence": dataset.licence,
            "attribution": dataset.attribution,
            "source": dataset.source,
            "fingerprint": dataset.fingerprint,
        }
    )
    show(Text(printable(dataset.name), "bold"), indented(about), Text(), indented(rows))


def _show_check(found: DatasetCheck) -> None:
    sizes = zip(found.widths, found.heights, strict=True)
    small, middle, large = (f"{width} x {height}" for width, height in sizes)
    pictures = {split: sum(labels.values()) for split, labels in found.counts.items()}
    about = {
        "pictures": ", ".join(f"{n} {split}" for split, n in pictures.items()),
        "sizes": f"{small} to {large}, median {middle}",
        "formats": ", ".join(f"{name} {n}" for name, n in found.formats.items()),
        "colours": ", ".join(f"{name} {n}" for name, n in found.modes.items()),
        "fingerprint": found.fingerprint,
    }
    show(Text(printable(found.name), "bold"), indented(facts(about)))
    for problem in found.problems:
        say(("✗ ", "red"), printable(problem))
    for hint in found.notes:
        say(("! ", "yellow"), printable(hint))
    if found.ok:
        say(("✓ ", "green"), "fit to learn from")
