"""Fitting a net: what every PyTorch family does, given its config and how its net is built."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from eyevsai_core.errors import ConfigError
from eyevsai_torch.classifier import TorchClassifier, fitted
from eyevsai_torch.compilation import compiled
from eyevsai_torch.device import Precision, choose_device, choose_precision, tune_malloc
from eyevsai_torch.dice import step_seed
from eyevsai_torch.feed import Feed
from eyevsai_torch.fleet import Fleet
from eyevsai_torch.learner import Learner
from eyevsai_torch.loop import Loop
from eyevsai_torch.normalise import NormalisedNet, in_memory, pixel_statistics
from eyevsai_torch.range_test import range_test
from eyevsai_torch.targets import class_weights
from eyevsai_torch.transplant import transplant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eyevsai_core.family import FitContext, TrainData
    from eyevsai_torch.classifier import NetBuilder
    from eyevsai_torch.config import TorchConfig

__all__ = ["TorchTrainer"]

_PAIR = 2
_INITIAL = 2**31  # an epoch that no run has: weights are drawn in it


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a fit computes, and with whom."""

    fleet: Fleet
    precision: Precision

    @property
    def device(self) -> torch.device:
        return self.precision.device


class TorchTrainer:
    """Fits one net; made anew for each fit."""

    def __init__(self, config: Any, build: NetBuilder) -> None:
        """Take a family's checked config and the function that makes its net."""
        self.config: TorchConfig = config
        self.build = build

    def fit(self, train: TrainData, validation: TrainData, context: FitContext) -> TorchClassifier:
        """Learn from `train`, keep the epoch that is best on `validation`, return the classifier.

        On a CPU the same config, data and thread count give the same weights to the last bit,
        interrupted or not. Raises `ConfigError` for what cannot be done here and `RunError`
        when the training diverges, runs out of memory, or left a checkpoint that does not fit.
        """
        holds_out = self.config.validation == "choose"
        learnt = [train] if holds_out else [train, validation]
        size = train.images.shape[1]
        with self._placed(context.threads) as place:
            feed = Feed(learnt, place.device)
            config = self.config.resolved(len(feed))
            learner = self._learner(config, train, feed, place, context)
            judged = Feed([validation], place.device) if holds_out else None
            loop = Loop(learner, feed, judged, context)
            if config.compile:
                shape = (loop.part, 3, size, size)
                learner.worker = compiled(learner.net, place.precision, shape, context)
            learner.distribute()
            try:
                weights = loop.run()
            finally:
                learner.go_alone()
        net = in_memory(learner.net, torch.contiguous_format)
        net.load_state_dict(weights)
        return TorchClassifier(config, train.classes, size, fitted(net))

    def find_learning_rate(
        self, train: TrainData, context: FitContext
    ) -> Sequence[tuple[float, float]]:
        """Return growing learning rates and the smoothed loss after a step at each of them."""
        with self._placed(context.threads) as place:
            feed = Feed([train], place.device)
            learner = self._learner(self.config.resolved(len(feed)), train, feed, place, context)
            return range_test(learner, feed, context)

    @contextmanager
    def _placed(self, threads: int) -> Iterator[_Place]:
        """Choose the device, meet the other processes, and put back what was afterwards."""
        fleet = Fleet.from_environment()
        device = choose_device(self.config.device, fleet.local_rank)
        precision = choose_precision(self.config.precision, device)
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        if device.type == "cpu":
            tune_malloc()
        elif device.type == "cuda":
            torch.cuda.set_device(device)
        fleet.join(device)
        try:
            yield _Place(fleet, precision)
        finally:
            torch.set_num_threads(before)
        # Not after an error: the others may be waiting elsewhere, and torchrun ends them.
        fleet.wait()

    def _learner(
        self,
        config: TorchConfig,
        train: TrainData,
        feed: Feed,
        place: _Place,
        context: FitContext,
    ) -> Learner:
        net = self._net(config, train, context).to(place.device)
        if config.channels_last:
            net = in_memory(net, torch.channels_last)
        weights = class_weights(
            torch.from_numpy(feed.labels), len(train.classes), config.class_weight
        )
        batch = min(config.batch_size or 1, len(feed))
        if batch < _PAIR * place.fleet.size:
            raise ConfigError(
                f"{place.fleet.size} processes need a batch of at least {_PAIR * place.fleet.size} "
                f"pictures, a pair each, but got {batch}; start fewer, or set --batch-size higher"
            )
        steps = len(feed) // batch
        return Learner(
            config,
            net,
            place.precision,
            (config.epochs or 1) * steps,
            n_classes=len(train.classes),
            class_weights=weights,
            fleet=place.fleet,
        )

    def _net(self, config: TorchConfig, train: TrainData, context: FitContext) -> NormalisedNet:
        """Return the net with its first weights: drawn by the seed, or those of a fitted model."""
        start: Any = context.start
        if config.freeze and start is None:
            raise ConfigError(
                f"option 'freeze' keeps the weights of a model to continue from, but got "
                f"{config.freeze} without one; name it with --from, or leave freeze at 0"
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(step_seed(config.seed, _INITIAL, 0))
            inner = self.build(
                config, n_classes=len(train.classes), image_size=train.images.shape[1]
            )
        inner.checkpointed = config.memory_efficient
        net = NormalisedNet(inner, *pixel_statistics(train.images))
        if start is not None:
            transplant(start, net, train.classes)
        if config.freeze:
            inner.freeze(config.freeze)
        return net
