from __future__ import annotations

from eyevsai_core.testing import FamilyContract


class TestShallow(FamilyContract):
    family = "shallow"
    options = {"n_estimators": 20}  # noqa: RUF012  the contract's ClassVar
