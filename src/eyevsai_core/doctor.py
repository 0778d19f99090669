"""Examining an installation: each finding is ok, a warning or a failure, with what to do."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from eyevsai_core.calibration import Calibration
from eyevsai_core.classifier import OnnxClassifier
from eyevsai_core.errors import EyevsaiError
from eyevsai_core.families import list_families
from eyevsai_core.files import cache_home, check_writable, data_home
from eyevsai_core.graph import build_artefact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Finding", "examine"]

_LITTLE_DISK_GB = 2
_EXTRAS = {"simplejpeg": "eyevsai-core[fast]", "matplotlib": "eyevsai-core[plots]"}
_STATES = {"ready": "ok", "missing": "warn", "broken": "fail"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One examined thing; `state` is ok, warn or fail."""

    check: str
    state: str
    text: str


def examine() -> list[Finding]:
    """Examine everything; nothing is changed but for a probe file in each folder."""
    return [
        Finding("python", "ok", f"{platform.python_version()} in {sys.prefix}"),
        Finding("system", "ok", f"{platform.platform()}, {os.cpu_count()} cores{_memory()}"),
        *_packages(),
        *_families(),
        _runtime(),
        _folder("models and runs", data_home(), "EYEVSAI_HOME"),
        _folder("cache", cache_home(), "EYEVSAI_CACHE"),
        *_variables(),
    ]


def _memory() -> str:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return ""
    return f", {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB memory"


def _packages() -> Iterator[Finding]:
    for name in ("eyevsai-core", "numpy", "onnx", "onnxruntime", "pillow", "protobuf"):
        try:
            yield Finding(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "fail", f"not installed; run: pip install {name}")
    for module, extra in _EXTRAS.items():
        there = importlib.util.find_spec(module) is not None
        text = importlib.metadata.version(module) if there else f"optional: pip install '{extra}'"
        yield Finding(module, "ok" if there else "warn", text)


def _families() -> Iterator[Finding]:
    try:
        rows = list_families()
    except EyevsaiError as error:
        yield Finding("families", "fail", str(error))
        return
    for row in rows:
        text = " ".join(part for part in (row.distribution, row.version, row.reason) if part)
        hint = f"; run: {row.install}" if row.install else ""
        yield Finding(f"family {row.name}", _STATES[row.status], text + hint)


def _runtime() -> Finding:
    """Build and run the smallest artefact: two classes, by the mean brightness."""
    nodes = [
        helper.make_node("Cast", ["pixels"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "last"], ["bright"]),
        helper.make_node("Sub", ["white", "bright"], ["dark"]),
        helper.make_node("Concat", ["bright", "dark"], ["scores"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "probe",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", 8, 8, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 2])],
        initializer=[
            helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3]),
            helper.make_tensor("last", TensorProto.INT64, [1], [1]),
            helper.make_tensor("white", TensorProto.FLOAT, [1], [255.0]),
        ],
    )
    fragment = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    try:
        artefact = build_artefact(
            fragment,
            classes=("bright", "dark"),
            image_size=8,
            calibration=Calibration(),
            metadata={},
        )
        classifier = OnnxClassifier.from_bytes(artefact.SerializeToString())
        answer = classifier.predict(np.full((20, 30, 3), 250, np.uint8))
    except EyevsaiError as error:
        return Finding(
            "inference", "fail", f"{error}; run: pip install --force-reinstall onnxruntime"
        )
    right = answer["bright"] > answer["dark"]
    providers = ", ".join(onnxruntime.get_available_providers())
    return Finding(
        "inference",
        "ok" if right else "fail",
        f"a small model answers {'as it should' if right else f'wrongly: {answer}'} ({providers})",
    )


def _folder(check: str, folder: Path, variable: str) -> Finding:
    try:
        check_writable(folder)
    except EyevsaiError as error:
        return Finding(check, "fail", f"{error}; or set {variable}")
    free = shutil.disk_usage(folder).free / 1e9
    if free < _LITTLE_DISK_GB:
        return Finding(
            check, "warn", f"{folder} has {free:.1f} GB free; free some, or set {variable}"
        )
    return Finding(check, "ok", f"{folder}, {free:.0f} GB free")


def _variables() -> Iterator[Finding]:
    for name, value in sorted(os.environ.items()):
        if name.startswith("EYEVSAI_"):
            yield Finding(name, "ok", value)
