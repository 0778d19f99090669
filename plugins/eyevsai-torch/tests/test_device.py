from __future__ import annotations

import ctypes
import sys

import pytest
import torch

from eyevsai_core.errors import ConfigError
from eyevsai_torch import device as module
from eyevsai_torch.device import choose_device, choose_precision, tune_malloc

CPU = torch.device("cpu")


def test_auto_is_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == CPU
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto").type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto", 3) == torch.device("cuda", 1)


def test_a_device_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"got 'cuda'; it sees: cpu$"):
        choose_device("cuda")


@pytest.mark.parametrize(
    ("bf16", "amx", "expected"),
    [(True, False, "bf16"), (False, True, "bf16"), (False, False, "float32")],
)
def test_auto_precision_of_a_cpu(
    monkeypatch: pytest.MonkeyPatch, *, bf16: bool, amx: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert choose_precision("auto", CPU).name == expected


@pytest.mark.parametrize(("capability", "expected"), [((8, 0), "bf16"), ((7, 5), "fp16")])
def test_auto_precision_of_a_gpu(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    found = choose_precision("auto", torch.device("cuda", 0))
    assert found.name == expected
    assert found.needs_scaler == (expected == "fp16")


def test_auto_precision_elsewhere() -> None:
    assert choose_precision("auto", torch.device("mps")).name == "float32"


def test_fp16_on_a_cpu_is_an_error() -> None:
    with pytest.raises(ConfigError, match="auto, float32 or bf16 on a CPU, but got 'fp16'"):
        choose_precision("fp16", CPU)


def test_autocast_is_what_the_name_says() -> None:
    matrix = torch.ones(2, 2)
    with choose_precision("bf16", CPU).autocast():
        assert (matrix @ matrix).dtype is torch.bfloat16
    with choose_precision("float32", CPU).autocast():
        assert (matrix @ matrix).dtype is torch.float32


def test_malloc_is_told_what_to_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[int, int] = {}

    class Library:
        def __init__(self, name: object) -> None:
            pass

        def mallopt(self, key: int, value: int) -> int:
            told[key] = value
            return 1

    monkeypatch.setattr(ctypes, "CDLL", Library)
    monkeypatch.setattr(sys, "platform", "linux")
    assert tune_malloc()
    assert told == {-4: 0, -1: 2**31 - 1, -2: 256 << 20}


def test_other_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not tune_malloc()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(module.ctypes, "CDLL", lambda _: object())
    assert not tune_malloc()
