from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from making import noise_picture, split_pictures

from eyevsai_core import pixels
from eyevsai_core.catalog import load_dataset
from eyevsai_core.errors import OutputError
from eyevsai_core.files import STAGING_PREFIX, cache_home
from eyevsai_core.pixels import PixelCache

if TYPE_CHECKING:
    from eyevsai_core.dataset import Dataset


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return split_pictures(tmp_path / "data")


@pytest.fixture
def data(root: Path) -> Dataset:
    return load_dataset(root)


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
        noise_picture(root / "train" / "cat" / "more.png")
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


def test_the_index_can_be_read_by_people(data: Dataset) -> None:
    index = json.loads((PixelCache.open(data, 16).folder / "index.json").read_text())
    assert index == {
        "format": 1,
        "counts": {"train": 8, "validation": 4, "test": 4},
        "unreadable": [],
    }
