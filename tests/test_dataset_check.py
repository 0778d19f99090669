from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyevsai_core import dataset_check
from eyevsai_core.catalog import load_dataset
from eyevsai_core.dataset_check import DatasetCheck, check_dataset

SCENES = np.random.default_rng(0).integers(0, 256, (99, 6, 6, 3), np.uint8)


def scene(path: Path, number: int, **options: object) -> Path:
    """Save a picture that looks like no other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(SCENES[number]).resize((48, 40), Image.Resampling.BICUBIC)
    picture.save(path, **options)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes, 12 pictures each to learn from and 4 to test with."""
    for number in range(32):
        split = "train" if number < 24 else "test"
        scene(tmp_path / "data" / split / ("cat", "dog")[number % 2] / f"{number}.png", number)
    return tmp_path / "data"


def check(root: Path) -> DatasetCheck:
    return check_dataset(load_dataset(root), threads=2)


def test_a_good_set(root: Path) -> None:
    found = check(root)
    assert found.ok
    assert (found.problems, found.notes) == ((), ())
    assert (found.widths, found.heights) == ((48, 48, 48), (40, 40, 40))
    assert found.to_text() == (
        "data: 32 pictures in 2 classes (train 24, test 8)\n"
        "sizes 48x40 to 48x40, median 48x40; 32 PNG; 32 RGB\n"
        "fit to learn from"
    )


def test_progress_reaches_the_end(root: Path) -> None:
    told: list[tuple[int, int]] = []
    check_dataset(load_dataset(root), progress=lambda done, total: told.append((done, total)))
    assert told == [(i, 32) for i in range(1, 33)]


def test_unreadable_files_are_named_with_reasons(root: Path) -> None:
    (root / "train" / "cat" / "text.jpg").write_text("not a picture")
    (root / "train" / "dog" / "empty.png").touch()
    cut = root / "train" / "dog" / "1.png"
    cut.write_bytes(cut.read_bytes()[:-400])
    found = check(root)
    assert not found.ok
    assert {Path(path).name for path, _ in found.unreadable} == {"text.jpg", "empty.png", "1.png"}
    (problem,) = found.problems
    assert problem.startswith("3 files cannot be read: ")
    assert "empty (0 bytes)" in problem
    assert "mend the problems first" in found.to_text()


def test_a_leak_into_test(root: Path) -> None:
    shutil.copy(root / "train" / "cat" / "0.png", root / "test" / "cat" / "again.png")
    found = check(root)
    assert [sorted(Path(p).name for p in group) for group in found.leaks] == [
        ["0.png", "again.png"]
    ]
    assert "1 picture is in more than one split: " in found.problems[0]
    assert " = " in found.problems[0]
    assert (found.duplicates, found.near_leak_count) == ((), 0)


def test_one_picture_under_two_labels(root: Path) -> None:
    for name in ("a", "b"):
        shutil.copy(root / "train" / "cat" / "0.png", root / "train" / "dog" / f"{name}.png")
    shutil.copy(root / "train" / "cat" / "2.png", root / "train" / "dog" / "c.png")
    found = check(root)
    assert sorted(len(group) for group in found.conflicts) == [2, 3]
    assert "2 pictures are under more than one label: " in found.problems[0]


def test_duplicates_in_one_split_are_a_note(root: Path) -> None:
    shutil.copy(root / "train" / "cat" / "0.png", root / "train" / "cat" / "again.png")
    found = check(root)
    assert found.ok
    assert "1 picture is more than once in one split: " in found.notes[0]


@pytest.mark.parametrize(
    ("name", "options"),
    [("again.jpg", {"quality": 60}), ("again.png", {"compress_level": 0}), ("again.webp", {})],
)
def test_a_picture_saved_anew_is_nearly_the_same(
    root: Path, name: str, options: dict[str, object]
) -> None:
    scene(root / "test" / "cat" / name, 0, **options)
    found = check(root)
    (pair,) = found.near_leaks
    assert (Path(pair.first).name, Path(pair.second).name) == (name, "0.png")
    assert 0.995 < pair.likeness <= 1
    assert "1 pair looks nearly the same in different splits: " in found.notes[0]


def test_flat_pictures_are_not_nearly_the_same(root: Path) -> None:
    for split, level in (("train", 200), ("test", 201)):
        Image.new("RGB", (30, 30), (level,) * 3).save(root / split / "cat" / "flat.png")
    assert check(root).near_leak_count == 0


def test_many_near_pairs_are_counted_and_some_are_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset_check, "_KEPT", 3)
    monkeypatch.setattr(dataset_check, "_ROWS", 2)
    for number in range(8):
        scene(root / "test" / "cat" / f"again{number}.jpg", number, quality=80)
    found = check(root)
    assert (found.near_leak_count, len(found.near_leaks)) == (8, 3)
    assert "8 pairs look nearly the same" in found.notes[0]


def test_few_and_unbalanced(root: Path) -> None:
    for number in range(2, 24, 2):
        (root / "train" / "cat" / f"{number}.png").unlink()
    notes = check(root).notes
    assert notes == (
        "few pictures to learn from (under 10): 'cat' (1)",
        "unbalanced: 12 pictures of 'dog', 1 of 'cat'",
    )


def test_turned_animated_and_in_other_modes(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    scene(root / "train" / "cat" / "turned.jpg", 40, exif=exif)
    frames = [Image.fromarray(SCENES[i]).resize((20, 20)) for i in (41, 42)]
    frames[0].save(root / "train" / "dog" / "moving.gif", save_all=True, append_images=frames[1:])
    Image.fromarray(SCENES[43]).convert("CMYK").save(root / "train" / "dog" / "print.jpg")
    found = check(root)
    assert (found.rotated, found.animated) == (1, 1)
    assert found.modes == {"RGB": 33, "P": 1, "CMYK": 1}
    assert found.formats == {"PNG": 32, "JPEG": 2, "GIF": 1}
    assert found.notes == (
        "1 file is turned by its EXIF data; we turn it back",
        "1 file is animated; the first frame is used",
    )
    assert found.widths == (6, 48, 48)


def test_long_lists_are_cut(root: Path) -> None:
    for i in range(7):
        (root / "train" / "cat" / f"empty{i}.png").touch()
    (root / "test" / "cat" / "empty0.png").touch()
    found = check(root)
    assert found.problems[0].endswith("; and 3 more")
    assert (found.leaks, found.duplicates) == ((), ())


def test_it_can_be_json(root: Path) -> None:
    scene(root / "test" / "cat" / "again.jpg", 0)
    found = json.loads(json.dumps(check(root).to_dict()))
    assert found["ok"] is True
    assert found["counts"]["train"] == {"cat": 12, "dog": 12}
    assert found["near_leaks"][0]["likeness"] > 0.99
    assert {"problems", "notes", "fingerprint", "unreadable", "leaks", "conflicts"} <= found.keys()


def test_nothing_readable(tmp_path: Path) -> None:
    for i in range(4):
        path = tmp_path / "data" / ("cat", "dog")[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(i))
    found = check(tmp_path / "data")
    assert "sizes 0x0 to 0x0, median 0x0; nothing readable; nothing readable" in found.to_text()
