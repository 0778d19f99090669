"""Discovery through real entry points: fake installed packages on `sys.path`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from eyevsai_core import families
from eyevsai_core.config import TrainConfig
from eyevsai_core.errors import PluginError, UnknownFamilyError
from eyevsai_core.families import get_family, list_families, parse_model_name
from eyevsai_core.family import ModelFamily, Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Install = Callable[..., None]

GOOD = """
from eyevsai_core.config import TrainConfig
from eyevsai_core.family import ModelFamily, Variant
from eyevsai_core.hookspecs import hookimpl

def nothing(*_):
    raise AssertionError

@hookimpl
def eyevsai_model_families():
    variant = Variant(name="plain", summary="for the tests of discovery", plain="Just for tests.")
    names = {names!r}
    return [
        ModelFamily(
            name=name, summary="s", framework="f", variants=(variant,), config=TrainConfig,
            make_trainer=nothing, load_classifier=nothing, to_graph=nothing, modules={modules!r},
        )
        for name in names
    ]
"""


def good(*names: str, modules: tuple[str, ...] = ()) -> str:
    return GOOD.replace("{names!r}", repr(names)).replace("{modules!r}", repr(modules))


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a package with an entry point of the group eyevsai on the path."""
    monkeypatch.setattr(families, "GROUP", "eyevsai_under_test")
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[str] = []

    def put(name: str, source: str, version: str = "1.2.3") -> None:
        module = f"plugin_{name}"
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"fake_{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: fake-{name}\nVersion: {version}\n"
        )
        (info / "entry_points.txt").write_text(f"[eyevsai_under_test]\n{name} = {module}\n")
        made.append(module)
        list_families.cache_clear()

    list_families.cache_clear()
    yield put
    list_families.cache_clear()
    for module in made:
        sys.modules.pop(module, None)


def statuses() -> dict[str, str]:
    return {row.name: row.status for row in list_families()}


def test_an_installed_family_is_ready_and_known_ones_are_missing(install: Install) -> None:
    install("mine", good("mine"))
    assert statuses() == {
        "deep-v1": "missing",
        "deep-v2": "missing",
        "mine": "ready",
        "shallow": "missing",
        "transfer": "missing",
    }
    row = next(row for row in list_families() if row.name == "mine")
    assert (row.distribution, row.version) == ("fake-mine", "1.2.3")
    assert get_family("mine").variant().name == "plain"
    assert parse_model_name("mine/plain")[1].name == "plain"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise RuntimeError('boom\\non two lines')", "RuntimeError: boom on two lines"),
        ("import no_such_package", "ModuleNotFoundError"),
        ("import sys; sys.exit('bye')", "SystemExit: bye"),
        ("def oh no", "SyntaxError"),
        ("x = 1", "must return a list of ModelFamily"),
        (good("mine").replace("return [", "return None and ["), "must return|not iterable"),
        (
            good("mine").replace("def eyevsai_model_families", "def eyevsai_model_famlies"),
            "unknown hook",
        ),
        (good("Bad Name"), "PluginError"),
        (good("mine").replace('name="plain"', 'name="../x"'), "PluginError"),
    ],
)
def test_a_broken_plugin_is_one_line_and_a_row_and_the_others_go_on(
    source: str, reason: str, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    install("broken", source)
    install("mine", good("mine"))
    found = statuses()
    assert found["broken"] == "broken"
    assert found["mine"] == "ready"
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "plugin 'broken' of fake-broken 1.2.3 is broken and left out" in error
    assert re.search(reason, error)
    with pytest.raises(PluginError, match="family 'broken' of fake-broken is broken"):
        get_family("broken")


def test_a_plugin_is_taken_whole_or_not_at_all(install: Install) -> None:
    install("half", good("fine", "not fine"))
    assert "fine" not in statuses()
    assert statuses()["half"] == "broken"


def test_two_packages_with_one_family_are_an_error_that_names_both(install: Install) -> None:
    install("one", good("same"))
    install("two", good("same"), version="2.0")
    with pytest.raises(PluginError, match=r"fake-one 1\.2\.3 and fake-two 2\.0; uninstall one"):
        list_families()


def test_a_known_family_that_is_installed_is_one_row(install: Install) -> None:
    install("shallow", good("shallow"))
    rows = [row for row in list_families() if row.name == "shallow"]
    assert [(row.status, row.distribution) for row in rows] == [("ready", "fake-shallow")]


def test_a_known_family_that_is_broken_is_one_row(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install("shallow", "import no_such_package")
    assert [row.status for row in list_families() if row.name == "shallow"] == ["broken"]
    assert "no_such_package" in capsys.readouterr().err


def test_a_family_whose_framework_is_not_there_is_missing(install: Install) -> None:
    install("mine", good("mine", modules=("no_such_framework",)))
    row = next(row for row in list_families() if row.name == "mine")
    assert row.status == "missing"
    assert row.install == "pip install fake-mine"
    assert "no_such_framework" in row.reason


def test_unknown_families_are_suggested_and_known_ones_can_be_installed(install: Install) -> None:
    install("mine", good("mine"))
    with pytest.raises(UnknownFamilyError, match="unknown model family 'mien'; installed: mine"):
        get_family("mien")
    with pytest.raises(UnknownFamilyError, match="run: pip install eyevsai-deep-v1"):
        get_family("deep-v1")
    with pytest.raises(UnknownFamilyError, match=r"has no variant 'plian'.*Did you mean 'plain'"):
        parse_model_name("mine/plian")


VARIANT = Variant(name="a", summary="s", plain="p")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Upper"}, "lower-case letters"),
        ({"variants": ()}, "at least one variant"),
        ({"variants": (VARIANT, VARIANT)}, "each with its own name"),
        ({"parity_tolerance": 0.1}, "a parity tolerance of at most 0.001"),
    ],
)
def test_descriptions_are_checked_where_they_are_made(
    changes: dict[str, object], message: str
) -> None:
    def nothing(*_: object) -> None:
        raise AssertionError

    values = {
        "name": "a",
        "summary": "s",
        "framework": "f",
        "variants": (VARIANT,),
        "config": TrainConfig,
        "make_trainer": nothing,
        "load_classifier": nothing,
        "to_graph": nothing,
    }
    with pytest.raises(PluginError, match=message):
        ModelFamily(**{**values, **changes})
