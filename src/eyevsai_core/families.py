"""Finding the model families that are installed.

Each entry point of the group ``eyevsai`` is taken whole or not at all. A broken plugin is one
line on stderr and a row in `list_families`; it never takes the command line down. Two plugins
that claim one name are an error that names both.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from dataclasses import dataclass
from functools import cache

import pluggy

from eyevsai_core import hookspecs
from eyevsai_core.errors import PluginError, UnknownFamilyError, did_you_mean
from eyevsai_core.family import ModelFamily, Variant

__all__ = [
    "KNOWN_FAMILIES",
    "FamilyInfo",
    "family_versions",
    "get_family",
    "list_families",
    "parse_model_name",
]

GROUP = "eyevsai"
KNOWN_FAMILIES = {
    "deep-v1": (
        "eyevsai-deep-v1",
        "PyTorch",
        "convolutional networks of four blocks, trained from nothing",
    ),
    "deep-v2": (
        "eyevsai-deep-v2",
        "PyTorch",
        "residual and dense networks with channel and spatial attention",
    ),
    "shallow": (
        "eyevsai-shallow",
        "scikit-learn",
        "hand-made features (HOG, LBP, colour, texture) and a scikit-learn classifier",
    ),
    "transfer": (
        "eyevsai-transfer",
        "TensorFlow",
        "well-known networks that have seen a million pictures, fine-tuned on yours",
    ),
}
"""Families of this project: the package that brings each, its framework, its summary. This is what
`install` can offer before anything is installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyInfo:
    """One row of `list`: a family, where it comes from, and whether it can be used.

    `status` is ``ready``, ``missing`` (something has to be installed: `install`) or ``broken``
    (`reason`). `family` is None unless the plugin could be read; `summary` and `framework` are
    known of this project's families before.
    """

    name: str
    status: str
    distribution: str
    version: str = ""
    family: ModelFamily | None = None
    install: str = ""
    reason: str = ""
    summary: str = ""
    framework: str = ""


@cache
def list_families() -> tuple[FamilyInfo, ...]:
    """Return a row for every family: installed, broken, and known but not installed.

    Raises `PluginError` when two packages claim one family name.
    """
    rows: dict[str, FamilyInfo] = {}
    broken: list[FamilyInfo] = []
    entries = importlib.metadata.entry_points(group=GROUP)
    for entry in sorted(entries, key=lambda e: (e.name, e.value)):
        distribution = entry.dist.name if entry.dist else "unknown package"
        version = entry.dist.version if entry.dist else ""
        try:
            families = _read_plugin(entry)
        # The one place where a stranger's code may fail in any way, and even try to exit.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            print(  # noqa: T201  the one line that a broken plugin gets
                f"warning: plugin {entry.name!r} of {distribution} {version} is broken and left "
                f"out: {reason}",
                file=sys.stderr,
            )
            broken.append(
                FamilyInfo(
                    name=entry.name,
                    status="broken",
                    distribution=distribution,
                    version=version,
                    reason=reason,
                )
            )
            continue
        for family in families:
            other = rows.get(family.name)
            if other:
                raise PluginError(
                    f"two packages offer a family {family.name!r}: {other.distribution} "
                    f"{other.version} and {distribution} {version}; uninstall one of them"
                )
            rows[family.name] = _row(family, distribution, version)
    for name, (distribution, framework, summary) in KNOWN_FAMILIES.items():
        if name not in rows and name not in {row.name for row in broken}:
            rows[name] = FamilyInfo(
                name=name,
                status="missing",
                distribution=distribution,
                install=f"pip install {distribution}",
                summary=summary,
                framework=framework,
            )
    return tuple(sorted([*rows.values(), *broken], key=lambda row: row.name))


def _read_plugin(entry: importlib.metadata.EntryPoint) -> list[ModelFamily]:
    """Load one plugin on a manager of its own, so that nothing of a broken one stays."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(entry.load(), name=entry.name)
    manager.check_pending()
    answers = manager.hook.eyevsai_model_families()
    families = [family for answer in answers for family in answer]
    wrong = [family for family in families if not isinstance(family, ModelFamily)]
    if wrong or not families:
        raise PluginError(
            f"eyevsai_model_families() must return a list of ModelFamily, but returned {answers!r}"
        )
    return families


def _row(family: ModelFamily, distribution: str, version: str) -> FamilyInfo:
    missing = [name for name in family.modules if importlib.util.find_spec(name) is None]
    wanted = " ".join(family.requirements) or distribution
    return FamilyInfo(
        name=family.name,
        status="missing" if missing else "ready",
        distribution=distribution,
        version=version,
        family=family,
        install=f"pip install {wanted}" if missing else "",
        reason=f"not installed: {', '.join(missing)}" if missing else "",
        summary=family.summary,
        framework=family.framework,
    )


def get_family(name: str) -> ModelFamily:
    """Return an installed family by its name.

    Raises `UnknownFamilyError` with a suggestion, and says how to install a known one.
    """
    rows = {row.name: row for row in list_families()}
    row = rows.get(name)
    if row and row.family:
        return row.family
    if row and row.status == "broken":
        raise PluginError(f"family {name!r} of {row.distribution} is broken: {row.reason}")
    if row:
        raise UnknownFamilyError(f"family {name!r} is not installed; run: {row.install}")
    ready = [row.name for row in rows.values() if row.family]
    raise UnknownFamilyError(
        f"unknown model family {name!r}; installed: {', '.join(ready) or 'none'}."
        + did_you_mean(name, rows)
    )


def parse_model_name(model: str) -> tuple[ModelFamily, Variant]:
    """Split ``family`` or ``family/variant``; a family alone means its first variant."""
    name, _, variant = model.partition("/")
    family = get_family(name)
    return family, family.variant(variant or None)


def family_versions(family: ModelFamily) -> dict[str, str]:
    """Return the versions of the packages that make a model of this family, by package name."""
    info = next(row for row in list_families() if row.name == family.name)
    wanted = ["eyevsai-core", info.distribution, "numpy", "onnx", "onnxruntime", "pillow"]
    packages = importlib.metadata.packages_distributions()
    wanted += [name for module in family.modules for name in packages.get(module, [])]
    found = {}
    for name in wanted:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
