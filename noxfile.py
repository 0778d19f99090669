"""What this repository can do to itself: ``nox -l`` lists it, ``nox`` runs lint, types, tests."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv" if shutil.which("uv") else "virtualenv"
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["lint", "types", "tests", "plugin"]

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml("pyproject.toml")
PLUGINS = ("shallow", "torch", "deep-v1", "deep-v2")
EXTRAS = "[fast,plots]"
# Both spellings of pip and of uv: what is installed, and what builds it. A relative path, because
# these variables are split at spaces; nox works in the repository's folder.
CONSTRAINED = {
    "PIP_CONSTRAINT": "constraints.txt",
    "PIP_BUILD_CONSTRAINT": "constraints.txt",
    "UV_CONSTRAINT": "constraints.txt",
    "UV_BUILD_CONSTRAINT": "constraints.txt",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}


@nox.session(venv_backend="none")
def play(session: nox.Session) -> None:
    """Install the core and a family into .venv, train on the doodles, and use the model."""
    session.env.update(CONSTRAINED)
    folder = ROOT / ".venv" / ("Scripts" if os.name == "nt" else "bin")
    if not folder.is_dir():
        session.run(sys.executable, "-m", "venv", str(ROOT / ".venv"), external=True)
    python, eyevsai = str(folder / "python"), str(folder / "eyevsai")
    session.log("installing into .venv: about half a minute the first time")
    session.run(python, "-m", "pip", "install", "--quiet", *_editable("shallow"), external=True)
    session.run(eyevsai, "list", external=True)
    model = ["shallow/svm_hog_lbp", "--data", "doodles", "--name", "play"]
    session.run(eyevsai, "train", *model, external=True)
    session.run(eyevsai, "predict", "docs/pictures/rabbit.png", "--model", "play", external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, spelling, import direction and metadata; ``-- --fix`` mends what it can."""
    _install(session, *_group("lint"))
    mend = "--fix" in session.posargs
    session.run("ruff", "check", *(["--fix"] if mend else []), ".")
    session.run("ruff", "format", *([] if mend else ["--check"]), ".")
    session.run("codespell")
    session.run("validate-pyproject", "pyproject.toml", *map(str, _plugin_files("pyproject.toml")))
    sources = [str(ROOT / "src"), *(str(ROOT / path) for path in _plugin_files("src"))]
    session.run("lint-imports", env={"PYTHONPATH": os.pathsep.join(sources)})


@nox.session
def types(session: nox.Session) -> None:
    """Check every annotation of the core and the plugins, strictly."""
    _install(session, *_group("types"), *_editable(*PLUGINS, extras=EXTRAS))
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Test the core alone, without any plugin, and measure coverage; arguments go to pytest."""
    _install(session, *_group("test"), *_editable(extras=EXTRAS))
    _pytest(session, "tests", chosen="not plugin", measured=not session.posargs)
    if not session.posargs:
        session.run("coverage", "combine", "--quiet")
        session.run("coverage", "report")


@nox.session
@nox.parametrize("name", PLUGINS, ids=PLUGINS)
def plugin(session: nox.Session, name: str) -> None:
    """Test one plugin in an environment of its own, and the whole path of a newcomer."""
    wanted = [name] if name == "shallow" else list(dict.fromkeys(["torch", name]))
    _install(session, *_group("test"), *_editable(*wanted, extras=EXTRAS))
    path = ["tests/test_end_to_end.py"] if name == "shallow" else []
    _pytest(session, f"plugins/eyevsai-{name}/tests", *path)


@nox.session
def minimums(session: nox.Session) -> None:
    """Test with the lowest versions that the packages allow, everything else as tried."""
    lowest = _lowest("pyproject.toml", *map(str, _plugin_files("pyproject.toml")))
    tried = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    others = Path(session.create_tmp(), "others.txt")
    others.write_text("\n".join(line for line in tried if line.split("==")[0] not in lowest))
    pins = [f"{name}=={version}" for name, version in lowest.items()]
    parts = [*pins, *_group("test"), *_editable(*PLUGINS, extras=EXTRAS)]
    session.install("-c", str(others), *parts)
    _pytest(session, "tests", *map(str, _plugin_files("tests")))


@nox.session
def bench(session: nox.Session) -> None:
    """Run every benchmark of bench/; each prints ratios that were measured in one run."""
    _install(session, *_group("test"), *_editable(*PLUGINS, extras=EXTRAS))
    for script in session.posargs or sorted(map(str, Path("bench").glob("bench_*.py"))):
        session.run("python", script)


def _group(name: str) -> list[str]:
    return list(nox.project.dependency_groups(PROJECT, name))


def _install(session: nox.Session, *wanted: str) -> None:
    session.env.update(CONSTRAINED)
    session.install(*wanted)


def _editable(*plugins: str, extras: str = "") -> list[str]:
    parts = [f".{extras}", *(f"plugins/eyevsai-{name}" for name in plugins)]
    return [word for part in parts for word in ("-e", part)]


def _plugin_files(name: str) -> list[Path]:
    return [Path("plugins", f"eyevsai-{plugin}", name) for plugin in PLUGINS]


def _pytest(session: nox.Session, *places: str, chosen: str = "", measured: bool = False) -> None:
    """Run pytest; without EYEVSAI_TEST_DATA, deselect what needs it and say so."""
    wanted = [chosen] if chosen else []
    if not os.environ.get("EYEVSAI_TEST_DATA"):
        session.warn(
            "EYEVSAI_TEST_DATA is not set: tests on real photographs (marker `realdata`) are left "
            "out; CONTRIBUTING.md says what it must hold"
        )
        wanted.append("not realdata")
    started = ["coverage", "run", "-m", "pytest"] if measured else ["pytest"]
    session.run(*started, "-m", " and ".join(wanted), *(session.posargs or places))


def _lowest(*projects: str) -> dict[str, str]:
    """Return {name: version} for every ``name>=version`` of the projects' dependencies."""
    found: dict[str, str] = {}
    for project in projects:
        table = nox.project.load_toml(project)["project"]
        extras = table.get("optional-dependencies", {})
        for wanted in [*table["dependencies"], *extras.get("fast", []), *extras.get("plots", [])]:
            match = re.match(r"([A-Za-z0-9._-]+)>=([0-9.]+)", wanted)
            if match:
                found[match[1]] = match[2] if match[2].count(".") > 1 else f"{match[2]}.*"
    return found
