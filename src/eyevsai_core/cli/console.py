"""How the command line speaks: results on stdout, everything else on stderr, errors, exit codes."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.console import Group as Lines
from rich.table import Table
from rich.text import Text

from eyevsai_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.console import RenderableType

    from eyevsai_core.errors import EyevsaiError

__all__ = [
    "EXIT_ERROR",
    "EXIT_INTERRUPTED",
    "EXIT_OK",
    "EXIT_USAGE",
    "SPLITS",
    "bar",
    "bytes_text",
    "err",
    "facts",
    "fail",
    "grid",
    "interval_text",
    "note",
    "out",
    "print_json",
    "printable",
    "say",
    "seconds_text",
    "show",
    "status_text",
    "table",
    "value_text",
]

EXIT_OK, EXIT_ERROR, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130
SPLITS = ("train", "validation", "calibration", "test")
_PIPE_WIDTH = 160
_STATES = {
    "ok": "green",
    "ready": "green",
    "running": "cyan",
    "killed": "yellow",
    "missing": "yellow",
    "skipped": "yellow",
    "warn": "yellow",
    "broken": "red",
    "damaged": "red",
    "fail": "red",
    "failed": "red",
}


def out() -> Console:
    """Return the console of results: stdout. In a pipe rows are not folded at 80 columns.

    Made anew each time, so that a replaced ``sys.stdout`` is seen.
    """
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return Console(width=width, markup=False, highlight=False, emoji=False)


def err() -> Console:
    """Return the console of everything that is no result: stderr."""
    return Console(stderr=True, markup=False, highlight=False, emoji=False)


def printable(text: object) -> str:
    r"""Return `text` with control characters spelled out: a file's name must not steer a terminal.

    >>> printable("a\x1b[31m")
    'a\\x1b[31m'
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode()
        for c in str(text)
    )


def show(*parts: RenderableType) -> None:
    """Print tables and other blocks of results; in a pipe, without spaces at the ends of lines."""
    console = out()
    if console.is_terminal:
        console.print(Lines(*parts))
        return
    with console.capture() as page:
        console.print(Lines(*parts))
    sys.stdout.write("".join(line.rstrip() + "\n" for line in page.get().splitlines()))


def say(*parts: str | Text | tuple[str, str]) -> None:
    """Print one line of results; the terminal folds it, so that it copies well."""
    out().print(Text.assemble(*parts), soft_wrap=True)


def note(*parts: str | Text | tuple[str, str]) -> None:
    """Print one line that is no result, such as a hint, on stderr."""
    err().print(Text.assemble(*parts), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout; paths and other objects as their text."""
    # A terminal or pipe that is not UTF-8 gets escapes, which every JSON reader understands.
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, indent=2, ensure_ascii=not utf8, default=str, allow_nan=False)
    sys.stdout.write(text + "\n")


def fail(error: EyevsaiError, *, as_json: bool) -> int:
    """Print an error as one line, or as JSON, and return the exit code."""
    code = EXIT_USAGE if isinstance(error, ConfigError) else EXIT_ERROR
    if as_json:
        print_json({"error": str(error), "kind": type(error).__name__, "exit": code})
    else:
        note(("error: ", "bold red"), printable(error))
    return code


def table(*columns: str, right: Iterable[str] = (), whole: Iterable[str] = ()) -> Table:
    """Return an empty table in the house style.

    The columns named in `right` hold numbers; those in `whole` are not folded while others can be.
    """
    made = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 3, 0, 0))
    numbers, kept = set(right), set(whole)
    for name in columns:
        made.add_column(
            name,
            justify="right" if name in numbers else "left",
            no_wrap=name in numbers or name in kept,
            overflow="fold",
        )
    return made


def grid(*, first: int | None = None) -> Table:
    """Return a table of two columns without headings: a name, `first` wide, and what it means."""
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True, min_width=first)
    made.add_column(overflow="fold")
    return made


def facts(values: Mapping[str, Any]) -> Table:
    """Return a grid of names and values; what is empty is left out."""
    made = grid()
    for name, value in values.items():
        if value not in ("", None):
            made.add_row(name, value if isinstance(value, Text) else printable(value))
    return made


def status_text(state: str) -> Text:
    """Return a state's word in its colour."""
    return Text(state, style=_STATES.get(state, ""))


def bar(share: float, *, width: int = 20, style: str = "cyan") -> Text:
    """Return a bar that is `share` (0-1) full, in eighths of a character."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    whole, part = divmod(eighths, 8)
    body = "█" * whole + (" ▏▎▍▌▋▊▉"[part] if part else "")
    return Text(body.ljust(width), style=style)


def interval_text(interval: Any, *, percent: bool = False) -> Text:
    """Return a metric with its interval: ``87.3 %  (85.1 to 89.4, n = 300)``."""
    scale, digits = (100, 1) if percent else (1, 3)
    value, low, high = (
        f"{x * scale:.{digits}f}" for x in (interval.value, interval.low, interval.high)
    )
    unit = " %" if percent else ""
    return Text.assemble((value + unit, "bold"), (f"  ({low} to {high}, n = {interval.n})", "dim"))


def seconds_text(seconds: float) -> str:
    """Return a duration to read: ``0.8 s``, ``3 min 05 s``, ``2 h 07 min``.

    >>> [seconds_text(s) for s in (0.84, 12.3, 185, 7620)]
    ['0.8 s', '12 s', '3 min 05 s', '2 h 07 min']
    """
    if seconds < 10:  # noqa: PLR2004  below ten, tenths tell something
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def value_text(value: object) -> str:
    """Return an option's value as a user writes it: ``none``, ``true``, ``0.5``, ``rbf``."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return printable(value)


def bytes_text(size: float) -> str:
    """Return a file's size to read.

    >>> [bytes_text(n) for n in (512, 2_500_000, 7e9)]
    ['512 B', '2.5 MB', '7.0 GB']
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004  SI units
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
