"""The options of a model family, as options of `eyevsai train`.

A family declares its options once, in its config. Here they become options of the parser, when
the family is named on the command line, and a table on the help page.
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from eyevsai_core.cli.console import table
from eyevsai_core.cli.help import (
    Command,
    foot,
    head,
    indented,
    parameter_sections,
    section,
    write_page,
)
from eyevsai_core.errors import ConfigError, EyevsaiError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from eyevsai_core.config import OptionSpec
    from eyevsai_core.family import ModelFamily

__all__ = ["FAMILY_VALUES", "TrainCommand", "collect_options"]

FAMILY_VALUES = "eyevsai.family_values"
_LAST = "last"


class TrainCommand(Command):
    """`train`: knows the options of the family that is named, and a ``--resume`` without a run."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Begin without a family."""
        super().__init__(*arguments, **options)
        self._model = ""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Add the options of the family that the words name, then parse them."""
        self._model = self._named_model(args)
        family = self._family(ctx)
        added: list[Any] = []
        if family:
            taken = {name for parameter in self.params for name in parameter.opts}
            added = _parameters(family, taken)
            self.params = [*self.params, *added]
        rest = super().parse_args(ctx, _with_last(args))
        # The function of the command does not know these names: they travel beside it.
        ctx.meta[FAMILY_VALUES] = {p.name: ctx.params.pop(p.name, None) for p in added}
        return rest

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help page, with the family's own options in a table."""
        family = self._family(ctx)
        own = [p for p in self.params if p.name not in _names(family)]
        shown = [*own, self.get_help_option(ctx)]
        write_page(
            formatter,
            [
                *head(ctx),
                *parameter_sections(shown),
                *(_family_part(family, self._model) if family else _families_part()),
                *foot(self),
            ],
        )

    def _family(self, ctx: Any) -> ModelFamily | None:
        """Return the family that was named. Raises `UnknownFamilyError`, not while completing."""
        if not self._model:
            return None
        if ctx.resilient_parsing:
            return _installed(self._model)
        from eyevsai_core.families import parse_model_name

        return parse_model_name(self._model)[0]

    def _named_model(self, args: Sequence[str]) -> str:
        """Find the word that names a model: the first that is no option and no option's value."""
        with_value = {
            name
            for parameter in self.params
            if parameter.param_type_name == "option" and not parameter.is_flag  # type: ignore[attr-defined]
            for name in parameter.opts
        }
        plain = []
        skip = False
        for word in args:
            if not skip and not word.startswith("-"):
                plain.append(word)
            skip = not skip and word in with_value
        # The value of a family's own option looks like a model too, until the family is known.
        words = [word for word in plain if _installed(word)] or [
            word for word in plain if not word[0].isdigit()
        ]
        return words[0] if words else ""


def collect_options(
    family: ModelFamily,
    values: dict[str, Any],
    pairs: Sequence[str],
    file: Path | None,
) -> dict[str, Any]:
    """Return the options that were given: in a TOML file, as ``-o name=value``, as ``--name``.

    The later of these wins. `values` are the parsed words. Raises `ConfigError`.
    """
    typed = []
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise ConfigError(f"-o takes name=value, but got {pair!r}; such as -o image_size=64")
        typed.append((name.strip(), text.strip()))
    given = [(name, str(value)) for name, value in values.items() if value is not None]
    read = family.config.read_toml(file) if file else {}
    return {**read, **family.config.parse_options(typed + given)}


def _installed(model: str) -> ModelFamily | None:
    """Return the family that a word names; none if it names none that is installed."""
    from eyevsai_core.families import get_family

    with suppress(EyevsaiError):
        return get_family(model.partition("/")[0])
    return None


def _names(family: ModelFamily | None) -> set[str]:
    return {spec.name for spec in family.config.options()} - {"seed"} if family else set()


def _parameters(family: ModelFamily, taken: set[str]) -> list[Any]:
    """Let Typer make its options from a function with the family's options as parameters."""
    specs = [spec for spec in family.config.options() if spec.flag not in taken]

    def function(**values: Any) -> None:
        """Stand for the command."""

    parameters = [
        inspect.Parameter(
            spec.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(spec)
        )
        for spec in specs
    ]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {spec.name: _annotation(spec) for spec in specs}
    made = typer.Typer(add_completion=False)
    made.command()(function)
    return list(typer.main.get_command(made).params)


def _annotation(spec: OptionSpec) -> Any:
    """Return the annotation that Typer reads; values stay text, the family's config checks them."""
    if spec.type is bool:
        flags = f"{spec.flag}/--no-{spec.flag.removeprefix('--')}"
        return Annotated[bool | None, typer.Option(flags, help=spec.help)]

    def choices(incomplete: str) -> list[str]:
        return [str(c) for c in spec.choices if str(c).startswith(incomplete)]

    return Annotated[
        str | None,
        typer.Option(spec.flag, help=spec.help, autocompletion=choices if spec.choices else None),
    ]


def _with_last(args: Sequence[str]) -> list[str]:
    """Give a ``--resume`` that names no run the word for the last one."""
    words = list(args)
    for place, word in enumerate(words):
        following = words[place + 1] if place + 1 < len(words) else "-"
        if word == "--resume" and following.startswith("-"):
            words.insert(place + 1, _LAST)
            break
    return words


def _family_part(family: ModelFamily, model: str) -> list[RenderableType]:
    """Draw the family's options as a table, with the variant's defaults."""
    wanted = model.partition("/")[2]
    variant = family.variant(wanted or None)
    defaults = family.make_config(variant.name).to_dict()
    rows = table("option", "values", "default", "")
    for spec in family.config.options():
        if spec.name == "seed":
            continue
        flag = f"--[no-]{spec.flag[2:]}" if spec.type is bool else spec.flag
        rows.add_row(
            Text(flag, "cyan", no_wrap=True),
            Text(_values(spec), "yellow"),
            _plain(defaults[spec.name]),
            spec.help,
        )
    variants = [(f"{family.name}/{each.name}", each.summary) for each in family.variants]
    return [
        Text(f"Options of {family.name}/{variant.name}", style="bold"),
        indented(rows),
        Text(),
        section("Variants", variants),
    ]


def _families_part() -> list[RenderableType]:
    hint = "Every family has options of its own; see them with: eyevsai train FAMILY --help"
    return [Text(hint, style="dim"), Text()]


def _values(spec: OptionSpec) -> str:
    if spec.choices:
        text = ", ".join(map(str, spec.choices))
    elif spec.type is bool:
        text = "yes, no"
    elif spec.low is not None and spec.high is not None:
        text = f"{_number(spec.low)} to {_number(spec.high)} {spec.unit}".strip()
    else:
        text = f"{spec.range_text.removesuffix(', or none')} {spec.unit}".strip()
    return f"{text} or none" if spec.optional else text


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:g}"


def _plain(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return _number(value) if isinstance(value, float) else str(value)
