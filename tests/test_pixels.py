from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import zlib
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyevsai_core import pixels
from eyevsai_core.catalog import load_dataset
from eyevsai_core.dataset import Dataset
from eyevsai_core.errors import DatasetError, OutputError
from eyevsai_core.files import STAGING_PREFIX, cache_home
from eyevsai_core.images import decode_image
from eyevsai_core.pixels import PixelCache, auto_image_size
from eyevsai_core.resize import resize_image

DICE = np.random.default_rng(0)


def picture(path: Path, width: int = 30, height: int = 20, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(DICE.integers(0, 256, (height, width, 3), np.uint8)).save(path, **options)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes; 8 to learn from, 4 to validate and 4 to test with."""
    for split, n in (("train", 8), ("val", 4), ("test", 4)):
        for i in range(n):
            picture(tmp_path / "data" / split / ("cat", "dog")[i % 2] / f"{i}.png", 20 + i, 24)
    return tmp_path / "data"


@pytest.fixture
def data(root: Path) -> Dataset:
    return load_dataset(root)


class TestRows:
    def test_rows_are_the_reference_resize_of_the_samples(self, data: Dataset) -> None:
        cache = PixelCache.open(data, 16)
        assert cache.counts == {"train": 8, "validation": 4, "test": 4}
        assert cache.unreadable == ()
        for split in ("train", "validation", "test"):
            images, samples = cache.images(split), cache.samples(data, split)
            assert images.shape == (len(samples), 16, 16, 3)
            assert samples == list(data.split(split))
            assert cache.labels(split).tolist() == data.labels(split).tolist()
            assert cache.labels(split).dtype == np.int64
            for row, sample in zip(images, samples, strict=True):
                assert np.array_equal(row, resize_image(decode_image(sample.path), 16))

    def test_a_split_that_is_not_there_is_empty(self, data: Dataset) -> None:
        cache = PixelCache.open(data, 16)
        assert cache.images("calibration").shape == (0, 16, 16, 3)
        assert cache.labels("calibration").shape == (0,)

    def test_images_are_views_of_the_file_and_cannot_be_written(self, data: Dataset) -> None:
        cache = PixelCache.open(data, 16)
        images = cache.images("train")
        assert isinstance(images, np.memmap)
        assert np.shares_memory(images, cache.images("train"))
        with pytest.raises(ValueError, match="read-only"):
            images[0] = 0

    def test_files_of_every_kind(self, root: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        folder = root / "train" / "cat"
        picture(folder / "turned.jpg", exif=exif)
        Image.new("CMYK", (9, 9), (0, 255, 255, 0)).save(folder / "print.jpg")
        Image.fromarray(np.full((9, 9), 40000, np.uint16)).save(folder / "deep.png")
        Image.new("RGBA", (9, 9), (255, 0, 0, 128)).save(folder / "clear.png")
        Image.new("P", (9, 9), 3).save(folder / "few.gif")
        Image.new("1", (1, 300), 1).save(folder / "thin.bmp")
        long = folder / ("x" * 200) / ("ü " * 50)
        picture(long / "deep down.webp")
        cache = PixelCache.open(load_dataset(root), 8)
        assert cache.counts["train"] == 15
        assert cache.unreadable == ()

    def test_progress_reaches_the_end(self, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
        told: list[tuple[int, int]] = []
        monkeypatch.setattr(pixels, "_TOLD", 6)
        PixelCache.open(data, 16, threads=2, progress=lambda *now: told.append(now))
        assert told == [(6, 16), (12, 16), (16, 16)]
        PixelCache.open(data, 16, progress=lambda *_: pytest.fail("it is decoded again"))


class TestOnDisk:
    def test_it_is_decoded_once(
        self, data: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        first = PixelCache.open(data, 16, folder=tmp_path / "c")
        monkeypatch.setattr(pixels, "_load", lambda *_: pytest.fail("it is decoded again"))
        again = PixelCache.open(data, 16, folder=tmp_path / "c")
        assert again.folder == first.folder
        assert np.array_equal(again.images("test"), first.images("test"))

    def test_another_size_picture_or_split_is_another_cache(self, root: Path) -> None:
        data = load_dataset(root)
        homes = {PixelCache.open(data, 16).folder, PixelCache.open(data, 8).folder}
        picture(root / "train" / "cat" / "more.png")
        homes.add(PixelCache.open(load_dataset(root), 16).folder)
        (root / "train" / "cat" / "more.png").rename(root / "val" / "cat" / "more.png")
        homes.add(PixelCache.open(load_dataset(root), 16).folder)
        assert len(homes) == 4
        assert all(home.parent == cache_home() / "pixels" for home in homes)

    def test_the_rows_outlive_the_folder(self, data: Dataset) -> None:
        cache = PixelCache.open(data, 16)
        before = cache.images("train").copy()
        shutil.rmtree(cache.folder)
        assert np.array_equal(cache.images("train"), before)

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("pixels.u8", b"short"),
            ("labels.npy", b""),
            ("samples.npy", b"\x93NUMPY\x01"),
            ("index.json", b"{"),
            ("index.json", b"[]"),
            ("index.json", b'{"counts": {"train": "many"}, "unreadable": []}'),
            ("index.json", b'{"counts": {"train": 15}, "unreadable": []}'),
        ],
    )
    def test_a_damaged_cache_is_made_again(self, data: Dataset, name: str, content: bytes) -> None:
        cache = PixelCache.open(data, 16)
        before = cache.images("train").copy()
        (cache.folder / name).write_bytes(content)
        assert np.array_equal(PixelCache.open(data, 16).images("train"), before)
        assert [path.name for path in cache.folder.parent.iterdir()] == [cache.folder.name]

    def test_a_cache_with_a_file_missing_is_made_again(self, data: Dataset) -> None:
        cache = PixelCache.open(data, 16)
        (cache.folder / "pixels.u8").unlink()
        assert PixelCache.open(data, 16).images("test").shape[0] == 4

    def test_what_a_killed_process_left_is_swept_and_what_is_written_now_is_not(
        self, data: Dataset
    ) -> None:
        place = cache_home() / "pixels"
        for name in ("old", "new"):
            left = place / f"{STAGING_PREFIX}{name}"
            left.mkdir(parents=True)
            (left / "pixels.u8").write_bytes(b"half")
        for path in (place / f"{STAGING_PREFIX}old", place / f"{STAGING_PREFIX}old" / "pixels.u8"):
            os.utime(path, (1, 1))
        cache = PixelCache.open(data, 16)
        assert {path.name for path in place.iterdir()} == {
            f"{STAGING_PREFIX}new",
            cache.folder.name,
        }


class TestUnreadable:
    def spoil(self, root: Path, *names: str) -> Dataset:
        for name in names:
            (root / name).write_text("a text file")
        return load_dataset(root)

    def test_more_than_one_in_a_hundred_is_an_error_with_names(self, root: Path) -> None:
        data = self.spoil(root, "train/cat/text.jpg", "test/dog/1.png")
        message = (
            r"2 of 17 pictures cannot be read, more than 1 %: .*text\.jpg.*; .*1\.png.*--allow"
        )
        for _ in range(2):  # decoded, and from the cache
            with pytest.raises(DatasetError, match=message):
                PixelCache.open(data, 16)

    def test_allowed_they_are_left_out_and_named(self, root: Path) -> None:
        data = self.spoil(root, "train/cat/0.png", "test/dog/1.png")
        (root / "val" / "cat" / "0.png").write_bytes(b"")
        cache = PixelCache.open(load_dataset(root), 16, allow_unreadable=True)
        assert cache.counts == {"train": 7, "validation": 3, "test": 3}
        assert {Path(path).name for path, _ in cache.unreadable} == {"0.png", "1.png"}
        assert any("0 bytes" in reason for _, reason in cache.unreadable)
        names = [sample.path.name for sample in cache.samples(data, "train")]
        assert "0.png" not in names
        assert len(names) == len(cache.labels("train")) == len(cache.images("train"))

    def test_one_in_a_hundred_is_left_out_without_a_word(self, tmp_path: Path) -> None:
        for i in range(100):
            picture(
                tmp_path / ("train", "test")[i % 2] / ("cat", "dog")[i // 50] / f"{i}.png", 4, 4
            )
        data = self.spoil(tmp_path, "train/cat/0.png")
        cache = PixelCache.open(data, 8)
        assert (len(cache.unreadable), cache.counts["train"]) == (1, 49)

    def test_many_are_counted_and_some_named(self, root: Path) -> None:
        data = self.spoil(root, *(f"train/cat/x{i}.png" for i in range(7)))
        with pytest.raises(DatasetError, match=r"7 of 23 .*; \.\.\.\. Remove them"):
            PixelCache.open(data, 16)

    def test_a_class_of_which_nothing_is_left(self, root: Path) -> None:
        data = self.spoil(root, *(f"train/cat/{i}.png" for i in (0, 2, 4, 6)))
        with pytest.raises(DatasetError, match=r"no picture is left .* for 'cat'; .*0\.png"):
            PixelCache.open(data, 16, allow_unreadable=True)

    def test_a_split_of_which_nothing_is_left(self, root: Path) -> None:
        data = self.spoil(root, *(f"test/{('cat', 'dog')[i % 2]}/{i}.png" for i in range(4)))
        with pytest.raises(DatasetError, match=r"is left .* for split test; the first"):
            PixelCache.open(data, 16, allow_unreadable=True)

    def test_nothing_at_all_is_left(self, root: Path) -> None:
        names = [str(path.relative_to(root)) for path in root.rglob("*.png")]
        with pytest.raises(DatasetError, match=r"is left .* for split train, split validation"):
            PixelCache.open(self.spoil(root, *names), 16, allow_unreadable=True)

    def test_a_class_without_pictures_to_learn_from(self, root: Path) -> None:
        for path in (root / "train" / "dog").iterdir():
            path.unlink()
        with pytest.raises(DatasetError, match=r"no picture is left to learn from for 'dog'$"):
            PixelCache.open(load_dataset(root), 16)

    def test_a_set_only_to_test_with(self, root: Path) -> None:
        shutil.rmtree(root / "train")
        assert PixelCache.open(load_dataset(root), 16).counts == {"validation": 4, "test": 4}

    def test_a_picture_too_large_is_refused_unread(self, root: Path) -> None:
        bomb = root / "train" / "cat" / "bomb.png"
        shutil.copy(root / "train" / "cat" / "0.png", bomb)
        head = bytearray(bomb.read_bytes())
        head[16:24] = (50_000).to_bytes(4, "big") * 2
        head[29:33] = zlib.crc32(head[12:29]).to_bytes(4, "big")
        bomb.write_bytes(head)
        cache = PixelCache.open(load_dataset(root), 16, allow_unreadable=True)
        assert "too large" in cache.unreadable[0][1]


class TestProcesses:
    CODE = (
        "import sys; from pathlib import Path; from eyevsai_core import pixels; "
        "from eyevsai_core.catalog import load_dataset; pixels._TOLD = 1; "
        "import os; "
        "stop = int(sys.argv[2]); "
        "tell = lambda done, total: os.kill(os.getpid(), 9) if done == stop else None; "
        "cache = pixels.PixelCache.open(load_dataset(sys.argv[1]), 16, threads=1, progress=tell); "
        "print(cache.folder, int(cache.images('train').sum(dtype='int64')))"
    )

    def start(self, root: Path, *, stop: int = 0) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", self.CODE, str(root), str(stop)]
        return subprocess.Popen(command, stdout=subprocess.PIPE)

    def test_three_at_once_make_one_cache(self, root: Path) -> None:
        running = [self.start(root) for _ in range(3)]
        said = {process.communicate()[0] for process in running}
        assert len(said) == 1
        assert all(process.returncode == 0 for process in running)
        assert len(list((cache_home() / "pixels").iterdir())) == 1

    def test_a_kill_in_the_middle_leaves_nothing_that_counts(self, root: Path) -> None:
        killed = self.start(root, stop=5)
        killed.communicate()
        assert killed.returncode == -signal.SIGKILL
        (left,) = (cache_home() / "pixels").iterdir()
        assert left.name.startswith(STAGING_PREFIX)
        cache = PixelCache.open(load_dataset(root), 16)
        assert cache.counts["train"] == 8

    def test_an_interrupt_leaves_nothing(self, data: Dataset) -> None:
        def interrupt(_done: int, _total: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            PixelCache.open(data, 16, progress=interrupt)
        assert list((cache_home() / "pixels").iterdir()) == []

    def test_the_slower_one_takes_what_the_faster_made(self, data: Dataset) -> None:
        made: list[PixelCache] = []

        def faster(done: int, total: int) -> None:
            if done == total:
                made.append(PixelCache.open(data, 16))

        cache = PixelCache.open(data, 16, progress=faster)
        assert cache.folder == made[0].folder
        assert np.array_equal(cache.images("train"), made[0].images("train"))
        assert [path.name for path in cache.folder.parent.iterdir()] == [cache.folder.name]


class TestDisk:
    def test_too_little_space_is_said_before_the_work(
        self, data: Dataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        usage = namedtuple("usage", "total used free")  # noqa: PYI024
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 1000))
        with pytest.raises(
            OutputError, match=r"needs 0\.0 GB, but .*pixels' has 0\.0 GB left; free"
        ):
            PixelCache.open(data, 16)

    def test_a_disk_that_fills_up(self, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(np, "save", full)
        with pytest.raises(OutputError, match="No space left on device; nothing was kept"):
            PixelCache.open(data, 16)
        assert list((cache_home() / "pixels").iterdir()) == []

    def test_a_place_that_is_taken(self, data: Dataset) -> None:
        cache = PixelCache.open(data, 16)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError("no")))
            shutil.rmtree(cache.folder)
            with pytest.raises(OutputError, match="cannot write the pixel cache"):
                PixelCache.open(data, 16)


class TestImageSize:
    @pytest.mark.parametrize(
        ("width", "height", "size"),
        [(20, 500, 32), (63, 200, 64), (100, 90, 88), (101, 300, 104), (4000, 3000, 128)],
    )
    def test_the_short_side_in_steps_of_eight(
        self, tmp_path: Path, width: int, height: int, size: int
    ) -> None:
        for label in ("cat", "dog"):
            for i in range(2):
                path = tmp_path / label / f"{i}.png"
                path.parent.mkdir(exist_ok=True)
                Image.new("1", (width, height), i).save(path)
        assert auto_image_size(load_dataset(tmp_path)) == size

    def test_unreadable_files_have_no_say(self, root: Path) -> None:
        (root / "train" / "cat" / "0.png").write_text("text")
        assert auto_image_size(load_dataset(root)) == 32
        for path in root.rglob("*.png"):
            path.write_text(path.name)
        assert auto_image_size(load_dataset(root)) == 128

    def test_at_most_five_hundred_are_opened(
        self, data: Dataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened = []
        monkeypatch.setattr(pixels, "_short_side", lambda path: opened.append(path) or 64)
        many = Dataset("many", data.root, data.classes, data.samples * 100)
        assert auto_image_size(many) == 64
        assert 250 < len(opened) <= 500


def test_the_index_can_be_read_by_people(data: Dataset) -> None:
    index = json.loads((PixelCache.open(data, 16).folder / "index.json").read_text())
    assert index == {
        "format": 1,
        "counts": {"train": 8, "validation": 4, "test": 4},
        "unreadable": [],
    }
