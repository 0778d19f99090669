from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyevsai_core import fingerprint
from eyevsai_core.files import cache_home
from eyevsai_core.fingerprint import hash_files, merkle_root

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

Leaves = st.lists(st.tuples(st.text(), st.text()), max_size=9)


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_the_root_of_one_two_and_three_leaves_by_hand() -> None:
    def h(content: bytes) -> bytes:
        return hashlib.sha256(content).digest()

    a, b, c = sorted(h(b'\x00["%c", "1"]' % letter) for letter in b"abc")
    assert merkle_root([("a", "1")]) == h(b'\x00["a", "1"]').hex()
    three = h(b"\x01" + h(b"\x01" + a + b) + c)
    assert merkle_root([("a", "1"), ("b", "1"), ("c", "1")]) == three.hex()


@given(Leaves, st.randoms(use_true_random=False))
def test_the_order_of_the_leaves_does_not_matter(
    leaves: list[tuple[str, str]], random: Random
) -> None:
    turned = list(leaves)
    random.shuffle(turned)
    assert merkle_root(turned) == merkle_root(leaves)


@given(Leaves, st.tuples(st.text(), st.text()))
def test_one_leaf_more_is_another_root(
    leaves: list[tuple[str, str]], leaf: tuple[str, str]
) -> None:
    assert merkle_root([*leaves, leaf]) != merkle_root(leaves)


def test_no_leaves_have_a_root_and_texts_do_not_run_together() -> None:
    assert merkle_root([]) == sha(b"")
    assert merkle_root([("ab", "c")]) != merkle_root([("a", "bc")])


def test_hashes_are_those_of_the_bytes_in_order(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.bin" for i in range(600)]  # more than two batches
    for i, path in enumerate(paths):
        path.write_bytes(b"x" * (i + 1))
    assert hash_files(paths) == [sha(b"x" * (i + 1)) for i in range(600)]
    assert hash_files([], threads=1) == []


def test_a_file_larger_than_one_read(tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(range(256)) * 9000)
    assert hash_files([path]) == [sha(bytes(range(256)) * 9000)]


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files count as settled at once, as if they were made long ago."""
    monkeypatch.setattr(fingerprint, "_SETTLED", -(10**18))


@pytest.mark.usefixtures("settled")
def test_a_settled_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    first = hash_files([path])
    monkeypatch.setattr(fingerprint, "_sha256", lambda path: pytest.fail(f"{path} is read again"))
    assert hash_files([path]) == first == [sha(b"one")]


@pytest.mark.usefixtures("settled")
def test_a_changed_file_of_the_same_size_and_date_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    stat = path.stat()
    hash_files([path])
    other = tmp_path / "b.bin"
    other.write_bytes(b"two")
    other.replace(path)  # another inode, so that no clock is needed to tell them apart
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert hash_files([path]) == [sha(b"two")]


def test_a_file_of_this_moment_is_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    hash_files([path])
    assert not (cache_home() / "hashes.sqlite3").exists()


@pytest.mark.usefixtures("settled")
def test_a_damaged_memory_costs_time_only(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    cache_home().mkdir(parents=True)
    (cache_home() / "hashes.sqlite3").write_bytes(b"no database" * 99)
    assert hash_files([path]) == [sha(b"one")]


@pytest.mark.usefixtures("settled")
def test_an_unusable_cache_folder_costs_time_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    monkeypatch.setenv("EYEVSAI_CACHE", str(path / "below-a-file"))
    assert hash_files([path]) == [sha(b"one")]


def test_unreadable_and_empty_files_get_a_mark_of_their_own(tmp_path: Path) -> None:
    names = ("a/cat/gone.png", "a/dog/gone.png", "a/cat/empty.png", "a/dog/empty.png", "a/cat")
    for root in (tmp_path / "here", tmp_path / "there"):
        for label in ("cat", "dog"):
            (root / "a" / label).mkdir(parents=True)
            (root / "a" / label / "empty.png").touch()
    here, there = ([tmp_path / root / name for name in names] for root in ("here", "there"))
    marks = hash_files(here)
    assert len(set(marks)) == 5
    assert sha(b"") not in marks
    assert hash_files(there)[:4] == marks[:4]  # wherever the data set lies


def test_unreadable_files_deep_in_folders_of_the_same_names_are_not_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / split / "cat/young/indoors/1.png" for split in ("train", "test")]
    assert len(set(hash_files(paths))) == 2

    def on_different_drives(_: object) -> str:
        raise ValueError("Paths don't have the same drive")

    monkeypatch.setattr(os.path, "commonpath", on_different_drives)
    assert len(set(hash_files(paths))) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only there a name may be any bytes")
@pytest.mark.usefixtures("settled")
def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff\xfe.png")
    path.write_bytes(b"one")
    assert hash_files([path]) == hash_files([path]) == [sha(b"one")]


def test_many_processes_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from eyevsai_core import fingerprint as f; "
        "f._SETTLED = -10**18; print(f.hash_files([Path(p) for p in sys.argv[1:]]))"
    )
    paths = [tmp_path / f"{i}.bin" for i in range(50)]
    for path in paths:
        path.write_bytes(path.name.encode())
    running = [
        subprocess.Popen([sys.executable, "-c", code, *paths], stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    said = {process.communicate()[0] for process in running}
    assert len(said) == 1
    assert all(process.returncode == 0 for process in running)
