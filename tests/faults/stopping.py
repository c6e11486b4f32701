"""Stop a play at a drawn instant: by Ctrl-C, by kill -9, or by a disk that fills up under it."""

import errno
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

from tests.e2e.playing import Ended, Play, steps_done

PHASES = ("messages", "history", "retrain", "decide", "agents", "select", "people")
REPORT = "report"
_REPORT_SECONDS = 2.0
_CHUNK = 1 << 16
_DISK_SIZE = "120m"


class How(Enum):
    """What stops a play."""

    CONTROL_C = signal.SIGINT
    KILL = signal.SIGKILL
    FULL_DISK = "full disk"


@dataclass(frozen=True)
class Stop:
    """Stop the play in ``step`` (``week:phase``), after ``share`` of the seconds that the step takes undisturbed."""

    step: str
    share: float
    how: How


@dataclass(frozen=True)
class Stopped:
    """One stop, whether it fell into its step, and how the play ended."""

    stop: Stop
    fell: bool
    ended: Ended


def draw_stops(steps: Sequence[str], ways: Sequence[How], rng: np.random.Generator) -> list[Stop]:
    """Draw one stop in each phase of ``steps`` and one in the report, in the order of play; ``ways`` in any order."""
    chosen = [str(rng.choice([step for step in steps if step.endswith(f":{phase}")])) for phase in PHASES]
    ordered = [*sorted(chosen, key=list(steps).index), REPORT]
    places = rng.permutation(len(ordered))
    return [
        Stop(step, float(rng.uniform(0.1, 0.9)), ways[place % len(ways)])
        for step, place in zip(ordered, places, strict=True)
    ]


def play_until(home: Path, stop: Stop, seconds: Mapping[str, float], *, log: Path) -> Stopped:
    """Play until ``stop`` and wait for the end; ``seconds`` are those of the steps undisturbed.

    A step that ends earlier than it did undisturbed is stopped at its end, so that the stops after it keep their steps.
    """
    steps = [*seconds, REPORT]
    before = set(steps[: steps.index(stop.step)])
    with Play(home, log=log, forked=True) as running:
        running.wait_until(lambda: running.holds_home and before <= steps_done(home).keys())
        takes = seconds.get(stop.step, _REPORT_SECONDS) * _pace(steps_done(home), seconds)
        until = time.monotonic() + stop.share * takes
        running.wait_until(lambda: time.monotonic() >= until or stop.step in steps_done(home))
        fell = stop.step not in steps_done(home) and not running.is_over
        if isinstance(stop.how.value, signal.Signals):
            return Stopped(stop, fell, running.stop(stop.how.value))
        with filled_disk(home):
            return Stopped(stop, fell, running.wait())


def _pace(done: Mapping[str, float], undisturbed: Mapping[str, float]) -> float:
    """Return which part of the undisturbed seconds the steps took that are done, 1 at most: others may use the cores.

    The other play ran at another time; where the machine was busier then, its seconds are too long to stop in a step.
    """
    return min(1.0, sum(done.values()) / sum(undisturbed[step] for step in done)) if done else 1.0


@contextmanager
def filled_disk(home: Path) -> Iterator[None]:
    """Leave no room on the disk of ``home`` for as long as the block lasts."""
    balloon = home.with_name("balloon")
    with balloon.open("wb", buffering=0) as growing:
        try:
            while True:
                growing.write(bytes(_CHUNK))
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017 - any other error is the test's own
    try:
        yield
    finally:
        balloon.unlink()


@contextmanager
def small_disk(folder: Path) -> Iterator[str]:
    """Mount a small disk in memory on ``folder``; yield why that was not possible, empty where it was."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if not mount or not umount:
        yield "there is no mount command"
        return
    command = [mount, "-t", "tmpfs", "-o", f"size={_DISK_SIZE}", "cxloop-test", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        yield "" if mounted.returncode == 0 else mounted.stderr.strip() or f"mount ended with {mounted.returncode}"
    finally:
        if mounted.returncode == 0:
            lazily = "-l"  # a library of this process may still hold a file open
            subprocess.run([umount, lazily, str(folder)], check=True)
