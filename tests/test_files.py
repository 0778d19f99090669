from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from eyevsai_core.errors import OutputError
from eyevsai_core.files import (
    STAGING_PREFIX,
    cache_home,
    check_writable,
    data_home,
    staging_directory,
    write_atomic,
    write_json,
    writing,
)


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


class TestHomes:
    def test_variables_say_where(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("EYEVSAI_HOME", str(tmp_path / "a"))
        monkeypatch.setenv("EYEVSAI_CACHE", str(tmp_path / "b"))
        assert (data_home(), cache_home()) == (tmp_path / "a", tmp_path / "b")

    @pytest.mark.parametrize("unset", [True, False])
    def test_else_the_platform_does(self, monkeypatch: pytest.MonkeyPatch, unset: bool) -> None:
        for name in ("EYEVSAI_HOME", "EYEVSAI_CACHE"):
            if unset:
                monkeypatch.delenv(name)
            else:
                monkeypatch.setenv(name, "")
        assert data_home() == platformdirs.user_data_path("eyevsai")
        assert cache_home() == platformdirs.user_cache_path("eyevsai")


class TestWrite:
    def test_whole_and_nothing_else(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "folder" / "file"
        write_atomic(path, b"one")
        write_atomic(path, b"two")
        assert path.read_bytes() == b"two"
        assert os.listdir(path.parent) == ["file"]  # noqa: PTH208  names are what is compared

    @pytest.mark.parametrize("broken", [(os, "fsync"), (Path, "replace")])
    def test_a_full_disk_leaves_what_was_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: tuple[Any, str]
    ) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"before")
        monkeypatch.setattr(*broken, full)
        with pytest.raises(OutputError, match=r"cannot write '.*file': No space left on device; "):
            write_atomic(path, b"after")
        assert path.read_bytes() == b"before"
        assert [p.name for p in tmp_path.iterdir()] == ["file"]

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(OutputError, match="what was there before is untouched"):
            write_atomic(tmp_path / "file" / "below", b"")

    def test_json(self, tmp_path: Path) -> None:
        write_json(tmp_path / "a.json", {"ü": 1, "a": [None]})
        text = (tmp_path / "a.json").read_text(encoding="utf-8")
        assert text == '{\n  "a": [\n    null\n  ],\n  "ü": 1\n}\n'
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_json(tmp_path / "a.json", float("nan"))
        assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["ü"] == 1


class TestWritable:
    def test_a_folder_is_made_and_left_empty(self, tmp_path: Path) -> None:
        check_writable(tmp_path / "new" / "folder")
        assert list((tmp_path / "new" / "folder").iterdir()) == []

    def test_below_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match=r"'.*below' must be writable, but: .*; choose an"):
            check_writable(tmp_path / "file" / "below")


class TestWriting:
    def test_the_folder_and_the_reason_are_named(self, tmp_path: Path) -> None:
        with (
            pytest.raises(OutputError, match=r"cannot write into '.*': No space left.*; nothing"),
            writing(tmp_path),
        ):
            full()

    def test_a_reason_without_a_number(self, tmp_path: Path) -> None:
        with (
            pytest.raises(OutputError, match=r"not all of it could be written \(6 requested"),
            writing(tmp_path),
        ):
            raise OSError("6 requested and 5 written")

    def test_what_was_said_already_is_not_said_again(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match=r"^first$"), writing(tmp_path):
            raise OutputError("first")


class TestStaging:
    def test_what_is_not_taken_out_is_removed(self, tmp_path: Path) -> None:
        with staging_directory(tmp_path / "models") as folder:
            assert folder.name.startswith(STAGING_PREFIX)
            (folder / "kept").write_text("kept")
            (folder / "left").write_text("left")
            (folder / "kept").rename(tmp_path / "models" / "kept")
        assert [path.name for path in (tmp_path / "models").iterdir()] == ["kept"]

    def test_a_full_disk(self, tmp_path: Path) -> None:
        with (
            pytest.raises(OutputError, match="No space left on device; nothing was kept") as caught,
            staging_directory(tmp_path),
        ):
            full()
        assert isinstance(caught.value.__cause__, OSError)
        assert list(tmp_path.iterdir()) == []

    def test_what_was_said_already_is_not_said_again(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match=r"^first$"), staging_directory(tmp_path):
            raise OutputError("first")

    def test_other_errors_pass(self, tmp_path: Path) -> None:
        with pytest.raises(KeyboardInterrupt), staging_directory(tmp_path):
            raise KeyboardInterrupt
        assert list(tmp_path.iterdir()) == []

    def test_a_parent_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with (
            pytest.raises(OutputError, match="cannot write into"),
            staging_directory(tmp_path / "file" / "below"),
        ):
            pytest.fail("there is no folder")
