"""Tell a replay as it plays: a spinner while a phase runs, one line when it is done."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status

_SAID = {
    "messages": "messages come in",
    "history": "labels from before come along",
    "agents": "agents correct and take over",
    "select": "doubtful cases go to people",
    "people": "people read and answer",
    "retrain": "models are trained and judged",
    "decide": "a reviewer decides",
}


class ConsoleNarrator:
    """Writes to the terminal; lines of a phase appear under it when it is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._told: list[str] = []

    @contextmanager
    def phase(self, week: int, name: str) -> Iterator[None]:
        """Show that a phase runs; print its line and time when it has ended."""
        begun, self._told = time.monotonic(), []
        title = f"week {week} · {_SAID.get(name, name)}"
        with self._console.status(title) as self._status, _forwarded(self._status, title):
            yield
        self._status = None
        self._console.print(
            f"[green]✓[/green] {title:<42} {time.monotonic() - begun:6.1f} s  [dim]{self._ending()}[/dim]"
        )

    def tell(self, message: str) -> None:
        """Keep one line for the end of the phase, and show it beside the spinner until then."""
        self._told.append(message)
        if self._status:
            self._status.update(message)

    def _ending(self) -> str:
        return self._told[-1] if self._told else ""


class _StatusHandler(logging.Handler):
    """Shows what an asset logs beside the spinner."""

    def __init__(self, status: Status, title: str) -> None:
        super().__init__(logging.INFO)
        self._status, self._title = status, title

    def emit(self, record: logging.LogRecord) -> None:
        """Show the message of one record."""
        self._status.update(f"{self._title} · {record.getMessage().splitlines()[0][:80]}")


@contextmanager
def _forwarded(status: Status, title: str) -> Iterator[None]:
    handler, logger = _StatusHandler(status, title), logging.getLogger("cxloop.progress")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
