"""Start a program so that it cannot outlive us, wait until its page answers, and find a port for it."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from labeling.errors import ServiceError

LOOPBACK = "127.0.0.1"
GRACE_SECONDS = 10.0
"""How long a program may take to end by itself before it is killed."""


@dataclass(frozen=True)
class Running:
    """One program that we started, under its guard.

    ``url`` is its page, ``log`` the file that holds what it printed.
    """

    name: str
    url: str
    log: Path
    guard: subprocess.Popen[bytes]
    grace_seconds: float = GRACE_SECONDS

    @property
    def is_alive(self) -> bool:
        """Whether the program still runs."""
        return self.guard.poll() is None

    def stop(self) -> None:
        """End the program and everything that it started; return when it is gone. May be called again."""
        if self.guard.stdin:
            with contextlib.suppress(OSError):
                self.guard.stdin.close()
        self.guard.wait(timeout=self.grace_seconds + 30)


def start_program(
    name: str,
    command: Sequence[str],
    *,
    url: str,
    log: Path,
    folder: Path,
    env: Mapping[str, str],
    grace_seconds: float = GRACE_SECONDS,
) -> Running:
    """Start ``command`` under a guard that ends it when this process ends, whichever way that happens.

    Args:
        name: what people call it, for messages.
        command: the program and its arguments.
        url: the page that it will serve.
        log: where its output goes; overwritten.
        folder: its working folder.
        env: what is added to this process's environment.
        grace_seconds: how long it may take to end by itself (>= 0) before it is killed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        guard = subprocess.Popen(
            [sys.executable, "-P", "-m", "pipelines.guard", str(grace_seconds), *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **env},
            start_new_session=True,
        )
    return Running(name, url, log, guard, grace_seconds)


def wait_until_answering(program: Running, path: str, *, seconds: float) -> None:
    """Return when ``program`` answers ``path`` with 200.

    Raises:
        ServiceError: it ended, or did not answer within ``seconds``; names its log.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not program.is_alive:
            raise ServiceError(
                f"{program.name} was needed at {program.url}, but it ended with code {program.guard.returncode}: "
                f"read {program.log}"
            )
        if is_answering(program.url + path):
            return
        time.sleep(0.2)
    raise ServiceError(
        f"{program.name} did not answer at {program.url} within {seconds:.0f} seconds: read {program.log}"
    )


def is_answering(url: str) -> bool:
    """Return whether ``url`` answers with a page."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own http address
            return answer.status == 200
    except (OSError, HTTPException, ValueError):  # a port that nobody has may connect to itself, and echo the question
        return False


def find_port(wanted: int, *, taken: Sequence[int] = ()) -> int:
    """Return ``wanted`` where nothing listens there, else the next free port of loopback.

    ``taken`` are ports that were promised to others and are not listened on yet.
    """
    for port in range(wanted, min(wanted + 50, 65536)):
        if port not in taken and is_free(port):
            return port
    with socket.socket() as anywhere:
        anywhere.bind((LOOPBACK, 0))
        return anywhere.getsockname()[1]


def is_free(port: int) -> bool:
    """Return whether nothing listens on ``port`` of this machine, on loopback or on every address."""
    for address in (LOOPBACK, "0.0.0.0"):  # noqa: S104 - bound for an instant to see whether it can be
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True
