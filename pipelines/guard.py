"""Run one command for as long as the process that asked for it lives, and leave nothing of it behind.

``python -m pipelines.guard SECONDS COMMAND…`` starts the command in a session of its own and watches its own standard
input, whose other end the asking process holds: when that end closes, however the process ended (Ctrl-C, an error,
``kill -9``), the command and everything that it started get SIGTERM, and SIGKILL after SECONDS.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterable

import psutil

_PR_SET_CHILD_SUBREAPER = 36


def main(arguments: list[str]) -> int:
    """Guard the command in ``arguments[1:]``; return its exit code, or 0 where it was stopped."""
    grace, command = float(arguments[0]), arguments[1:]
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    _adopt_orphans()
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_restore_signals,  # noqa: PLW1509
    ) as child:
        ended_alone = _wait_for_end(child)
        _end_everything(grace)
        return child.wait() if ended_alone else 0


def _restore_signals() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_DFL)


def _adopt_orphans() -> None:
    """On Linux, become the parent of every descendant whose own parent ends, so that it can be found and ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _wait_for_end(child: subprocess.Popen[bytes]) -> bool:
    """Wait until the child ends (true) or the asking process closes our standard input (false)."""
    while child.poll() is None:
        readable, _, _ = select.select([0], [], [], 0.2)
        if readable and not os.read(0, 4096):
            return False
    return True


def _end_everything(grace: float) -> None:
    _signal(_descendants(), signal.SIGTERM)
    _, alive = psutil.wait_procs(_descendants(), timeout=grace)
    while alive:
        _signal(alive, signal.SIGKILL)
        psutil.wait_procs(alive, timeout=5)
        alive = [process for process in _descendants() if process.status() != psutil.STATUS_ZOMBIE]


def _descendants() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _signal(processes: Iterable[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
