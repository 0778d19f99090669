from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from eyevsai_core.dataset import Sample, Split
from eyevsai_core.errors import DatasetError
from eyevsai_core.layouts import read_folder, read_table

if TYPE_CHECKING:
    from pathlib import Path


def touch(root: Path, *names: str) -> Path:
    """Make files; nothing here is decoded, so they can be empty."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def listed(root: Path) -> list[tuple[str, str]]:
    return [(path.relative_to(root).as_posix(), label) for path, label in read_folder(root)]


class TestFolders:
    def test_labels(self, tmp_path: Path) -> None:
        touch(tmp_path, "dog/2.png", "dog/1.JPG", "cat/a.webp", "cat/notes.txt", "readme.md")
        assert listed(tmp_path) == [
            ("cat/a.webp", "cat"),
            ("dog/1.JPG", "dog"),
            ("dog/2.png", "dog"),
        ]

    def test_folders_below_a_label_belong_to_it(self, tmp_path: Path) -> None:
        touch(tmp_path, "cat/b.png", "cat/kittens/small/a.png", "dog/a.png")
        assert listed(tmp_path)[:2] == [("cat/b.png", "cat"), ("cat/kittens/small/a.png", "cat")]

    @pytest.mark.parametrize("name", ["val", "valid", "Validation"])
    def test_splits(self, tmp_path: Path, name: str) -> None:
        touch(tmp_path, "train/cat/1.png", f"{name}/cat/2.png", "test/dog/3.png", "docs/a.txt")
        assert {(s.path.name, s.label, s.split) for s in read_folder(tmp_path)} == {
            ("1.png", "cat", Split.TRAIN),
            ("2.png", "cat", Split.VALIDATION),
            ("3.png", "dog", Split.TEST),
        }

    def test_a_test_split_alone_is_a_data_set(self, tmp_path: Path) -> None:
        touch(tmp_path, "test/cat/1.png", "test/dog/2.png")
        assert {s.split for s in read_folder(tmp_path)} == {Split.TEST}

    def test_classes_may_be_named_like_splits(self, tmp_path: Path) -> None:
        touch(tmp_path, "train/1.png", "plane/2.png")
        assert listed(tmp_path) == [("plane/2.png", "plane"), ("train/1.png", "train")]
        (tmp_path / "plane" / "2.png").unlink()
        touch(tmp_path, "test/2.png")
        assert listed(tmp_path) == [("test/2.png", "test"), ("train/1.png", "train")]

    def test_a_picture_in_a_split_but_in_no_class(self, tmp_path: Path) -> None:
        touch(tmp_path, "train/cat/1.png", "train/2.png", "test/cat/3.png")
        with pytest.raises(DatasetError, match=r"'train' is the name of a split.*2\.png' lies in"):
            read_folder(tmp_path)

    def test_hidden_files_and_folders_are_left_out(self, tmp_path: Path) -> None:
        touch(tmp_path, "cat/1.png", "cat/._1.png", ".git/2.png", "dog/3.png", "dog/.x/4.png")
        assert listed(tmp_path) == [("cat/1.png", "cat"), ("dog/3.png", "dog")]

    def test_names_with_spaces_other_scripts_and_great_length(self, tmp_path: Path) -> None:
        long = "x" * 200
        touch(tmp_path, f"hot dog/{long}/{long} ü.png", "犬 と 猫/a b.png")
        assert [label for _, label in listed(tmp_path)] == ["hot dog", "犬 と 猫"]
        assert len(listed(tmp_path)[0][0]) > 300

    @pytest.mark.parametrize(
        ("names", "why"),
        [((), "there is no picture"), (("a.png",), "'a.png' lies"), (("a/b.txt",), "no picture")],
    )
    def test_an_empty_folder(self, tmp_path: Path, names: tuple[str, ...], why: str) -> None:
        with pytest.raises(DatasetError, match=f"{why}.*make a folder for each class"):
            read_folder(touch(tmp_path, *names))

    def test_a_folder_that_cannot_be_listed(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match=r"cannot list '.*gone': No such file"):
            read_folder(tmp_path / "gone")


class TestLinks:
    def test_a_link_to_another_folder_is_followed(self, tmp_path: Path) -> None:
        touch(tmp_path, "far/1.png", "data/dog/2.png")
        (tmp_path / "data" / "cat").symlink_to(tmp_path / "far")
        assert [label for _, label in listed(tmp_path / "data")] == ["cat", "dog"]

    @pytest.mark.parametrize("target", [".", "..", "cat", "../.."])
    def test_a_loop(self, tmp_path: Path, target: str) -> None:
        root = touch(tmp_path / "data", "cat/1.png", "dog/2.png")
        link = root / "cat" / "loop"
        link.symlink_to(root / "cat" if target == "cat" else target, target_is_directory=True)
        with pytest.raises(
            DatasetError, match=r"the link '.*loop' leads back to .*remove the link"
        ):
            read_folder(root)

    def test_two_links_that_lead_to_each_other(self, tmp_path: Path) -> None:
        root = touch(tmp_path, "cat/a/1.png", "cat/b/2.png", "dog/3.png")
        (root / "cat" / "a" / "to-b").symlink_to(root / "cat" / "b")
        (root / "cat" / "b" / "to-a").symlink_to(root / "cat" / "a")
        with pytest.raises(DatasetError, match="leads back"):
            read_folder(root)

    def test_a_link_to_itself_is_a_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        touch(tmp_path, "cat/1.png", "dog/2.png")
        (tmp_path / "cat" / "self.png").symlink_to("self.png")
        (tmp_path / "cat" / "self").symlink_to("self")
        assert [name for name, _ in listed(tmp_path)] == ["cat/1.png", "cat/self.png", "dog/2.png"]

    @pytest.mark.skipif(sys.platform != "linux", reason="only there a name may be any bytes")
    def test_a_file_name_that_is_no_text(self, tmp_path: Path) -> None:
        touch(tmp_path, "cat/1.png", "dog/2.png")
        (tmp_path / "cat" / os.fsdecode(b"\xff.png")).touch()
        assert len(read_folder(tmp_path)) == 3


class TestTables:
    def test_csv(self, tmp_path: Path) -> None:
        touch(tmp_path, "pictures/a b.png", "b.png")
        table = tmp_path / "list.csv"
        table.write_text('label,path,who\ncat,"pictures/a b.png",me\n"dog, big",b.png,you\n')
        assert read_table(table) == [
            (tmp_path / "pictures/a b.png", "cat"),
            (tmp_path / "b.png", "dog, big"),
        ]

    def test_csv_of_a_spreadsheet(self, tmp_path: Path) -> None:
        touch(tmp_path, "ä.png")
        table = tmp_path / "list.CSV"
        table.write_bytes("\ufeffpath,label,split\r\nä.png,Bär,Val\r\n".encode())
        assert read_table(table) == [Sample(tmp_path / "ä.png", "Bär", Split.VALIDATION)]

    def test_jsonl(self, tmp_path: Path) -> None:
        touch(tmp_path, "a.png", "b.png")
        table = tmp_path / "list.jsonl"
        rows = [
            {"path": "a.png", "label": 7, "split": "train"},
            {"path": str(tmp_path / "b.png"), "label": "x", "split": "test"},
        ]
        table.write_text("\n\n".join(map(json.dumps, rows)))
        assert read_table(table) == [
            Sample(tmp_path / "a.png", "7", Split.TRAIN),
            Sample(tmp_path / "b.png", "x", Split.TEST),
        ]

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            ("a.txt", "path,label\n", r"a folder, a \.csv or a \.jsonl file, but got '.*a\.txt'"),
            ("a.csv", "path,label\n", r"has no rows; expected path,label\[,split\]"),
            ("a.csv", "", r"first line .* label, path is missing: it says None|\(\)"),
            ("a.csv", "path,class\na.png,x\n", r"label is missing: it says \['path', 'class'\]"),
            ("a.csv", "path,label\na.png,\n", r"line 2 .* must have a path and a label"),
            ("a.csv", "path,label\na.png\n", r"line 2 .* must have a path and a label"),
            ("a.csv", "path,label,split\na.png,x,tset\n", r"line 2 .*'tset'; expected train, val"),
            ("a.csv", "path,label,split\na.png,x,train\na.png,x,\n", "every row .* or none"),
            ("a.csv", "path,label\nz.png,x\n", r"1 of 1 files .* are not there: '.*z\.png'; paths"),
            ("a.csv", b"path,label\n\xff\xfe.png,x\n", r"cannot read the table .*utf-8"),
            ("a.csv", 'path,label\n"' + "x" * 200_000, r"cannot read the table .*field larger"),
            ("a.jsonl", "{", r"line 1 of .* is not JSON"),
            ("a.jsonl", "[" * 100_000, r"line 1 of .* is not JSON"),
            ("a.jsonl", '\n["a.png"]\n', r"line 2 of .* must be an object .* but is '\[\"a"),
            ("a.jsonl", '{"path": 3, "label": "x"}', r"line 1 .* must have a path and a label"),
            ("a.jsonl", '{"path": "a.png"}', r"line 1 .* must have a path and a label"),
            ("a.jsonl", '{"path": "a\\u0000.png", "label": "x"}', r"1 of 1 files .* not there"),
        ],
    )
    def test_what_is_wrong_is_said(
        self, tmp_path: Path, name: str, text: str | bytes, message: str
    ) -> None:
        touch(tmp_path, "a.png")
        table = tmp_path / name
        table.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(DatasetError, match=message):
            read_table(table)

    def test_missing_files_are_counted_and_the_first_named(self, tmp_path: Path) -> None:
        table = tmp_path / "a.csv"
        table.write_text("path,label\n" + "".join(f"{i}.png,x\n" for i in range(9)))
        with pytest.raises(DatasetError, match=r"9 of 9 files .*0\.png', .*4\.png' and 4 more"):
            read_table(table)

    def test_a_table_that_cannot_be_opened(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").mkdir()
        with pytest.raises(DatasetError, match="cannot read the table"):
            read_table(tmp_path / "a.csv")
