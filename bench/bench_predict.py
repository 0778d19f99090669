"""OnnxClassifier: what it adds to a bare onnxruntime call on the same graph.

    python bench/bench_predict.py [--model FILE_OR_FOLDER]

Two artefacts are made here, a convolutional net at 96 px and one that does next to nothing, which
is where any cost shows most; a trained one can be added. Prints, for arrays of the input size, the
time of `predict` and `predict_proba` relative to `InferenceSession.run` with the same options, in
one run, in turns. Exits with 1 above 1.15 on a net, which is what is promised. For photographs,
which must be resized, it prints what the resize inside the graph costs beside Pillow's.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from eyevsai_core import load_model
from eyevsai_core.calibration import Calibration
from eyevsai_core.classifier import OnnxClassifier
from eyevsai_core.graph import INPUT, OUTPUT, build_artefact
from eyevsai_core.resize import resize_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROUNDS = 60
ROUND_S = 0.02
PROMISE = 1.15
CLASSES = 20
PHOTOGRAPHS = ((375, 500), (1080, 1920), (3000, 4000))


def main() -> int:
    """Measure each model and return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path)
    given = parser.parse_args().model
    models = {"next to nothing, 8 px": artefact(8, channels=0)}
    models["convolutional net, 96 px"] = artefact(96, channels=32)
    if given:
        models[str(given)] = load_model(given, threads=1)
    kept = True
    for name, model in models.items():
        ratios = added(model)
        print(f"{name}: " + ", ".join(f"{key} {value:.3f}x" for key, value in ratios.items()))
        kept &= "nothing" in name or max(ratios.values()) <= PROMISE
    resizing(models["convolutional net, 96 px"])
    print(f"at most {PROMISE}x a bare call: {'kept' if kept else 'BROKEN'}")
    return 0 if kept else 1


def artefact(size: int, *, channels: int) -> OnnxClassifier:
    """Make a classifier whose net has five convolutions, or none."""
    dice = np.random.default_rng(0)
    nodes = [helper.make_node("Cast", ["pixels"], ["x"], to=TensorProto.FLOAT)]
    weights = {"axes": np.array([1, 2], np.int64)}
    if channels:
        nodes.append(helper.make_node("Transpose", ["x"], ["c0"], perm=[0, 3, 1, 2]))
        width = 3
        for k in range(5):
            weights[f"w{k}"] = dice.normal(size=(channels, width, 3, 3)).astype(np.float32) / 20
            step = {"strides": [2, 2] if k % 2 else [1, 1], "pads": [1, 1, 1, 1]}
            nodes.append(helper.make_node("Conv", [f"c{k}", f"w{k}"], [f"r{k}"], **step))
            nodes.append(helper.make_node("Relu", [f"r{k}"], [f"c{k + 1}"]))
            width = channels
        nodes.append(helper.make_node("Transpose", ["c5"], ["last"], perm=[0, 2, 3, 1]))
    nodes.append(
        helper.make_node("ReduceMean", ["last" if channels else "x", "axes"], ["m"], keepdims=0)
    )
    nodes.append(helper.make_node("MatMul", ["m", "head"], ["scores"]))
    weights["head"] = dice.normal(size=(channels or 3, CLASSES)).astype(np.float32) / 20
    graph = helper.make_graph(
        nodes,
        "bench",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", size, size, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", CLASSES])],
        initializer=[numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = build_artefact(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9),
        classes=[f"class {k}" for k in range(CLASSES)],
        image_size=size,
        calibration=Calibration("temperature", {"temperature": 1.5}),
        metadata={},
    )
    return OnnxClassifier.from_bytes(model.SerializeToString(), threads=1)


def added(model: OnnxClassifier) -> dict[str, float]:
    """Return the time of each method relative to a bare call."""
    dice = np.random.default_rng(0)
    batch = dice.integers(0, 256, (16, model.image_size, model.image_size, 3), np.uint8)
    one, single = batch[0], batch[:1]
    run = model._session.run  # noqa: SLF001  the same session: the same graph and the same options
    times = in_turns(
        lambda: run((OUTPUT,), {INPUT: one}),
        lambda: model.predict(one),
        lambda: model.predict_proba(single),
        lambda: run((OUTPUT,), {INPUT: batch}),
        lambda: model.predict_proba(batch),
    )
    return {
        "predict": times[1] / times[0],
        "predict_proba of 1": times[2] / times[0],
        "predict_proba of 16": times[4] / times[3],
    }


def in_turns(*calls: Callable[[], object]) -> Sequence[float]:
    """Return the median time of each call, measured in turns so that all meet the same load."""
    repeats = []
    for call in calls:
        call()
        start = time.perf_counter()
        call()
        repeats.append(max(1, int(ROUND_S / (time.perf_counter() - start))))
    rounds: list[list[float]] = [[] for _ in calls]
    for turn in range(ROUNDS):
        # Each in its turn comes first: what runs after a large batch finds the caches full of it.
        for k in np.roll(np.arange(len(calls)), turn):
            start = time.process_time()
            for _ in range(repeats[k]):
                calls[k]()
            rounds[k].append((time.process_time() - start) / repeats[k])
    return [median(times) for times in rounds]


def resizing(model: OnnxClassifier) -> None:
    """Print what pictures of other sizes cost: the resize inside the graph, and Pillow's."""
    dice = np.random.default_rng(0)
    for height, width in PHOTOGRAPHS:
        photograph = dice.integers(0, 256, (height, width, 3), np.uint8)
        small = resize_image(photograph, model.image_size)
        times = [
            min(once(call) for _ in range(5))
            for call in (
                lambda image=photograph: model.predict(image),
                lambda image=small: model.predict(image),
                lambda image=photograph: resize_image(image, model.image_size),
            )
        ]
        print(
            f"{width} x {height}: {1e3 * (times[0] - times[1]):.1f} ms to resize inside the graph, "
            f"{(times[0] - times[1]) / times[2]:.1f}x Pillow's"
        )


def once(call: Callable[[], object]) -> float:
    """Return the processor time of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


if __name__ == "__main__":
    sys.exit(main())
