"""A real Label Studio for tests: one migrated template a machine and version, one copy of it a session."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labeling.desk.server import RunningServer, find_label_studio, start_server
from labeling.errors import DeskNotInstalled

TOKEN = "0123456789abcdef" * 2 + "01234567"
PASSWORD = "only-for-tests-8c1f"

_LEFT_BEHIND = ("server.lock", "server.pid", "server.json", "server.log")


@pytest.fixture(scope="session")
def label_studio_program() -> Path:
    """The program; the tests that need it are skipped where it is not installed."""
    try:
        return find_label_studio()
    except DeskNotInstalled as error:
        pytest.skip(f"no Label Studio: {error}")


@pytest.fixture(scope="session")
def label_studio_template(label_studio_program: Path) -> Path:
    """A data folder that was migrated once; kept between sessions, made anew when the program changes."""
    program = label_studio_program.resolve().stat()
    root = Path(tempfile.gettempdir()) / f"cxloop-tests-{os.getuid()}"
    template = root / f"label-studio-{program.st_ino}-{program.st_mtime_ns}"
    root.mkdir(mode=0o700, exist_ok=True)
    with (root / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (template / "ready").exists():
            shutil.rmtree(template, ignore_errors=True)
            start_server(template, token=TOKEN, password=PASSWORD, program=label_studio_program).stop()
            (template / "ready").touch()
    return template


@pytest.fixture(scope="session")
def fresh_label_studio(label_studio_template: Path) -> Callable[[Path], Path]:
    """Return a function that makes ``folder`` a migrated data folder of its own, quick to start a server over."""

    def copy(folder: Path) -> Path:
        shutil.copytree(label_studio_template, folder, ignore=shutil.ignore_patterns("ready", *_LEFT_BEHIND))
        return folder

    return copy


@pytest.fixture(scope="session")
def label_studio(
    fresh_label_studio: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """One running server, shared by the session: make a project of your own in it, and leave it running."""
    folder = fresh_label_studio(tmp_path_factory.mktemp("label-studio") / "data")
    with start_server(folder, token=TOKEN, password=PASSWORD) as server:
        yield server


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Return a function that waits for a condition and fails the test when it stays false."""

    def wait(holds: Callable[[], object], *, seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"waited {seconds} s in vain"
            time.sleep(0.05)

    return wait
