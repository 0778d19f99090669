"""Finding a learning rate: the range test of Smith (2017), its curve, and what to read off it."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eyevsai_core.catalog import load_dataset
from eyevsai_core.charts import line_chart
from eyevsai_core.errors import ConfigError, RunError
from eyevsai_core.families import list_families, parse_model_name
from eyevsai_core.preparation import Preparation, QuietContext, Request
from eyevsai_core.ranks import world_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from eyevsai_core.dataset import Dataset

    Progress = Callable[[str, float, int, dict[str, float]], None]

__all__ = ["LearningRateCurve", "find_learning_rate"]

_LEAST_POINTS = 8
_STYLE = (
    "svg{font:11px system-ui,sans-serif;fill:#333;background:#fff}"
    ".grid{stroke:#ddd}.axis{stroke:#888}.diagonal{stroke:#d9600a;stroke-dasharray:4 3}"
    ".line{fill:none;stroke-width:2}.line0{stroke:#2c67b2}.soft{fill:#666}"
)


@dataclass(frozen=True)
class LearningRateCurve:
    """Smoothed training losses at growing learning rates, float64 (n,) each, n at least 8."""

    rates: npt.NDArray[np.float64]
    losses: npt.NDArray[np.float64]

    @property
    def steepest(self) -> float:
        """The rate at which the loss falls fastest, per factor of the rate."""
        least = max(int(self.losses.argmin()), 2)
        slopes = np.gradient(self.losses[: least + 1], np.log(self.rates[: least + 1]))
        return float(self.rates[int(slopes.argmin())])

    @property
    def minimum_tenth(self) -> float:
        """A tenth of the rate with the least loss: the largest that is safely below divergence."""
        return float(self.rates[int(self.losses.argmin())]) / 10

    @property
    def suggestion(self) -> float:
        """Between the two, in the middle of their logarithms, to two digits."""
        middle = math.sqrt(self.steepest * self.minimum_tenth)
        return float(f"{middle:.1e}")

    def to_svg(self) -> str:
        """Draw the curve over the logarithm of the rate, the suggestion pointed out."""
        points = list(zip(np.log10(self.rates).tolist(), self.losses.tolist(), strict=True))
        chart = line_chart(
            "loss over learning rate",
            {"training loss": points},
            x_label="learning rate",
            mark=math.log10(self.suggestion),
            powers=True,
        )
        head = '<svg xmlns="http://www.w3.org/2000/svg" width="760" '
        return chart.replace("<svg ", head, 1).replace(
            "<title>", f"<style>{_STYLE}</style><title>", 1
        )

    def to_csv(self) -> str:
        """Return the points as CSV with a header."""
        rows = zip(self.rates.tolist(), self.losses.tolist(), strict=True)
        return "".join(
            ["learning_rate,loss\n", *(f"{rate:.6g},{loss:.6g}\n" for rate, loss in rows)]
        )


def find_learning_rate(
    model: str,
    data: str | Path | Dataset,
    *,
    config: Mapping[str, Any] | None = None,
    seed: int = 0,
    allow_leaks: bool = False,
    allow_conflicts: bool = False,
    allow_unreadable: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> LearningRateCurve:
    """Train for a moment with growing learning rates, and return how the loss answered.

    The arguments are those of `train_model`. Nothing is registered. Raises `ConfigError` when
    the family has no learning rate, `RunError` when the loss diverged at once.
    """
    family, variant = parse_model_name(model)
    search = family.find_learning_rate
    if search is None:
        able = [r.name for r in list_families() if r.family and r.family.find_learning_rate]
        raise ConfigError(
            f"family {family.name!r} has no learning rate to find; these have: "
            f"{', '.join(able) or 'none that is installed'}"
        )
    if world_size() > 1:
        raise ConfigError("a learning rate is found in one process; start it without torchrun")
    options = family.make_config(variant.name, **{"seed": seed, **(config or {})}).to_dict()
    request = Request(
        model=f"{family.name}/{variant.name}",
        data="",
        options=options,
        allow_leaks=allow_leaks,
        allow_conflicts=allow_conflicts,
        allow_unreadable=allow_unreadable,
        threads=threads,
    )
    preparation = Preparation(request, load_dataset(data, seed=options["seed"]), progress)
    train = preparation.data("train")
    with tempfile.TemporaryDirectory() as folder:
        points = search(preparation.config, train, QuietContext(preparation, Path(folder)))
    if len(points) < _LEAST_POINTS:
        raise RunError(
            f"the loss diverged after {len(points)} steps, at the smallest learning rates; look "
            "at the pictures and the options, such as --clip-norm 1"
        )
    rates, losses = zip(*points, strict=True)
    return LearningRateCurve(np.array(rates, np.float64), np.array(losses, np.float64))
