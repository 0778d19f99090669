from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from eyevsai_core import catalog
from eyevsai_core.catalog import list_datasets, load_dataset
from eyevsai_core.errors import DatasetError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "My Pictures (2)"
    for label in ("cat", "dog"):
        (root / label).mkdir(parents=True)
        for i in range(10):
            Image.new("L", (4 + i, 4), hash_free(label, i)).save(root / label / f"{i}.png")
    return root


def hash_free(label: str, i: int) -> int:
    return (20 if label == "cat" else 120) + i


def test_the_list_names_what_each_set_is() -> None:
    (info,) = list_datasets()
    assert info.name == "doodles"
    assert info.pictures == 1700
    assert len(info.classes) == 20
    assert info.licence == "CC-BY-4.0"
    assert "Google" in info.attribution


def test_a_named_set_carries_its_licence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = catalog.DatasetInfo(
        name="small",
        summary="",
        classes=("cat", "dog"),
        pictures=20,
        licence="CC0-1.0",
        attribution="us",
        source="here",
        materialise=lambda: folder,
    )
    monkeypatch.setattr(catalog, "_CATALOG", (info,))
    data = load_dataset("small")
    assert (data.name, data.licence, data.attribution, data.source) == (
        "small",
        "CC0-1.0",
        "us",
        "here",
    )


def test_a_folder_gets_a_name_fit_for_a_reference(folder: Path) -> None:
    data = load_dataset(folder)
    assert data.name == "my-pictures--2"
    assert data.root == folder
    assert data.classes == ("cat", "dog")
    assert load_dataset(str(folder), seed=0).split_fingerprint == data.split_fingerprint
    assert load_dataset(folder, seed=1).split_fingerprint != data.split_fingerprint
    assert load_dataset(folder, seed=1).fingerprint == data.fingerprint


def test_a_table(folder: Path) -> None:
    table = folder.parent / "some.csv"
    rows = [f"{path},{path.parent.name}" for path in sorted(folder.rglob("*.png"))]
    table.write_text("\n".join(["path,label", *rows]))
    data = load_dataset(table)
    assert data.name == "some"
    assert data.fingerprint == load_dataset(folder).fingerprint


def test_a_data_set_is_passed_through(folder: Path) -> None:
    data = load_dataset(folder)
    assert load_dataset(data) is data


@pytest.mark.parametrize(
    ("name", "known"), [("日本", "data"), ("a_b", "a_b"), ("x" * 99, "x" * 60)]
)
def test_names_of_folders(folder: Path, name: str, known: str) -> None:
    assert load_dataset(folder.rename(folder.parent / name)).name == known


@pytest.mark.parametrize("source", ["doodels", "x" * 5000, "a\0b", Path("no/where")])
def test_what_is_not_there(source: str | Path) -> None:
    with pytest.raises(DatasetError, match="expected one of doodles, a folder of") as caught:
        load_dataset(source)
    assert ("Did you mean 'doodles'?" in str(caught.value)) == (source == "doodels")


def test_a_picture_is_no_data_set(folder: Path) -> None:
    with pytest.raises(DatasetError, match=r"a folder, a \.csv or a \.jsonl file, but got"):
        load_dataset(folder / "cat" / "0.png")
