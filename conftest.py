"""Fixtures of every test in this repository: the core's and the plugins'."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Address = tuple[Any, ...] | str | bytes

_LOOPBACK = ("127.", "::1", "localhost")


class NetworkUsedError(BaseException):
    """A test reached for the network. No `Exception`, so that no code under test can catch it."""


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real pictures that EYEVSAI_TEST_DATA points at; mark its users `realdata`."""
    place = os.environ.get("EYEVSAI_TEST_DATA")
    if not place or not Path(place).is_dir():
        pytest.fail(
            "this test reads real pictures: set EYEVSAI_TEST_DATA to the folder that holds "
            f"pets_cats_dogs.zip and its neighbours (it is {place!r} now), or leave these tests "
            'out with: pytest -m "not realdata"'
        )
    return Path(place)


@pytest.fixture(scope="session", autouse=True)
def session_homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep fixtures that outlive a test away from the developer's own models and cache."""
    with pytest.MonkeyPatch.context() as patch:
        _use_homes(patch, tmp_path_factory.mktemp("session-homes"))
        yield


@pytest.fixture(autouse=True)
def own_homes(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give each test its own, empty model and cache folders."""
    _use_homes(monkeypatch, tmp_path_factory.mktemp("homes"))


@pytest.fixture(autouse=True)
def fixed_seeds() -> None:
    """Start every test with the same dice, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  scikit-learn's own default is this global generator


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Refuse every connection that leaves this machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
        yield


def _guarded(connect: Callable[[socket.socket, Address], Any]) -> Callable[..., Any]:
    def connect_here(self: socket.socket, address: Address) -> Any:
        host = str(address[0]) if isinstance(address, tuple) else ""
        if self.family in {socket.AF_INET, socket.AF_INET6} and not host.startswith(_LOOPBACK):
            message = f"tests run without a network, but something connects to {address!r}"
            raise NetworkUsedError(message)
        return connect(self, address)

    return connect_here


def _use_homes(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv("EYEVSAI_HOME", str(folder / "home"))
    patch.setenv("EYEVSAI_CACHE", str(folder / "cache"))
    patch.setenv("NO_COLOR", "1")
    patch.setenv("COLUMNS", "100")
