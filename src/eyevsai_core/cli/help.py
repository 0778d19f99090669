"""Help pages: one renderer for every command, without what makes Typer's own slow to load.

Typer's pages render Markdown and tracebacks, which costs as much time as the rest of the start.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from rich.console import Group as Lines
from rich.padding import Padding
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from eyevsai_core.cli.console import grid, out

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import RenderableType

__all__ = [
    "Command",
    "Group",
    "foot",
    "head",
    "indented",
    "parameter_sections",
    "section",
    "usage_line",
    "write_page",
]

_FIRST = 20


class _QuickHelp:
    """A `--help` that costs nothing when it is not asked for."""

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option. Without a default its value would go through pydantic.

        Loading that takes as long as the whole rest of the start.
        """
        option = super().get_help_option(ctx)  # type: ignore[misc]  # a mixin of Typer's classes
        option.default = False
        option.help = "show this page"
        return option


class Command(_QuickHelp, TyperCommand):
    """A command whose `epilog` holds examples, one a line."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help page."""
        write_page(formatter, [*head(ctx), *parameter_sections(self.get_params(ctx)), *foot(self)])


class Group(_QuickHelp, TyperGroup):
    """A group of commands; alone, it prints its help page."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, or print the help page when there is nothing to parse."""
        if not args and not ctx.resilient_parsing and not self.invoke_without_command:
            sys.stdout.write(ctx.get_help() + "\n")
            ctx.exit()
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help page."""
        rows = [
            (name, command.get_short_help_str(limit=200))
            for name in self.list_commands(ctx)
            if (command := self.get_command(ctx, name))
        ]
        sections = [section("Commands", rows), *parameter_sections(self.get_params(ctx))]
        write_page(formatter, [*head(ctx), *sections, *foot(self)])


def indented(*parts: RenderableType) -> RenderableType:
    """Return the parts two columns further right."""
    return Padding(Lines(*parts), (0, 0, 0, 2), expand=False)


def write_page(formatter: Any, parts: Sequence[RenderableType]) -> None:
    """Render the parts for the terminal and hand the text to the formatter, which prints it."""
    console = out()
    with console.capture() as page:
        console.print(Lines(*parts))
    lines = [line.rstrip() for line in page.get().splitlines()]
    formatter.write("\n".join(lines).rstrip("\n") + "\n")


def usage_line(ctx: Any) -> str:
    """Return how a command is called, such as ``eyevsai evaluate MODEL [OPTIONS]``."""
    names = [
        parameter.metavar or parameter.name.upper()
        for parameter in ctx.command.get_params(ctx)
        if parameter.param_type_name == "argument"
    ]
    if isinstance(ctx.command, TyperGroup):
        names.append("COMMAND")
    return " ".join([ctx.command_path, *names, "[OPTIONS]"])


def head(ctx: Any) -> list[RenderableType]:
    """Return usage and description."""
    text = ctx.command.help or ""
    return [
        Text.assemble(("usage: ", "dim"), (usage_line(ctx), "bold")),
        Text(),
        indented(Text("\n".join(_paragraphs(text)))),
        Text(),
    ]


def foot(command: Any) -> list[RenderableType]:
    """Return the examples of a command."""
    lines = [line.strip() for line in (command.epilog or "").splitlines() if line.strip()]
    if not lines:
        return []  # a command whose usage says it all
    examples = [Text.assemble(("$ ", "dim"), line) for line in lines]
    return [Text("Examples", style="bold"), indented(*examples)]


def parameter_sections(parameters: Iterable[Any]) -> list[RenderableType]:
    """Return a section of arguments and one of options."""
    shown = [p for p in parameters if not getattr(p, "hidden", False)]
    arguments = [(_argument(p), p.help or "") for p in shown if p.param_type_name == "argument"]
    options = [(_flags(p), _explained(p)) for p in shown if p.param_type_name == "option"]
    return [
        part
        for title, rows in (("Arguments", arguments), ("Options", options))
        if rows
        for part in (section(title, rows),)
    ]


def section(title: str, rows: Iterable[tuple[str | Text, str | Text]]) -> RenderableType:
    """Return a titled list of names and what they mean, with an empty line after it."""
    made = grid(first=_FIRST)
    made.columns[0].style = ""
    for name, meaning in rows:
        made.add_row(Text(name, "cyan") if isinstance(name, str) else name, meaning)
    return Lines(Text(title, style="bold"), indented(made), Text())


def _paragraphs(text: str) -> list[str]:
    """Join the lines of each paragraph; lines that are indented stay as they are."""
    blocks = text.strip().split("\n\n")
    lines: list[str] = []
    for block in blocks:
        kept = block.startswith(" ")
        lines += [*(block.splitlines() if kept else [" ".join(block.split())]), ""]
    return lines[:-1]


def _argument(parameter: Any) -> Text:
    return Text(parameter.metavar or parameter.name.upper(), style="cyan")


def _flags(parameter: Any) -> Text:
    names = [*parameter.opts, *parameter.secondary_opts]
    names.sort(key=lambda name: name.startswith("--"))
    text = Text(", ".join(names), style="cyan")
    if not parameter.is_flag and not getattr(parameter, "count", False):
        text.append(f" {parameter.metavar or parameter.name.upper()}", style="yellow")
    return text


def _explained(parameter: Any) -> Text:
    text = Text(parameter.help or "")
    if parameter.show_default and parameter.default not in (None, False, True, (), [], ""):
        text.append(f" (default: {parameter.default})", style="dim")
    return text
