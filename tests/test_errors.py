from __future__ import annotations

import pytest

from eyevsai_core import errors
from eyevsai_core.errors import EyevsaiError, did_you_mean

ALL = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_is_an_eyevsai_error_and_says_just_its_message(kind: type[Exception]) -> None:
    assert issubclass(kind, EyevsaiError)
    assert str(kind("what came and what to do")) == "what came and what to do"
    assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.ConfigError, ValueError),
        (errors.UnknownFamilyError, LookupError),
        (errors.MissingDependencyError, ImportError),
        (errors.ModelNotFoundError, LookupError),
        (errors.OutputError, OSError),
    ],
)
def test_errors_are_also_what_a_caller_would_catch(
    kind: type[Exception], builtin: type[Exception]
) -> None:
    assert issubclass(kind, builtin)


def test_the_nearest_name_is_suggested_or_none() -> None:
    assert did_you_mean("shalow", ["shallow", "deep-v1"]) == " Did you mean 'shallow'?"
    assert did_you_mean("zzz", ["shallow"]) == ""
