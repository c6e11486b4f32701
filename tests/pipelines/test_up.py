"""``cxloop up`` serves its pages, and nothing that it started outlives it, whichever way it ends."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
import yaml

from assets.settings import load_settings
from labeling.home import Home
from pipelines.new_home import make_home
from pipelines.processes import LOOPBACK, find_port, is_answering
from pipelines.replay.state import ReplayState
from serving.reports import HEALTH
from tests.label_studio_fixture import PASSWORD, TOKEN

COMMAND = (sys.executable, "-c", "from pipelines.cli import main; main()")
ELSEWHERE = "http://127.0.0.1:9"
MARK = "CXLOOP_TEST_MARK"


class Up:
    """A ``cxloop up`` of a test, known by a mark in the environment of everything that it starts."""

    def __init__(self, home: Home, output: Path, **env: str) -> None:
        self.mark = uuid.uuid4().hex
        self.output = output
        with output.open("w") as written:
            self.process = subprocess.Popen(
                [*COMMAND, "up", "--home", str(home.path)],
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                env={**os.environ, **env, MARK: self.mark},
            )

    def read(self) -> str:
        return self.output.read_text()

    def wait_until_up(self, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None and "Ctrl-C stops" not in self.read():
            time.sleep(0.2)
        assert "Ctrl-C stops" in self.read()
        return self.read()

    def wait_until_gone(self, seconds: float = 40) -> list[str]:
        """Return the command lines of what still runs after ``seconds``."""
        deadline = time.monotonic() + seconds
        while (left := self._find_started()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return left

    def _find_started(self) -> list[str]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark and process.pid != self.process.pid:
                    found.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        return found


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home whose pages are elsewhere but for Dagster's, on a port that was free a moment ago."""
    made = Home(tmp_path / "home")
    make_home(made, profile="local", desk_url=ELSEWHERE, check=load_settings)
    starts = {"dagster": 23_000, "reports": 23_500, "reviewers": 23_700}
    ports = {name: {"port": find_port(start)} for name, start in starts.items()}
    change_settings(made, mlflow={"tracking_uri": ELSEWHERE}, **ports)
    return made


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


def change_settings(home: Home, **sections: dict[str, object]) -> None:
    path = home.configs / "settings.yaml"
    settings = yaml.safe_load(path.read_text())
    for name, values in sections.items():
        settings[name].update(values)
    path.write_text(yaml.safe_dump(settings))


def test_sigterm_stops_what_was_started(home: Home, tmp_path: Path, busy_port: int) -> None:
    change_settings(home, dagster={"port": busy_port})
    up = Up(home, tmp_path / "out")
    shown = up.wait_until_up(120)
    assert f"port {busy_port} is busy: Dagster goes to " in shown
    address = re.search(r"Dagster +(http\S+)", shown)
    assert address
    assert is_answering(address[1] + "/server_info")
    assert f"Label Studio  {ELSEWHERE}" in shown

    status = subprocess.run([*COMMAND, "status", "--home", home.path], capture_output=True, text=True, check=True)
    assert address[1] in status.stdout
    second = subprocess.run([*COMMAND, "up", "--home", home.path], capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert "is served by another `cxloop up`" in second.stderr
    ReplayState(plan={}, start=datetime(2026, 3, 1, tzinfo=UTC), finished=True).save(home)
    demo = subprocess.run([*COMMAND, "demo", "--home", home.path], capture_output=True, text=True, check=False)
    assert demo.returncode == 1
    assert f"which process {up.process.pid} serves: stop its `cxloop up` first" in " ".join(demo.stderr.split())
    assert home.exists

    up.process.send_signal(signal.SIGTERM)
    assert up.process.wait(60) == 0
    assert "Everything that was started has stopped." in up.read()
    assert up.wait_until_gone(5) == []
    after = subprocess.run([*COMMAND, "status", "--home", home.path], capture_output=True, text=True, check=True)
    assert "none are served" in after.stdout


def test_nothing_is_started_where_label_studio_is_not_installed(home: Home, tmp_path: Path) -> None:
    change_settings(home, label_studio={"url": ""})
    up = Up(home, tmp_path / "out", CXLOOP_LABEL_STUDIO=str(tmp_path / "none"))
    assert up.process.wait(60) == 1
    assert up.read().startswith("error: CXLOOP_LABEL_STUDIO needs the path of the label-studio program")
    assert up.wait_until_gone(0) == []


def test_everything_is_stopped_where_one_program_does_not_start(home: Home, tmp_path: Path) -> None:
    change_settings(home, label_studio={"url": "", "port": find_port(24_000)})
    broken = tmp_path / "label-studio"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    up = Up(home, tmp_path / "out", CXLOOP_LABEL_STUDIO=str(broken))
    assert up.process.wait(120) == 1
    assert "starting Dagster" in up.read()
    assert "Label Studio was started, but ended at once" in up.read()
    assert up.wait_until_gone(5) == []


@pytest.mark.label_studio
def test_kill_minus_nine_leaves_none_of_the_pages_running(
    home: Home, tmp_path: Path, fresh_label_studio: Callable[[Path], Path]
) -> None:
    ports = {name: {"port": find_port(start)} for name, start in (("mlflow", 25_000), ("label_studio", 26_000))}
    change_settings(home, **ports)
    change_settings(home, mlflow={"tracking_uri": ""}, label_studio={"url": ""})
    fresh_label_studio(home.label_studio)
    up = Up(home, tmp_path / "out", CXLOOP_LABEL_STUDIO_TOKEN=TOKEN, CXLOOP_LABEL_STUDIO_PASSWORD=PASSWORD)
    shown = up.wait_until_up(300)
    pages = dict(re.findall(r"^(\S.*?) +(http://\S+)$", shown, flags=re.MULTILINE))
    assert set(pages) == {"Dagster", "MLflow", "Label Studio", "Reports", "Reviewers"}
    pages["Reports"] += HEALTH
    assert [name for name, url in pages.items() if not is_answering(url)] == []

    os.kill(up.process.pid, signal.SIGKILL)
    up.process.wait()
    assert up.wait_until_gone() == []
    assert [name for name, url in pages.items() if is_answering(url)] == []
