"""A random forest as one ONNX-ML `TreeEnsembleClassifier`, exact and compact.

Only the classes that a leaf has seen are written, and none of the optional attributes: about a
fifth of what a general converter makes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import helper

if TYPE_CHECKING:
    import numpy.typing as npt
    import onnx

__all__ = ["forest_node", "round_down"]


def round_down(thresholds: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Return the largest float32 that is not above each float64.

    scikit-learn asks whether a float32 feature is at most a float64 threshold; for a float32
    that is the same question as whether it is at most this number.
    """
    near = thresholds.astype(np.float32)
    below = np.nextafter(near, np.float32(-np.inf), dtype=np.float32)
    return np.where(near > thresholds, below, near)


def forest_node(
    forest: Any, source: str, output: str, *, labels: str = "forest_labels"
) -> onnx.NodeProto:
    """Return the node that turns `source`, float32 (n, n_features), into vote shares.

    `forest` is a fitted scikit-learn forest. `output` has shape (n, max(n_classes, 3)): for two
    classes the operator has rules of its own about what it leaves out, so there is a third that
    never gets a vote. The node's other output, `labels`, is not needed.
    """
    columns: dict[str, list[npt.NDArray[Any]]] = {}

    def put(**values: npt.NDArray[Any]) -> None:
        for name, value in values.items():
            columns.setdefault(name, []).append(value)

    modes: list[str] = []
    for number, fitted in enumerate(forest.estimators_):
        tree = fitted.tree_
        count = tree.node_count
        leaf = tree.children_left < 0
        put(
            nodes_treeids=np.full(count, number),
            nodes_nodeids=np.arange(count),
            nodes_featureids=np.where(leaf, 0, tree.feature),
            nodes_values=np.where(leaf, 0, round_down(tree.threshold)).astype(np.float32),
            nodes_truenodeids=np.where(leaf, 0, tree.children_left),
            nodes_falsenodeids=np.where(leaf, 0, tree.children_right),
        )
        modes.extend(np.where(leaf, "LEAF", "BRANCH_LEQ").tolist())
        seen = tree.value[:, 0, :] * leaf[:, None]
        places, classes = np.nonzero(seen)
        share = seen[places, classes] / seen.sum(axis=1)[places] / len(forest.estimators_)
        put(
            class_treeids=np.full(len(places), number),
            class_nodeids=places,
            class_ids=classes,
            class_weights=share.astype(np.float32),
        )
    return helper.make_node(
        "TreeEnsembleClassifier",
        [source],
        [labels, output],
        domain="ai.onnx.ml",
        post_transform="NONE",
        classlabels_int64s=list(range(max(len(forest.classes_), 3))),
        nodes_modes=modes,
        **{name: np.concatenate(parts).tolist() for name, parts in columns.items()},
    )
