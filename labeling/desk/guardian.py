"""Run one program and end it once whoever asked for it is gone, even by ``kill -9``.

Started as a script, by path: it needs nothing but the standard library. Usage:
``python guardian.py PARENT_PID PID_FILE PROGRAM [ARGUMENT…]``. It writes the program's process id to PID_FILE and ends
with the program's exit code. SIGTERM ends the program first.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

_LOOK_EVERY_SECONDS = 0.3
_PATIENCE_SECONDS = 8.0
_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Run the program named by ``arguments`` and return its exit code."""
    parent, pid_file, *command = arguments
    asked_to_stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked_to_stop.append(number))
    program = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent)  # noqa: PLW1509
    _write(Path(pid_file), program.pid)
    while program.poll() is None:
        if asked_to_stop or os.getppid() != int(parent):
            _end(program)
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.wait(_LOOK_EVERY_SECONDS)
    return program.returncode


def _die_with_parent() -> None:
    """Have the kernel kill the program where this guardian itself is killed (Linux; elsewhere it stays)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _write(path: Path, pid: int) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(str(pid))
    draft.replace(path)


def _end(program: "subprocess.Popen[bytes]") -> None:
    program.terminate()
    try:
        program.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
