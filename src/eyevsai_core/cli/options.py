"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from eyevsai_core.cli import completion as offer

__all__ = [
    "AllowUnreadable",
    "Data",
    "Json",
    "Model",
    "ModelArgument",
    "Out",
    "Registry",
    "SplitName",
    "Threads",
    "Yes",
]

Json = Annotated[bool, typer.Option("--json", help="print JSON on stdout, and nothing else")]
Registry = Annotated[
    str | None,
    typer.Option(
        "--registry",
        metavar="DIR",
        help="folder of the registered models (default: models in EYEVSAI_HOME)",
    ),
]
ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="family/variant/data[@version or alias], a shorter name, a folder or a .onnx file",
        autocompletion=offer.complete_models,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="a reference, alias, folder or .onnx file (default: the newest registered model)",
        autocompletion=offer.complete_models,
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        "-d",
        metavar="NAME|PATH",
        help="a data set's name, a folder of <label>/<picture>, or a .csv or .jsonl table "
        "(default: the data set of the model's card, when it has a name)",
        autocompletion=offer.complete_data,
    ),
]
SplitName = Annotated[
    str,
    typer.Option(
        "--split",
        metavar="SPLIT",
        help="train, validation, calibration, test, or all pictures whatever they are for",
        autocompletion=offer.complete_splits,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", metavar="N", min=1, help="how many threads to use (default: all)"),
]
AllowUnreadable = Annotated[
    bool,
    typer.Option("--allow-unreadable", help="go on although over 1 % of the pictures are damaged"),
]
Out = Annotated[str | None, typer.Option("--out", metavar="PATH", help="where to write")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="do it without asking")]
