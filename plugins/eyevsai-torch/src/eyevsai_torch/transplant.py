"""Continuing from a fitted model: its weights, wherever they fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from eyevsai_core.errors import ConfigError

if TYPE_CHECKING:
    from eyevsai_torch.normalise import NormalisedNet

__all__ = ["transplant"]

_HEAD = "net.head."


def transplant(start: Any, net: NormalisedNet, classes: tuple[str, ...]) -> None:
    """Copy the weights of the classifier `start` into `net`, which will tell `classes` apart.

    Everything but the last layer must have the shapes it had. Of the last layer, the rows of
    the labels that both know are copied; the rows of new labels stay as they were drawn. The
    normalisation comes along: the weights were learned behind it. Raises `ConfigError` when the
    net is another one.
    """
    theirs, mine = start.net.state_dict(), net.state_dict()
    wrong = [
        name
        for name in mine.keys() | theirs.keys()
        if not _is_of_classes(name, mine, theirs)
        and (name not in mine or name not in theirs or mine[name].shape != theirs[name].shape)
    ]
    if wrong:
        raise ConfigError(
            f"the model to continue from must have the same net, but {len(wrong)} of its weights "
            f"differ, such as {min(wrong)!r}; use the variant and options that it was trained with"
        )
    known = {label: row for row, label in enumerate(start.classes)}
    rows = [(row, known[label]) for row, label in enumerate(classes) if label in known]
    here, there = [row for row, _ in rows], [row for _, row in rows]
    with torch.no_grad():
        for name, value in mine.items():
            if _is_of_classes(name, mine, theirs):
                value[here] = theirs[name][there]
            else:
                value.copy_(theirs[name])


def _is_of_classes(
    name: str, mine: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]
) -> bool:
    """Whether a weight has one row a class, and is there in both nets."""
    return (
        name.startswith(_HEAD)
        and name in mine
        and name in theirs
        and mine[name].shape[1:] == theirs[name].shape[1:]
    )
