"""Start the small script in a process forked from one whose libraries are loaded: of 16 s that a start takes, 14 go."""

import gc
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

LIBRARIES = (
    "cleanlab",
    "crowdkit.aggregation",
    "dlt",
    "great_expectations",
    "matplotlib.pyplot",
    "peft",
    "ppi_py",
    "sklearn.linear_model",
    "statsmodels.api",
    "tests.e2e.script",
    "tests.training.registry.preload",
    "tests.training.test_finetune",
    "torch",
    "transformers",
)
"""What a play or a training imports sooner or later; to import it begins no thread that a forked process would miss."""


def processes() -> "multiprocessing.context.ForkServerContext":
    """Return what starts processes with their imports done; a session that asked before has the libraries of then."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LIBRARIES))
    return context


class ForkedPlay:
    """The small script in a forked process: what ``subprocess.Popen`` has, as far as a play needs it."""

    def __init__(self, home: Path, desk: str, *, environment: dict[str, str], said: Path) -> None:
        self._process = processes().Process(target=_play, args=(home, desk, environment, said))
        self._process.start()
        self.pid = self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float) -> None:
        self._process.join(timeout)
        if self._process.is_alive():
            raise subprocess.TimeoutExpired("a forked play", timeout)


def _play(home: Path, desk: str, environment: dict[str, str], said: Path) -> None:
    gc.freeze()
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    with said.open("wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    sys.argv[1:] = [str(home), desk]
    from tests.e2e.script import main

    main()
