from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from safetensors import safe_open

from eyevsai_core.errors import OutputError, RunError
from eyevsai_torch.checkpoint import Checkpoint

if TYPE_CHECKING:
    from pathlib import Path


def checkpoint() -> Checkpoint:
    wide = torch.arange(24.0).reshape(2, 3, 2, 2).to(memory_format=torch.channels_last)
    tensors = {"net.a": wide, "net.b": torch.tensor(3), "best.a": torch.zeros(0)}
    return Checkpoint(tensors, {"steps": 7, "nested": {"x": 0.1}})


def test_everything_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    checkpoint().write(path)
    found = Checkpoint.from_bytes(path.read_bytes(), str(path))
    assert found.state == {"steps": 7, "nested": {"x": 0.1}}
    assert set(found.part("net")) == {"a", "b"}
    torch.testing.assert_close(found.part("net")["a"], checkpoint().tensors["net.a"])
    assert found.part("best")["a"].shape == (0,)


def test_others_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    checkpoint().write(path)
    with safe_open(path, framework="np") as file:
        assert set(file.keys()) == {"net.a", "net.b", "best.a"}
        assert '"steps": 7' in file.metadata()["state"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:20],
        lambda raw: b"",
        lambda raw: b"\x80\x04" + raw,
        lambda raw: raw.replace(b"__metadata__", b"__metodata__"),
        lambda raw: raw.replace(b'\\"format\\": 1', b'\\"format\\": 2'),
        lambda raw: raw.replace(b'{\\"format', b'[\\"format'),
    ],
    ids=["cut", "empty", "pickle", "no state", "newer", "not JSON"],
)
def test_damage_is_an_error(damage: object) -> None:
    raw = damage(checkpoint().to_bytes())  # type: ignore[operator]
    with pytest.raises(RunError, match=r"'c' cannot be gone on with: .*; remove it to begin anew"):
        Checkpoint.from_bytes(raw, "c")


def test_a_full_disk_keeps_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.safetensors"
    checkpoint().write(path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        Checkpoint({"net.a": torch.ones(3)}).write(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
