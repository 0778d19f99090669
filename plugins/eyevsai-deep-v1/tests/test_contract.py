from __future__ import annotations

from eyevsai_core.testing import FamilyContract


class TestDeepV1(FamilyContract):
    family = "deep-v1"
    time_limit_s = 60.0  # most of a training this short is PyTorch's exporter
    options = {"epochs": 12, "width": 8}  # noqa: RUF012  the contract's ClassVar
