"""What the command says: results on standard output, errors on standard error, never a customer's text."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from rich.console import Console

STOPPED: Final = 130
"""The exit code of a command that Ctrl-C stopped, as shells have it."""


@contextmanager
def resumable() -> Iterator[None]:
    """Let Ctrl-C end the command with a line on how to go on.

    Raises:
        typer.Exit: Ctrl-C came.
    """
    try:
        yield
    except KeyboardInterrupt:
        say("Stopped. Nothing is lost: the same command goes on from here.", style="yellow")
        raise typer.Exit(STOPPED) from None


def console(*, stderr: bool = False) -> "Console":
    """Return a console that writes plain text where the output is not a terminal."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def say(message: str = "", *, style: str = "") -> None:
    """Print one line of result; square brackets in it are text."""
    console().print(message, style=style or None, markup=False)


def say_error(message: str) -> None:
    """Print one red message to standard error."""
    console(stderr=True).print(f"error: {message}", style="red", markup=False)


def say_next(*steps: str) -> None:
    """Print what a person would do next, one command or sentence a line."""
    printer = console()
    printer.print()
    for number, step in enumerate(steps):
        printer.print("Next: " if number == 0 else "  or: ", style="bold", end="")
        printer.print(step, markup=False)


def _spell_out(text: str) -> str:
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def say_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print ``rows`` under ``columns``; cells are text, never markup; what would steer a terminal is spelled out."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*(Text(_spell_out(cell)) for cell in row))
    console().print(table)
