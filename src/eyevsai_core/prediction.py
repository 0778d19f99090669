"""One model's answer to one picture."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

__all__ = ["Prediction"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """A label, how sure the model is of it (0-1), and the probability of every label.

    ``probabilities`` is ordered as the model's classes are; its values sum to 1.
    """

    label: str
    confidence: float
    probabilities: Mapping[str, float]

    @classmethod
    def from_row(
        cls, classes: Sequence[str], row: Sequence[float] | npt.NDArray[np.float32]
    ) -> Prediction:
        """Make a prediction from one row of a probability matrix, shape (n_classes,)."""
        probabilities = {label: float(p) for label, p in zip(classes, row, strict=True)}
        label = max(probabilities, key=probabilities.__getitem__)
        return cls(label, probabilities[label], probabilities)

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """Return the `k` most probable labels with their probabilities, best first."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:k]

    def _repr_html_(self) -> str:
        """Show the five best labels as bars in a notebook."""
        rows = "".join(
            f"<tr><td style='text-align:right'>{escape(label)}</td>"
            f"<td><div style='background:#4c78a8;height:1em;width:{200 * p:.0f}px'></div></td>"
            f"<td>{p:.1%}</td></tr>"
            for label, p in self.top()
        )
        return f"<table>{rows}</table>"
