"""Pictures and data sets that are not as they should be, as a person meets them."""

from __future__ import annotations

import csv
import re
import shutil
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from eyevsai_core.dataset import Split
from eyevsai_core.errors import DatasetError
from eyevsai_core.model_registry import ModelRegistry
from eyevsai_core.run import list_runs
from eyevsai_core.training import train_model

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., Any]

WORDS = ("train", "mean", "--image-size", 32)
SPLITS = ("train", "validation", "calibration", "test")
HUGE = 50_000


def without(folder: Path, label: str) -> None:
    for split in SPLITS:
        shutil.rmtree(folder / split / label)


def empty_folder(root: Path) -> None:
    shutil.rmtree(root)
    root.mkdir()


def one_class(root: Path) -> None:
    without(root, "down")


def one_picture(root: Path) -> None:
    picture = min((root / "train" / "down").iterdir()).read_bytes()
    without(root, "down")
    (root / "train" / "down").mkdir()
    (root / "train" / "down" / "lonely.png").write_bytes(picture)


def clashing_names(root: Path) -> None:
    if (root / "TRAIN").exists():
        pytest.skip("this file system takes upper and lower case for the same")
    shutil.copytree(root / "train" / "down", root / "train" / "Down")


def symlink_loop(root: Path) -> None:
    (root / "train" / "down" / "again").symlink_to(root / "train", target_is_directory=True)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (empty_folder, r"no folder holds pictures \(there is no picture in it\); make a folder"),
        (one_class, r"needs at least two classes, but '.*tiny' has only 'across'"),
        (one_picture, r"each class needs at least 2 pictures, .* but 'down' in .* has 1; add some"),
        (clashing_names, r"must differ by more than case, .* has 'Down' and 'down', .*; rename"),
        (symlink_loop, r"the link '.*again' leads back to '.*train', .*; remove the link"),
    ],
)
def test_a_data_set_that_cannot_be_used(
    eyevsai: Command, data: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(data)
    with pytest.raises(DatasetError, match=message):
        train_model("mean", data)
    for words in (WORDS, ("data", "check"), ("data", "info")):
        said = eyevsai(*words, *(("--data",) if words is WORDS else ()), data)
        assert (said.code, said.out) == (1, "")
        assert re.fullmatch(rf"error: .*{message}.*\n", said.err)
    assert eyevsai(*WORDS, "--data", data, "--json").json["kind"] == "DatasetError"
    assert list_runs() == []
    assert ModelRegistry().list_models() == []


def huge_png(path: Path) -> None:
    """Write a real picture of 2.5 gigapixels, black, in 300 KB."""
    squeeze = zlib.compressobj(1)
    row = bytes(1 + HUGE // 8)  # one bit a pixel
    content = b"".join(squeeze.compress(row * 1000) for _ in range(HUGE // 1000)) + squeeze.flush()
    header = struct.pack(">IIBBBBB", HUGE, HUGE, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", content), (b"IEND", b""))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d))
            for k, d in chunks
        )
    )


REASONS = {
    "text.jpg": "is not a picture that can be read, whatever its name says",
    "empty.png": "is empty (0 bytes)",
    "huge.png": "is too large: up to 100 megapixels are read: scale it down",
    "cut.png": "is damaged or cut short",
    "loop.png": "cannot be read",
}


@pytest.fixture
def damaged(data: Path) -> Path:
    """The data set with one file of each kind that cannot be read."""
    folder = data / "train" / "down"
    (folder / "text.jpg").write_text("this is text")
    (folder / "empty.png").touch()
    huge_png(folder / "huge.png")
    whole = min((data / "train" / "across").iterdir()).read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "loop.png").symlink_to("loop.png")
    return data


def test_training_counts_and_names_what_cannot_be_read(eyevsai: Command, damaged: Path) -> None:
    said = eyevsai(*WORDS, "--data", damaged)
    assert said.code == 1
    assert "5 of 45 pictures cannot be read" in said.err
    for name in REASONS:
        assert name in said.err
    assert "--allow-unreadable" in said.err
    said = eyevsai(*WORDS, "--data", damaged, "--allow-unreadable", "--json")
    assert said.code == 0, said.out
    assert said.json["dataset"]["unreadable"] == 5


def test_checking_says_why_it_cannot_be_read(eyevsai: Command, damaged: Path) -> None:
    said = eyevsai("data", "check", damaged, "--json")
    assert said.code == 1
    reasons = {Path(path).name: reason for path, reason in said.json["unreadable"]}
    assert reasons.keys() == REASONS.keys()
    assert all(REASONS[name] in reason for name, reason in reasons.items())


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("name", REASONS)
def test_what_cannot_be_read_has_no_answer(eyevsai: Command, damaged: Path, name: str) -> None:
    path = damaged / "train" / "down" / name
    for command in ("predict", "explain"):
        said = eyevsai(command, path)
        assert (said.code, said.out) == (1, "")
        assert f"error: {str(path)!r}" in said.err
        assert REASONS[name] in said.err


def odd_pictures(folder: Path) -> list[Path]:
    """Write a picture, dark above and bright below, in every form that is not plain RGB."""
    grey = np.linspace(0, 255, 32).astype(np.uint16)[:, None].repeat(32, axis=1)
    picture = Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    turned = Image.Exif()
    turned[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    lying = picture.transpose(Image.Transpose.ROTATE_90)
    folder.mkdir()
    picture.save(folder / "plain.png")
    lying.save(folder / "lying.png")
    lying.save(folder / "turned.png", exif=turned)
    lying.save(folder / "turned.jpg", exif=turned, quality=95)
    picture.convert("CMYK").save(folder / "printed.jpg", quality=95)
    picture.convert("CMYK").save(folder / "printed.tif")
    Image.fromarray(grey * 257).save(folder / "deep.png")
    Image.fromarray(grey * 257).save(folder / "deep.tif")
    others = [Image.new("RGB", picture.size, colour) for colour in ("red", "blue")]
    for kind in ("gif", "webp", "png"):
        picture.save(folder / f"moving.{kind}", save_all=True, append_images=others)
    return sorted(folder.iterdir())


def test_pictures_of_every_kind_are_seen_as_they_are_shown(
    eyevsai: Command, data: Path, tmp_path: Path
) -> None:
    # A model that is not sure of anything sees the least difference.
    unsure = ("--sharpness", 1, "--calibration", "none")
    assert eyevsai(*WORDS, "--data", data, *unsure).code == 0
    said = eyevsai("predict", *odd_pictures(tmp_path / "odd"), "--json")
    assert said.code == 0
    answers = {Path(row["file"]).name: row["confidence"] for row in said.json["predictions"]}
    plain, lying = answers.pop("plain.png"), answers.pop("lying.png")
    assert abs(plain - lying) > 0.05
    assert len(answers) == 9
    for name, answer in answers.items():
        assert answer == pytest.approx(plain, abs=0.01), name


def test_pictures_of_every_kind_are_learned_from(eyevsai: Command, data: Path) -> None:
    odd_pictures(data / "train" / "across" / "odd")
    said = eyevsai(*WORDS, "--data", data, "--json")
    assert said.code == 0, said.out
    assert said.json["dataset"]["counts"]["train"] == 16 + 11
    assert said.json["dataset"]["unreadable"] == 0
    notes = " ".join(eyevsai("data", "check", data, "--json").json["notes"])
    assert "2 files are turned by their EXIF data" in notes
    assert "3 files are animated; the first frame is used" in notes


def test_names_with_spaces_in_any_language_of_300_letters(
    eyevsai: Command, data: Path, tmp_path: Path
) -> None:
    long = "ü" * 120  # 240 bytes; a file system takes 255 in one name
    names = {"across": "hot dog & <b>côte</b>", "down": "犬 と 猫"}
    root = data.rename(tmp_path / "meine Bilder Ä")
    for split in SPLITS:
        for label, name in names.items():
            deep = root / split / name / long / f"{long} x"
            deep.parent.mkdir(parents=True)
            (root / split / label).rename(deep)
    picture = min((root / "test" / names["down"]).rglob("*.png"))
    assert len(str(picture)) > 300
    said = eyevsai(*WORDS, "--data", root, "--json")
    assert said.code == 0, said.out
    assert said.json["ref"] == "mean/plain/meine-bilder@1"
    report = Path(said.json["report"]).read_text(encoding="utf-8")
    assert names["down"] in report
    assert "<b>côte" not in report
    (answer,) = eyevsai("predict", picture, "--json").json["predictions"]
    assert (answer["file"], answer["label"]) == (str(picture), names["down"])
    assert eyevsai("data", "check", root).code == 0


def test_a_label_of_300_letters(eyevsai: Command, data: Path) -> None:
    label = "long " * 60
    table = data / "table.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "split"])
        for path in sorted(data.rglob("*.png")):
            split, name, _ = path.relative_to(data).parts
            rows.writerow([path.relative_to(data), label if name == "down" else name, Split(split)])
    said = eyevsai(*WORDS, "--data", table, "--json")
    assert said.code == 0, said.out
    picture = min((data / "test" / "down").iterdir())
    (answer,) = eyevsai("predict", picture, "--json").json["predictions"]
    assert answer["label"] == label.strip()
    assert eyevsai("evaluate", "mean", "--data", table).code == 0
