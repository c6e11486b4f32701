"""``cxloop up``: every page over one home, until Ctrl-C."""

import signal
import time
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING

from pipelines.commands.options import HomeOption, open_home

if TYPE_CHECKING:
    from pipelines.services import Services


def up(home: HomeOption = None) -> None:
    """Serve Dagster's, MLflow's and Label Studio's pages on this machine, until Ctrl-C.

    Each page says who uses it. Everything listens on loopback only; a busy port gives way to the next free one. All
    that was started is stopped on the way out, even where this command is killed.
    """
    from assets.settings import load_settings
    from pipelines.services import serve
    from pipelines.terminal import say

    folder = open_home(home)
    settings = load_settings(folder.configs)
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, _interrupt)
    try:
        with serve(folder, settings, now=datetime.now(UTC), tell=_tell) as services:
            _show(services)
            _watch(services)
    except KeyboardInterrupt:
        say("Everything that was started has stopped.")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _tell(line: str) -> None:
    from pipelines.terminal import say

    say(f"  {line}", style="dim")


def _show(services: "Services") -> None:
    from pipelines.terminal import say, say_next

    say()
    for page in services.pages:
        say(f"{page.name:<13} {page.url}", style="bold")
        say(f"{'':<13} {page.who}" + (f"; sign in with {page.sign_in}" if page.sign_in else ""))
    say_next("open a page, or see in another terminal what waits with `cxloop status`", "Ctrl-C stops everything")


def _watch(services: "Services") -> None:
    """Wait for Ctrl-C; say it once where a program ends by itself."""
    from pipelines.terminal import say_error

    told: set[str] = set()
    while True:
        time.sleep(1)
        for name, log in services.find_ended().items():
            if name not in told:
                told.add(name)
                say_error(f"{name} ended by itself, the others go on: read {log}, then start again")
