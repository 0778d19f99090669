"""Hyperparameters: frozen dataclasses whose fields carry help, unit, range and search range.

A family declares its options once; the command line's `--help`, the checks, the files
(`--config`), the model card and the search space are all read from the same fields.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
import types
import typing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from eyevsai_core.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["OptionSpec", "Search", "TrainConfig", "option"]

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_NONE = frozenset({"none", "auto", ""})


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Where tuning looks for a value: a range (`low`..`high`, `log` scale) or `choices`."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionSpec:
    """What is known about one option: what `--help` shows and the checks use."""

    name: str
    type: type
    default: Any
    optional: bool
    help: str
    unit: str
    low: float | None
    high: float | None
    choices: tuple[Any, ...]
    search: Search | None

    @property
    def flag(self) -> str:
        """The command-line spelling, such as ``--batch-size``."""
        return "--" + self.name.replace("_", "-")

    @property
    def range_text(self) -> str:
        """The allowed values in words, such as ``0..1`` or ``one of linear, rbf``."""
        if self.choices:
            text = "one of " + ", ".join(str(choice) for choice in self.choices)
        elif self.low is not None and self.high is not None:
            text = f"{self.low:g}..{self.high:g}"
        elif self.low is not None:
            text = f"at least {self.low:g}"
        elif self.high is not None:
            text = f"at most {self.high:g}"
        else:
            text = {bool: "true or false", str: "text"}.get(self.type, "any number")
        return text + (", or none" if self.optional else "")

    def parse(self, text: str) -> Any:
        """Turn what a user typed into this option's type and check it."""
        lowered = text.strip().lower()
        if self.optional and lowered in _NONE:
            return None
        try:
            if self.type is bool:
                if lowered not in _TRUE | _FALSE:
                    raise ValueError(text)
                return lowered in _TRUE
            value = self.type(text)
        except ValueError as error:
            raise self._error(text) from error
        self.check(value)
        return value

    def check(self, value: Any) -> None:
        """Raise `ConfigError` unless `value` has this option's type and lies in its range."""
        if value is None and self.optional:
            return
        wanted = (int, float) if self.type is float else (self.type,)
        if not isinstance(value, wanted) or (isinstance(value, bool) and self.type is not bool):
            raise self._error(value)
        if self.choices and value not in self.choices:
            raise self._error(value, did_you_mean(str(value), map(str, self.choices)))
        if isinstance(value, int | float) and self.type is not bool:
            # `not (low <= value)` rather than `value < low`: a NaN must not pass.
            too_low = self.low is not None and not value >= self.low
            too_high = self.high is not None and not value <= self.high
            if too_low or too_high or not math.isfinite(value):
                raise self._error(value)

    def _error(self, value: Any, hint: str = "") -> ConfigError:
        unit = f" {self.unit}" if self.unit else ""
        return ConfigError(
            f"option {self.name!r} must be {self.type.__name__}{unit} ({self.range_text}), "
            f"but got {value!r}.{hint}"
        )


def option(
    default: Any,
    *,
    help: str,  # noqa: A002  the field's word, read as option(help=...)
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] = (),
    search: Search | None = None,
) -> Any:
    """Declare one option of a `TrainConfig` with its default, help, unit and allowed range."""
    metadata = {
        "help": help,
        "unit": unit,
        "low": low,
        "high": high,
        "choices": choices,
        "search": search,
    }
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Base of every family's hyperparameters; subclass it as a frozen dataclass.

    Each field's annotation is one of bool, int, float, str, or one of them with ``| None``.
    """

    seed: int = option(0, help="seed of every random choice", low=0, high=2**31 - 1)
    image_size: int | None = option(
        None,
        help="side of the square that pictures are resized to; none: chosen from the pictures",
        unit="pixels",
        low=8,
        high=1024,
    )

    def __post_init__(self) -> None:
        """Check every field against its type and range."""
        for spec in self.options():
            spec.check(getattr(self, spec.name))

    @classmethod
    def options(cls) -> tuple[OptionSpec, ...]:
        """Return the specification of every option, in the order of declaration."""
        hints = typing.get_type_hints(cls)
        return tuple(_spec(item, hints[item.name]) for item in dataclasses.fields(cls))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a config from plain values; unknown names are refused with a suggestion."""
        known = {spec.name: spec for spec in cls.options()}
        for name, value in values.items():
            if name not in known:
                raise ConfigError(
                    f"unknown option {name!r}; known: {', '.join(known)}."
                    + did_you_mean(name, known)
                )
            known[name].check(value)
        return cls(**values)

    @classmethod
    def parse_options(cls, pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """Turn (name, text) pairs as typed by a user into checked values by field name."""
        known = {spec.name: spec for spec in cls.options()}
        values: dict[str, Any] = {}
        for typed, text in pairs:
            name = typed.replace("-", "_")
            if name not in known:
                raise ConfigError(
                    f"unknown option {typed!r}; known: {', '.join(known)}."
                    + did_you_mean(name, known)
                )
            values[name] = known[name].parse(text)
        return values

    @classmethod
    def read_toml(cls, path: Path) -> dict[str, Any]:
        """Read checked values from a TOML file of ``name = value`` lines.

        TOML has no null: write ``name = "none"`` for an option that may be none.
        """
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"cannot read config file {str(path)!r}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"config file {str(path)!r} is not valid TOML: {error}") from error
        known = {spec.name: spec for spec in cls.options()}
        optional_none = {
            name: None
            for name, value in table.items()
            if name in known and known[name].optional and value in ("none", "auto")
        }
        values = {**table, **optional_none}
        cls.from_dict(values)
        return values

    def to_dict(self) -> dict[str, Any]:
        """Return the values by field name; all of them are JSON types."""
        return {spec.name: getattr(self, spec.name) for spec in self.options()}

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some options changed, checked like any other config."""
        return self.from_dict({**self.to_dict(), **changes})


def _spec(item: dataclasses.Field[Any], hint: Any) -> OptionSpec:
    union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    members = typing.get_args(hint) if union else (hint,)
    optional = type(None) in members
    kinds = [kind for kind in members if kind is not type(None)]
    if len(kinds) != 1 or kinds[0] not in (bool, int, float, str):
        raise ConfigError(
            f"option {item.name!r} must be annotated bool, int, float or str (or one of them "
            f"| None), but is annotated {hint!r}"
        )
    meta = {"help": "", "unit": "", "low": None, "high": None, "choices": (), "search": None}
    return OptionSpec(
        name=item.name,
        type=kinds[0],
        default=item.default,
        optional=optional,
        **{**meta, **item.metadata},
    )
