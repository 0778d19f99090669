from __future__ import annotations

import pytest
import torch

from eyevsai_core.errors import ConfigError
from eyevsai_torch.fleet import Fleet


def test_alone_without_torchrun() -> None:
    fleet = Fleet.from_environment({})
    assert fleet == Fleet(0, 1, 0)
    assert fleet.is_alone
    assert fleet.is_first
    fleet.join(torch.device("cpu"))
    fleet.wait()
    values = torch.ones(2)
    assert fleet.total(values) is values
    assert fleet.tell(b"abc", torch.device("cpu")) == b"abc"


def test_torchrun_says_who_is_who() -> None:
    fleet = Fleet.from_environment({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"})
    assert fleet == Fleet(3, 4, 1)
    assert not fleet.is_first
    assert not fleet.is_alone


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"RANK": "x"}, "must be numbers"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "from 0 to WORLD_SIZE - 1"),
        ({"RANK": "-1", "WORLD_SIZE": "2"}, "from 0 to WORLD_SIZE - 1"),
        ({"LOCAL_RANK": "-1"}, "from 0 to WORLD_SIZE - 1"),
    ],
)
def test_nonsense_is_an_error(environment: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Fleet.from_environment(environment)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("n", [2, 7, 10, 64, 101])
def test_shares_are_whole_pairs_and_everything(n: int, size: int) -> None:
    shares = [Fleet(rank, size).share(n) for rank in range(size)]
    rows = [row for share in shares for row in range(share.start, share.stop)]
    assert rows == list(range(n))
    assert all(share.start % 2 == 0 for share in shares)
    sizes = [share.stop - share.start for share in shares]
    assert max(sizes) - min(sizes) <= 3
