from __future__ import annotations

from eyevsai_core.testing import FamilyContract


class TestDeepV2(FamilyContract):
    family = "deep-v2"
    options = {"epochs": 60, "width": 8, "erase": 0.0, "optimizer": "adamw"}  # noqa: RUF012  the contract's ClassVar
