from __future__ import annotations

from eyevsai_core.testing import FamilyContract


class TestDeepV2(FamilyContract):
    family = "deep-v2"
    time_limit_s = 60.0  # most of a training this short is PyTorch's exporter
    options = {"epochs": 60, "width": 8, "erase": 0.0, "optimizer": "adamw"}  # noqa: RUF012  the contract's ClassVar
