"""What the command says: results on standard output, errors on standard error, never a customer's text."""

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from rich.console import Console

STOPPED: Final = 130
"""The exit code of a command that Ctrl-C stopped, as shells have it."""

_MOMENT: Final = 0.05
"""Seconds after which a Ctrl-C that nothing could raise comes again."""


@contextmanager
def resumable() -> Iterator[None]:
    """Let Ctrl-C end the command with a line on how to go on.

    One that comes while Python runs a weak reference's callback or a finalizer, from where nothing can be raised, comes
    again a moment later.

    Raises:
        typer.Exit: Ctrl-C came.
    """
    before = sys.unraisablehook

    def heed(lost: "sys.UnraisableHookArgs") -> None:
        if isinstance(lost.exc_value, KeyboardInterrupt):
            main = threading.main_thread().ident
            # At once it would come in here, and be lost again.
            threading.Timer(_MOMENT, signal.pthread_kill, (main, signal.SIGINT)).start()
        else:
            before(lost)

    sys.unraisablehook = heed
    try:
        yield
    except KeyboardInterrupt:
        say("Stopped. Nothing is lost: the same command goes on from here.", style="yellow")
        raise typer.Exit(STOPPED) from None
    finally:
        sys.unraisablehook = before


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
