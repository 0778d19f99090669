from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from eyevsai_core import families
from eyevsai_core.families import FamilyInfo

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def test_families_variants_states_and_examples(eyevsai: Callable) -> None:
    said = eyevsai("list")
    assert said.code == 0
    lines = said.out.splitlines()
    assert "mean  Ready  numpy, eyevsai-core 1" in lines
    assert "  mean/plain  (default)" in lines
    assert "    $ eyevsai train mean/plain --data doodles" in lines
    assert "deep-v1  Missing: pip install eyevsai-deep-v1  PyTorch, eyevsai-deep-v1" in lines
    assert "  convolutional networks" in lines
    assert "  $ eyevsai install deep-v1" in lines
    assert any(line.startswith("odd  Broken") for line in lines)
    assert "  ImportError: no [bold]engine[/]; update or uninstall odd-package" in lines
    assert not [line for line in lines if line.endswith(" ")]


def test_as_json(eyevsai: Callable, mean_family: object) -> None:
    families = {row["name"]: row for row in eyevsai("list", "--json").json["families"]}
    assert {name: row["status"] for name, row in families.items()} == {
        "deep-v1": "missing",
        "mean": "ready",
        "odd": "broken",
    }
    (variant, *_) = families["mean"]["variants"]
    assert variant["name"] == "mean/plain"
    assert variant["example"] == "eyevsai train mean/plain --data doodles"
    assert set(variant) == {"name", "summary", "plain", "example"}
    assert families["deep-v1"]["install"] == "pip install eyevsai-deep-v1"


def test_an_installed_family_that_lacks_something(
    eyevsai: Callable, monkeypatch: pytest.MonkeyPatch, mean_family: Any
) -> None:
    row = FamilyInfo(
        name="mean",
        status="missing",
        distribution="eyevsai-core",
        version="1",
        family=mean_family,
        install="pip install engine",
        reason="not installed: engine",
    )
    second = replace(mean_family.variants[0], name="second")
    family = replace(mean_family, variants=(*mean_family.variants, second))
    monkeypatch.setattr(families, "list_families", lambda: (replace(row, family=family),))
    said = eyevsai("list").out
    assert "\n  mean/second\n" in said
    assert "mean  Missing: not installed: engine; pip install engine  eyevsai-core 1" in said
    assert "$ eyevsai install mean" in said
    assert "$ eyevsai train mean/plain" in said
