from __future__ import annotations

import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from making import noise_picture, split_pictures
from PIL import Image

from eyevsai_core import pixels
from eyevsai_core.catalog import load_dataset
from eyevsai_core.dataset import Dataset
from eyevsai_core.errors import DatasetError
from eyevsai_core.images import decode_image
from eyevsai_core.pixels import PixelCache, auto_image_size
from eyevsai_core.resize import resize_image


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return split_pictures(tmp_path / "data")


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
        noise_picture(folder / "turned.jpg", exif=exif)
        Image.new("CMYK", (9, 9), (0, 255, 255, 0)).save(folder / "print.jpg")
        Image.fromarray(np.full((9, 9), 40000, np.uint16)).save(folder / "deep.png")
        Image.new("RGBA", (9, 9), (255, 0, 0, 128)).save(folder / "clear.png")
        Image.new("P", (9, 9), 3).save(folder / "few.gif")
        Image.new("1", (1, 300), 1).save(folder / "thin.bmp")
        long = folder / ("x" * 200) / ("ü " * 50)
        noise_picture(long / "deep down.webp")
        cache = PixelCache.open(load_dataset(root), 8)
        assert cache.counts["train"] == 15
        assert cache.unreadable == ()

    def test_progress_reaches_the_end(self, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
        told: list[tuple[int, int]] = []
        monkeypatch.setattr(pixels, "_TOLD", 6)
        PixelCache.open(data, 16, threads=2, progress=lambda *now: told.append(now))
        assert told == [(6, 16), (12, 16), (16, 16)]
        PixelCache.open(data, 16, progress=lambda *_: pytest.fail("it is decoded again"))


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
            noise_picture(
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
