"""The application: which commands there are, and how errors become messages and exit codes."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, TextIO, cast

import typer
from rich.text import Text

import eyevsai_core
from eyevsai_core.cli.console import (
    EXIT_ERROR,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    fail,
    note,
    print_json,
    printable,
)
from eyevsai_core.cli.help import Group, foot, head, parameter_sections, section, write_page
from eyevsai_core.cli.shell import asked_by_shell, set_up_completion
from eyevsai_core.errors import EyevsaiError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["app", "main"]

_COMMANDS = {
    "Learn what there is": {
        "list": "model families: what is ready, what can be installed",
        "install": "install a model family into this environment",
        "data": "data sets: list, look into, check",
    },
    "Make a model": {
        "train": "train, calibrate, verify, evaluate and register a model",
        "lr-find": "try growing learning rates, and say which is a good one",
        "runs": "what was tried, and how it ended",
    },
    "Use a model": {
        "predict": "say what pictures show",
        "explain": "show which part of a picture an answer rests on",
        "evaluate": "measure a model on a data set",
        "export": "write a model, its answers or its report to a file",
        "models": "registered models: list, show, verify, name, remove",
    },
    "When something is wrong": {
        "doctor": "check this installation and say what to do",
    },
}
_NAMES = tuple(name for commands in _COMMANDS.values() for name in commands)
_EXAMPLES = """
eyevsai list
eyevsai train shallow --data doodles
eyevsai predict picture.jpg
"""
# Typer keeps its parser's errors to itself; this is their root, wherever they live.
_UsageError = cast("type[Exception]", typer.BadParameter.__mro__[1])


class _Commands(Group):
    """The root: loads the module of a command when it is called, and answers for its errors."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  the parser's signature
        """Return the names in the order of the help page."""
        return list(_NAMES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002  the parser's signature
        """Load a command from the module of its name."""
        if cmd_name not in _NAMES:
            return None
        return typer.main.get_command(
            import_module(f"eyevsai_core.cli.{cmd_name.replace('-', '_')}").app
        )

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command, or say which one was meant."""
        if args[0] not in _NAMES and not args[0].startswith("-") and not ctx.resilient_parsing:
            ctx.fail(
                f"no command {args[0]!r}; there are {', '.join(_NAMES)}."
                + did_you_mean(args[0], _NAMES)
            )
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the first page that a newcomer sees."""
        groups = [section(title, rows.items()) for title, rows in _COMMANDS.items()]
        options = parameter_sections(self.get_params(ctx))
        hint = Text("eyevsai COMMAND --help says more about each.", style="dim")
        write_page(formatter, [*head(ctx), *groups, *options, *foot(self), Text(), hint])

    def invoke(self, ctx: Any) -> Any:
        """Run the command; Ctrl-C gets a word and the exit code that shells expect."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            note(("interrupted", "yellow"), *(f"; {part}" for part in stop.args))
            raise typer.Exit(EXIT_INTERRUPTED) from stop

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        """Run the program: an error becomes one line and an exit code, a bug keeps its trace."""
        words = list(sys.argv[1:] if args is None else args)
        standalone = options.get("standalone_mode", True)
        options["standalone_mode"] = False
        as_json = "--json" in words
        for stream in (sys.stdout, sys.stderr):
            # A file's name need not be valid text; it must be shown, not end the program.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        try:
            asked_by_shell()
            code = super().main(words, *rest, **options)
            code = code if isinstance(code, int) else EXIT_OK
            sys.stdout.flush()
        except EyevsaiError as error:
            code = fail(error, as_json=as_json)
        except _UsageError as error:
            code = _fail_usage(error, as_json=as_json)
        except typer.Abort:
            note(("aborted", "yellow"))
            code = EXIT_ERROR
        except BrokenPipeError:
            _silence(sys.stdout)
            code = EXIT_ERROR
        return sys.exit(code) if standalone else code


def _silence(stream: TextIO) -> None:
    """Let nothing more be written: the reader has gone, and the last flush must not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _fail_usage(error: Any, *, as_json: bool) -> int:
    """Say what is wrong with the words that were typed."""
    message = error.format_message()
    message = message[:1].lower() + message[1:]
    if hasattr(error, "possibilities"):
        known = [flag for p in error.ctx.command.get_params(error.ctx) for flag in p.opts]
        message = f"no such option: {error.option_name}." + did_you_mean(error.option_name, known)
    if as_json:
        print_json({"error": message, "kind": "UsageError", "exit": EXIT_USAGE})
        return EXIT_USAGE
    note(("error: ", "bold red"), printable(message))
    note((f"see: {error.ctx.command_path} --help", "dim"))
    return EXIT_USAGE


app = typer.Typer(name="eyevsai", cls=_Commands, add_completion=False, rich_markup_mode=None)


@app.callback(invoke_without_command=True, epilog=_EXAMPLES)
def root(
    ctx: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
    install_completion: Annotated[
        bool, typer.Option("--install-completion", help="set up TAB completion for this shell")
    ] = False,
    show_completion: Annotated[
        bool, typer.Option("--show-completion", help="print this shell's completion script")
    ] = False,
) -> None:
    """Train image classifiers of very different kinds, each into one verified ONNX file."""
    if version:
        sys.stdout.write(f"eyevsai {eyevsai_core.__version__}\n")
    elif install_completion or show_completion:
        set_up_completion(install=install_completion)
    elif ctx.invoked_subcommand is None:
        sys.stdout.write(ctx.get_help() + "\n")


def main() -> None:
    """Start the command line: what the console script calls."""
    typer.main.get_command(app)(prog_name="eyevsai")
