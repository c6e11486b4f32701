"""Play the small script in a process of its own, as in a terminal: what it said, how long it took, what it came to."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.forking import ForkedPlay

ROOT = Path(__file__).parents[2]
HANGS_SECONDS = 900.0


@dataclass(frozen=True)
class Ended:
    """How a play ended; ``code`` is below 0 where a signal killed it."""

    code: int
    said: str


class Play:
    """A running play of the small script in ``home``; what it says goes to a file in ``log``, by default beside it.

    It has a process of its own, started anew, or ``forked`` where many plays would only load their libraries again.
    """

    def __init__(self, home: Path, *, desk: str = "fake", log: Path | None = None, forked: bool = False) -> None:
        self.home = home
        self._log = (log or home.parent) / f"play-{time.monotonic_ns()}.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("CXLOOP_", "DAGSTER"))}
        if named := os.environ.get("CXLOOP_LABEL_STUDIO"):
            environment["CXLOOP_LABEL_STUDIO"] = named
        environment["COLUMNS"] = "120"
        if forked:
            self._process = ForkedPlay(home, desk, environment=environment, said=self._log)
            return
        with self._log.open("wb") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.e2e.script", str(home), desk],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_over(self) -> bool:
        return self._process.poll() is not None

    @property
    def holds_home(self) -> bool:
        """Whether it has taken the home's lock, which it does just before it plays."""
        lock = self.home / "run" / "loop.lock"
        return lock.exists() and lock.read_text() == str(self.pid)

    def wait(self, seconds: float = HANGS_SECONDS) -> Ended:
        self._process.wait(seconds)
        return Ended(self._process.returncode, self._log.read_text(encoding="utf-8"))

    def wait_until(self, holds: Callable[[], bool], seconds: float = HANGS_SECONDS) -> None:
        """Return once ``holds()``, or when the play is over."""
        deadline = time.monotonic() + seconds
        while not holds() and not self.is_over:
            assert time.monotonic() < deadline, f"waited {seconds} s in vain"
            time.sleep(0.05)

    def stop(self, number: signal.Signals, seconds: float = 60.0) -> Ended:
        """Signal the whole process group, as Ctrl-C in a terminal does, and wait for the end."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)
        return self.wait(seconds)

    def __enter__(self) -> "Play":
        return self

    def __exit__(self, *_: object) -> None:
        if not self.is_over:
            self.stop(signal.SIGKILL)


def play(home: Path, *, desk: str = "fake", log: Path | None = None, forked: bool = False) -> Ended:
    """Play the script in ``home`` to its end."""
    with Play(home, desk=desk, log=log, forked=forked) as running:
        return running.wait()


def steps_done(home: Path) -> dict[str, float]:
    """Return ``week:phase`` to seconds for the steps that the replay in ``home`` has done, in their order."""
    state = home / "replay.json"
    return json.loads(state.read_text())["seconds"] if state.exists() else {}


def is_finished(home: Path) -> bool:
    """Whether the replay in ``home`` was played to its end."""
    return json.loads((home / "replay.json").read_text())["finished"]
