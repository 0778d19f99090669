"""The one hook that a plugin implements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from eyevsai_core.family import ModelFamily

__all__ = ["PROJECT", "eyevsai_model_families", "hookimpl", "hookspec"]

PROJECT = "eyevsai"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def eyevsai_model_families() -> list[ModelFamily]:  # type: ignore[empty-body]  # a specification
    """Return descriptions of the model families that this package offers.

    Called once a process; must be pure, quick (under 50 ms) and import no framework: the
    callables of a `ModelFamily` are where those imports belong.

    A complete plugin is a module that an entry point of the group ``eyevsai`` names, in
    ``pyproject.toml``::

        [project.entry - points.eyevsai]
        mine = "eyevsai_mine.plugin"

    and in ``eyevsai_mine/plugin.py``::

        from eyevsai_core.config import TrainConfig
        from eyevsai_core.family import ModelFamily, Variant
        from eyevsai_core.hookspecs import hookimpl


        def make_trainer(config):
            from eyevsai_mine.trainer import MeanTrainer

            return MeanTrainer(config)


        def load_classifier(directory):
            from eyevsai_mine.classifier import MeanClassifier

            return MeanClassifier.load(directory)


        def to_graph(classifier):
            from eyevsai_mine.graph import mean_graph

            return mean_graph(classifier)


        @hookimpl
        def eyevsai_model_families():
            return [
                ModelFamily(
                    name="mine",
                    summary="nearest class mean",
                    framework="numpy",
                    variants=(
                        Variant(
                            name="mean",
                            summary="Euclidean distance to each class's mean picture",
                            plain="Remembers the average picture of each thing and compares.",
                        ),
                    ),
                    config=TrainConfig,
                    make_trainer=make_trainer,
                    load_classifier=load_classifier,
                    to_graph=to_graph,
                )
            ]
    """
