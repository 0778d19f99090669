"""The tests that police the repository: what design, style and documents promise of the code."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import eyevsai_core
from eyevsai_core import errors

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "src" / "eyevsai_core"
PROJECTS = [ROOT, *sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))]
SOURCES = sorted(path for project in PROJECTS for path in (project / "src").rglob("*.py"))
TESTS = sorted(path for project in PROJECTS for path in (project / "tests").rglob("*.py"))
LONGEST_FILE = 350
# Joined here, so that this file does not hold the words it looks for.
FORBIDDEN = [
    "".join(parts)
    for parts in (
        ("fonts.goog", "leapis"),
        ("cdn.js", "delivr"),
        ("unp", "kg.com"),
        ("cdnjs.cloud", "flare"),
        ("google-", "analytics"),
        ("googletag", "manager"),
    )
]


def module_name(path: Path) -> str:
    """Return the dotted name of a source file below some src/."""
    parts = path.with_suffix("").parts
    dotted = ".".join(parts[len(parts) - parts[::-1].index("src") :])
    return dotted.removesuffix(".__init__")


def modules_after(statement: str) -> set[str]:
    """Return what is in sys.modules of a fresh interpreter after one statement."""
    code = f"import json, sys; {statement}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, cwd=ROOT
    )
    return set(json.loads(done.stdout))


def error_classes() -> list[str]:
    found = inspect.getmembers(errors, inspect.isclass)
    root = errors.EyevsaiError  # never raised itself
    return [name for name, kind in found if issubclass(kind, root) and kind is not root]


def test_importing_the_core_is_free() -> None:
    loaded = modules_after("import eyevsai_core")
    heavy = {"numpy", "onnx", "onnxruntime", "PIL", "typer", "rich", "jinja2", "pluggy"}
    assert not loaded & heavy


def test_the_command_line_loads_no_framework_before_a_command_runs() -> None:
    loaded = modules_after("import eyevsai_core.cli")
    heavy = {"numpy", "onnx", "onnxruntime", "PIL", "sklearn", "skimage", "torch", "tensorflow"}
    assert not loaded & heavy


def entry_points() -> list[str]:
    """Return the modules that the plugins' entry points name."""
    tables = [tomllib.loads((p / "pyproject.toml").read_text("utf-8")) for p in PROJECTS]
    named = [table["project"].get("entry-points", {}).get("eyevsai", {}) for table in tables]
    return sorted(module for entries in named for module in entries.values())


@pytest.mark.parametrize("module", entry_points())
def test_what_an_entry_point_names_is_light(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # From the sources: a description must not need what its family needs.
    sources = [str(project / "src") for project in PROJECTS]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sources))
    loaded = modules_after(f"import {module}")
    heavy = {"numpy", "onnx", "onnxruntime", "PIL", "sklearn", "skimage", "safetensors", "torch"}
    assert module in loaded
    assert not loaded & heavy


@pytest.mark.parametrize("name", eyevsai_core.__all__)
def test_every_public_name_exists_and_is_explained(name: str) -> None:
    thing = getattr(eyevsai_core, name)
    if not isinstance(thing, str | int):
        assert inspect.getdoc(thing), f"{name} has no docstring"


def test_the_lists_of_public_names_agree() -> None:
    assert sorted(eyevsai_core._HOMES) == sorted(set(eyevsai_core.__all__) - {"__version__"})
    assert dir(eyevsai_core) == sorted(eyevsai_core.__all__)
    with pytest.raises(AttributeError, match="no attribute 'load_modle'"):
        eyevsai_core.load_modle  # noqa: B018  the access is what is tested


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if "plugins" not in path.parts], ids=module_name
)
def test_every_module_says_what_it_exports(path: Path) -> None:
    module = importlib.import_module(module_name(path))
    assert module.__doc__, f"{path} has no docstring"
    names = getattr(module, "__all__", [])
    assert len(set(names)) == len(names)
    for name in names:
        thing = getattr(module, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert inspect.getdoc(thing), f"{module.__name__}.{name} has no docstring"


def test_no_source_file_is_too_long() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in SOURCES
    }
    assert not {path: n for path, n in lengths.items() if n > LONGEST_FILE}


@pytest.mark.parametrize("name", error_classes())
def test_every_error_has_a_test_that_names_it(name: str) -> None:
    here = Path(__file__)
    naming = [path for path in TESTS if path != here and name in path.read_text("utf-8")]
    assert naming, f"no test names {name}"


def test_the_error_tree_in_the_docstring_is_complete() -> None:
    tree = str(errors.__doc__)
    assert [name for name in error_classes() if name not in tree] == []


def test_only_one_broad_except() -> None:
    broad = re.compile(r"except( Exception| BaseException)?( as \w+)?:")
    found = [path.name for path in SOURCES if broad.search(path.read_text("utf-8"))]
    assert set(found) <= {"families.py"}


def test_nothing_can_be_pickled_in() -> None:
    banned = {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            assert not {name.split(".")[0] for name in names} & banned, path


def test_nothing_is_fetched_from_other_hosts() -> None:
    texts = [*SOURCES, *CORE.rglob("*.html"), *CORE.rglob("*.j2"), *CORE.rglob("*.css")]
    for path in texts:
        text = path.read_text("utf-8").lower()
        assert not [host for host in FORBIDDEN if host in text], path


def test_every_package_has_the_same_version() -> None:
    for project in PROJECTS:
        table = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert table["version"] == eyevsai_core.__version__, project
        needs = [need for need in table["dependencies"] if need.startswith("eyevsai-core")]
        minor = ".".join(eyevsai_core.__version__.split(".")[:2])
        assert needs == ([] if project == ROOT else [f"eyevsai-core=={minor}.*"])
    assert importlib.metadata.version("eyevsai-core") == eyevsai_core.__version__
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {eyevsai_core.__version__}" in changes


def test_every_dependency_has_a_tried_version_and_a_reason() -> None:
    tried = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    reasons = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for project in PROJECTS:
        table = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        extras = table.get("optional-dependencies", {})
        for need in [
            *table["dependencies"],
            *(need for extra in extras.values() for need in extra),
        ]:
            name = re.split(r"[\[<>=!~]", need)[0]
            if not name.startswith("eyevsai-"):
                assert re.search(rf"^{name}==", tried, re.MULTILINE), f"{name}: no tried version"
                assert f"`{name}`" in reasons, f"{name}: no reason"
