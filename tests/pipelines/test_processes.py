"""Programs that are started end with the one that started them, and tell when they cannot start."""

import http.server
import os
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from labeling.errors import ServiceError
from pipelines.processes import LOOPBACK, find_port, is_answering, is_free, start_program, wait_until_answering

STUBBORN = """
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(600)
"""
"""A program that ignores SIGTERM and puts a child into a session of its own."""

STARTER = """
import pathlib, sys, time
from pipelines.processes import start_program
program = start_program(
    "sleeper",
    [sys.executable, "-c", sys.argv[1], sys.argv[2]],
    url="http://127.0.0.1:1",
    log=pathlib.Path(sys.argv[3]),
    folder=pathlib.Path(sys.argv[3]).parent,
    env={},
    grace_seconds=1,
)
time.sleep(600)
"""


@pytest.fixture
def busy_port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer((LOOPBACK, 0), http.server.BaseHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def read_pid(path: Path) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if path.exists() and path.read_text():
            return int(path.read_text())
        time.sleep(0.05)
    raise AssertionError("the program did not start")


def wait_until_gone(pid: int, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_a_killed_starter_leaves_nothing_running(tmp_path: Path) -> None:
    starter = subprocess.Popen([sys.executable, "-c", STARTER, STUBBORN, tmp_path / "pid", tmp_path / "log"])
    grandchild = read_pid(tmp_path / "pid")
    started = psutil.Process(starter.pid).children(recursive=True)
    assert grandchild in {process.pid for process in started}

    os.kill(starter.pid, signal.SIGKILL)
    starter.wait()

    gone = [wait_until_gone(process.pid) for process in started]
    assert gone == [True] * len(started)


def test_stop_ends_the_program_and_may_be_called_again(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    program = start_program("sleeper", command, url="http://x", log=tmp_path / "log", folder=tmp_path, env={})
    assert program.is_alive
    program.stop()
    program.stop()
    assert not program.is_alive
    assert not psutil.pid_exists(program.guard.pid)


def test_a_program_that_ends_at_once_is_told_with_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit(3)"]
    log = tmp_path / "log"
    program = start_program("quitter", command, url=f"http://{LOOPBACK}:1", log=log, folder=tmp_path, env={})
    with pytest.raises(ServiceError, match=rf"quitter was needed .* ended with code 3: read {log}"):
        wait_until_answering(program, "/", seconds=20)


def test_a_program_that_never_answers_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    program = start_program("mute", command, url=f"http://{LOOPBACK}:1", log=tmp_path / "l", folder=tmp_path, env={})
    with pytest.raises(ServiceError, match="mute did not answer"):
        wait_until_answering(program, "/", seconds=0.5)
    program.stop()


def test_a_busy_port_gives_way_to_a_free_one(busy_port: int) -> None:
    assert not is_free(busy_port)
    found = find_port(busy_port)
    assert found != busy_port
    assert is_free(found)


def test_a_port_that_echoes_the_question_does_not_answer() -> None:
    """So does a port that nobody listens on, when the system happens to give it to whoever asks."""

    class Echo(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(self.rfile.readline())

    with socketserver.TCPServer((LOOPBACK, 0), Echo) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert not is_answering(f"http://{LOOPBACK}:{server.server_address[1]}/")


def test_a_promised_port_is_not_given_twice() -> None:
    first = find_port(20_000)
    assert find_port(first, taken=[first]) != first
