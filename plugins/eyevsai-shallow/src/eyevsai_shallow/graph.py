"""A fitted shallow classifier as an ONNX graph: pixels -> features -> pipeline -> scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from eyevsai_core.errors import ExportError
from eyevsai_shallow.feature_graph import feature_nodes
from eyevsai_shallow.forest_graph import forest_node
from eyevsai_shallow.kernel_machine import VOTE_SLOPE, KernelMachine, pair_matrices
from eyevsai_shallow.scores import SMOOTHING

if TYPE_CHECKING:
    import numpy.typing as npt

    from eyevsai_shallow.classifier import ShallowClassifier

__all__ = ["classifier_graph"]

_OPSET, _ML_OPSET, _IR = 18, 3, 9


class _Builder:
    """Nodes and initializers with names that count up."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def hold(self, value: npt.ArrayLike, dtype: type = np.float64) -> str:
        name = f"weight_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def hold_single(self, value: npt.NDArray[Any]) -> str:
        """Hold numbers that float32 has exactly in half the room, as float64 to the graph."""
        return self.add("Cast", self.hold(value, np.float32), to=TensorProto.DOUBLE)

    def add(self, op: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        name = output or f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name


def classifier_graph(classifier: ShallowClassifier) -> onnx.ModelProto:
    """Return ``pixels`` uint8 (n, size, size, 3) -> ``scores`` float32 (n, n_classes)."""
    size, n_classes = classifier.image_size, len(classifier.classes)
    build = _Builder()
    nodes, initializers = feature_nodes(
        classifier.config.features(), size, "pixels", "features", prefix="features/"
    )
    build.nodes += nodes
    reduced = _transforms(build, classifier.pipeline, "features")
    estimator = classifier.pipeline[-1]
    if isinstance(estimator, KernelMachine):
        _svm(build, estimator, reduced)
    elif hasattr(estimator, "estimators_"):
        _forest(build, estimator, reduced, dict(classifier.pipeline.steps))
    else:
        _logistic(build, estimator, reduced)
    graph = helper.make_graph(
        build.nodes,
        "shallow",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", size, size, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", n_classes])],
        initializer=[*initializers, *build.initializers],
    )
    imports = [helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)]
    return helper.make_model(graph, opset_imports=imports, ir_version=_IR)


def _transforms(build: _Builder, pipeline: Any, features: str) -> str:
    """Weave selection, scaling and PCA, in float64 as `ShallowClassifier` computes them.

    A kernel machine sums thousands of terms that nearly cancel: in float32 the artefact would
    differ from the model in the third digit.
    """
    value = features
    steps = dict(pipeline.steps[:-1])
    if "select" in steps:
        kept = np.flatnonzero(steps["select"].get_support())
        value = build.add("Gather", value, build.hold(kept, np.int64), axis=1)
    if "scale" in steps:
        value = build.add("Cast", value, to=TensorProto.DOUBLE)
        centred = build.add("Sub", value, build.hold(steps["scale"].mean_))
        value = build.add("Div", centred, build.hold(steps["scale"].scale_))
    if "pca" in steps:
        pca = steps["pca"]
        centred = build.add("Sub", value, build.hold(pca.mean_))
        value = build.add("MatMul", centred, build.hold_single(pca.components_.T))
        if pca.whiten:
            spread = np.sqrt(np.asarray(pca.explained_variance_, np.float64))
            value = build.add("Div", value, build.hold(spread))
    return value


def _finish(build: _Builder, value: str) -> None:
    build.add("Cast", value, output="scores", to=TensorProto.FLOAT)


def _logistic(build: _Builder, estimator: Any, value: str) -> None:
    weights, offset = estimator.coef_, estimator.intercept_
    if len(weights) == 1:
        weights = np.concatenate([np.zeros_like(weights), weights])
        offset = np.array([0.0, offset[0]])
    product = build.add("MatMul", value, build.hold(weights.T))
    _finish(build, build.add("Add", product, build.hold(offset)))


def _svm(build: _Builder, machine: KernelMachine, value: str) -> None:
    """Weave kernel, weights, offset and soft votes as dense products, faster than SVMClassifier."""
    vectors, weights = machine.vectors_, machine.weights_
    if machine.kernel == "linear":
        product = build.add("MatMul", value, build.hold(vectors.T.astype(np.float64) @ weights))
    else:
        kernel = _kernel(build, machine, value, vectors)
        product = build.add("MatMul", kernel, build.hold(weights))
    decisions = build.add("Add", product, build.hold(machine.intercept_))
    if not machine.pairs_:
        _finish(build, decisions)
        return
    first, second = pair_matrices(len(machine.classes_))
    share = 1 / (len(machine.classes_) - 1)
    vote = build.add("Sigmoid", build.add("Mul", decisions, build.hold(VOTE_SLOPE)))
    other = build.add("Sub", build.hold(1.0), vote)
    won = build.add("MatMul", vote, build.hold(first * share))
    lost = build.add("MatMul", other, build.hold(second * share))
    _finish(build, build.add("Add", won, lost))


def _kernel(build: _Builder, estimator: Any, value: str, vectors: npt.NDArray[Any]) -> str:
    gamma = float(estimator.gamma)
    product = build.add("MatMul", value, build.hold_single(vectors.T))
    if estimator.kernel == "poly":
        line = build.add(
            "Add",
            build.add("Mul", product, build.hold(gamma)),
            build.hold(estimator.coef0),
        )
        return build.add("Pow", line, build.hold(float(estimator.degree)))
    if estimator.kernel != "rbf":
        raise ExportError(f"no graph is known for the SVM kernel {estimator.kernel!r}")
    own = build.add("ReduceSumSquare", value, build.hold([1], np.int64), keepdims=1)
    both = build.add("Add", own, build.hold((vectors.astype(np.float64) ** 2).sum(axis=1)))
    distance = build.add("Sub", both, build.add("Mul", product, build.hold(2.0)))
    # Rounding can make the distance of a vector to itself slightly negative.
    positive = build.add("Max", distance, build.hold(0.0))
    return build.add("Exp", build.add("Mul", positive, build.hold(-gamma)))


def _forest(build: _Builder, estimator: Any, value: str, steps: dict[str, Any]) -> None:
    if {"scale", "pca"} & set(steps):
        raise ExportError(
            "a forest must see its features as they are: in float32 a scaled value can fall on "
            "the other side of a threshold"
        )
    build.nodes.append(forest_node(estimator, value, "votes"))
    columns = build.hold(np.arange(len(estimator.classes_)), np.int64)
    votes = build.add("Gather", "votes", columns, axis=1)
    smooth = build.add("Add", votes, build.hold(SMOOTHING, np.float32))
    build.add("Log", smooth, output="scores")
