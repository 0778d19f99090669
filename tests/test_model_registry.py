from __future__ import annotations

import errno
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from eyevsai_core.errors import ConfigError, ModelCorruptError, ModelNotFoundError, OutputError
from eyevsai_core.model_ref import ModelRef, parse_reference
from eyevsai_core.model_registry import ModelRegistry

sys.path.insert(0, str(Path(__file__).parent))
from making import accuracy, make_card, one_colour, register

SERIES = "test/colours/paint"


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "models")


def test_versions_count_up_and_are_never_overwritten(registry: ModelRegistry) -> None:
    refs = [register(registry) for _ in range(3)]
    assert [str(ref) for ref in refs] == [f"{SERIES}@{n}" for n in (1, 2, 3)]
    assert registry.card(refs[1]).ref == f"{SERIES}@2"
    assert registry.verify(refs[0]) == []
    assert not list(registry.root.glob(".staging-*"))


def test_a_registered_model_loads_and_answers(registry: ModelRegistry) -> None:
    register(registry)
    assert registry.load(SERIES).prediction(one_colour(2)).label == "blue"


_REGISTER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from making import register
from eyevsai_core.model_registry import ModelRegistry
print(register(ModelRegistry(Path(sys.argv[2]))))
"""


def test_32_processes_at_once_lose_and_overwrite_no_version(registry: ModelRegistry) -> None:
    def one(_: int) -> str:
        words = [sys.executable, "-c", _REGISTER, str(Path(__file__).parent), str(registry.root)]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()

    with ThreadPoolExecutor(32) as pool:
        refs = list(pool.map(one, range(32)))
    assert sorted(refs) == sorted(f"{SERIES}@{n}" for n in range(1, 33))
    rows = registry.list_models()
    assert [row.ref.version for row in rows] == list(range(1, 33))
    assert all(registry.verify(row.ref) == [] for row in rows)


def test_latest_and_best_are_computed_best_never_by_test(registry: ModelRegistry) -> None:
    good = {"calibration": accuracy(0.9)["calibration"], "test": accuracy(0.1)["test"]}
    poor = {"calibration": accuracy(0.5)["calibration"], "test": accuracy(0.99)["test"]}
    register(registry, make_card(metrics=good))
    register(registry, make_card(metrics=poor))
    assert registry.resolve(SERIES).version == 2
    assert registry.resolve(f"{SERIES}@latest").version == 2
    assert registry.resolve(f"{SERIES}@best").version == 1
    assert [row.aliases for row in registry.list_models()] == [("best",), ("latest",)]


def test_an_alias_means_a_version_until_it_is_moved_or_forgotten(registry: ModelRegistry) -> None:
    first, second = register(registry), register(registry)
    registry.set_alias(first, "production")
    assert registry.resolve(f"{SERIES}@production") == first
    registry.set_alias(second, "production")
    assert registry.resolve(f"{SERIES}@production") == second
    registry.remove_alias(SERIES, "production")
    with pytest.raises(ModelNotFoundError, match="has no version or alias 'production'"):
        registry.resolve(f"{SERIES}@production")
    with pytest.raises(ModelNotFoundError, match="has no alias"):
        registry.remove_alias(SERIES, "production")


@pytest.mark.parametrize("alias", ["latest", "best", "3", "../x", "", "A", ".."])
def test_names_that_cannot_be_aliases(alias: str, registry: ModelRegistry) -> None:
    with pytest.raises(ConfigError, match="an alias is a lower-case name"):
        registry.set_alias(register(registry), alias)


def test_an_alias_of_nothing_is_refused(registry: ModelRegistry) -> None:
    with pytest.raises(ModelNotFoundError, match="there is no model"):
        registry.set_alias(ModelRef("test", "colours", "paint", 7), "production")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("test/colours/pain", "Did you mean 'test/colours/paint'"),
        ("test/colours/paint@9", "has no version or alias '9'; it has versions 1"),
        ("test", "a model is named family/variant/dataset"),
        ("../../etc", "a model is named"),
        ("a/../b", "a model is named"),
        ("a/b/c@../../d", "a model is named"),
        ("a/b/..", "a model is named"),
    ],
)
def test_references_that_mean_nothing(text: str, message: str, registry: ModelRegistry) -> None:
    register(registry)
    with pytest.raises(ModelNotFoundError, match=message):
        registry.resolve(text)


def test_an_empty_registry_says_how_to_begin(registry: ModelRegistry) -> None:
    assert registry.list_models() == []
    with pytest.raises(ModelNotFoundError, match="no model at all; train one"):
        registry.resolve(SERIES)


def test_parsing_a_reference() -> None:
    assert parse_reference("a/b/c") == ("a", "b", "c", "latest")
    assert parse_reference("a/b/c@2") == ("a", "b", "c", "2")


def test_verify_names_what_is_wrong(registry: ModelRegistry) -> None:
    ref = register(registry)
    folder = registry.path(ref)
    (folder / "native" / "weights.bin").write_bytes(b"other")
    (folder / "extra.txt").write_text("more")
    (folder / "model.onnx").unlink()
    assert registry.verify(ref) == [
        "model.onnx is missing",
        "extra.txt is not in the card",
        "native/weights.bin was changed: its SHA-256 is not the card's",
    ]
    (folder / "card.json").write_text("{")
    assert "is not JSON" in registry.verify(ref)[0]


def test_a_model_in_another_s_place_is_noticed(registry: ModelRegistry) -> None:
    first, second = register(registry), register(registry)
    registry.remove(first)
    registry.path(second).rename(registry.path(first))
    assert registry.verify(first) == [f"the card is that of '{second}'"]


def test_a_corrupt_card_is_a_row_and_not_a_crash(registry: ModelRegistry) -> None:
    register(registry)
    broken = register(registry)
    (registry.path(broken) / "card.json").write_text('{"format_version": 99}')
    rows = registry.list_models()
    assert rows[0].card
    assert rows[1].card is None
    assert "written by a newer eyevsai" in rows[1].problem
    with pytest.raises(ModelCorruptError, match="newer eyevsai"):
        registry.load(broken)


def test_prune_keeps_the_newest_the_best_and_what_has_a_name(registry: ModelRegistry) -> None:
    scores = (0.5, 0.9, 0.6, 0.7, 0.8)
    refs = [register(registry, make_card(metrics=accuracy(s))) for s in scores]
    registry.set_alias(refs[0], "production")
    would = registry.prune(keep=1, dry_run=True)
    assert [ref.version for ref in would] == [3, 4]
    assert len(registry.list_models()) == 5
    assert registry.prune(keep=1) == would
    assert [row.ref.version for row in registry.list_models()] == [1, 2, 5]


def test_removing_forgets_its_aliases(registry: ModelRegistry) -> None:
    ref, _ = register(registry), register(registry)
    registry.set_alias(ref, "old")
    registry.remove(ref)
    assert [row.ref.version for row in registry.list_models()] == [2]
    with pytest.raises(ModelNotFoundError):
        registry.resolve(f"{SERIES}@old")
    with pytest.raises(ModelNotFoundError, match="there is no model"):
        registry.remove(ref)


def test_a_name_with_a_path_in_it_is_refused(registry: ModelRegistry) -> None:
    with pytest.raises(ModelCorruptError, match="must be lower-case names"):
        register(registry, make_card(dataset={"name": "../../escape"}))
    assert registry.list_models() == []


def test_a_disk_that_is_full_registers_nothing(
    registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("eyevsai_core.model_registry.flush_folder", full)
    with pytest.raises(OutputError, match="No space left on device; nothing was registered"):
        register(registry)
    monkeypatch.undo()
    assert ModelRegistry(registry.root).list_models() == []
    assert not list(registry.root.glob(".staging-*"))


def test_a_registry_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write into"):
        register(ModelRegistry(tmp_path / "file" / "models"))


def test_what_a_killed_process_left_is_ignored_and_can_be_cleaned(registry: ModelRegistry) -> None:
    register(registry)
    (registry.root / ".staging-dead" / "model").mkdir(parents=True)
    assert len(registry.list_models()) == 1
    assert registry.clean() == 1
    assert not (registry.root / ".staging-dead").exists()


def test_a_number_that_another_process_took_is_not_overwritten(
    registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = register(registry, make_card(seed=1))
    with monkeypatch.context() as patch:
        patch.setattr(ModelRegistry, "_versions", lambda *_: [])  # looked before it was there
        assert str(register(registry, make_card(seed=2))) == f"{SERIES}@2"
    assert registry.card(first).seed == 1
    assert registry.verify(ModelRef("test", "colours", "paint", 2)) == []


def test_a_folder_that_cannot_be_renamed_registers_nothing(
    registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        with pytest.raises(OutputError, match="Input/output error; nothing was registered"):
            register(registry)
    assert registry.list_models() == []


def test_a_damaged_alias_names_nothing(registry: ModelRegistry) -> None:
    ref = register(registry)
    registry.set_alias(ref, "good")
    (alias,) = registry.root.rglob("good")
    for name, content in (("words", b"one"), ("bytes", b"\xff"), ("a b", b"1")):
        (alias.parent / name).write_bytes(content)
    (row,) = registry.list_models()
    assert row.aliases == ("good", "latest")
    with pytest.raises(ModelNotFoundError, match="has no version or alias 'words'"):
        registry.resolve(f"{SERIES}@words")


def test_a_damaged_model_can_be_named_latest_but_not_best(registry: ModelRegistry) -> None:
    good = register(registry, make_card(metrics=accuracy(0.5)))
    damaged = register(registry, make_card(metrics=accuracy(0.9)))
    assert registry.resolve(f"{SERIES}@best") == damaged
    (registry.path(damaged) / "card.json").write_text("{")
    assert registry.resolve(f"{SERIES}@best") == good
    assert registry.resolve(f"{SERIES}@latest") == damaged
