"""Finding, starting and stopping a Label Studio, and never leaving one behind."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from labeling.desk import guardian
from labeling.desk.server import USERNAME, find_label_studio, start_server
from labeling.errors import DeskNotInstalled, DeskRefused, DeskUnavailable
from tests.label_studio_fixture import PASSWORD, TOKEN

Wait = Callable[..., None]


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def program(tmp_path: Path, lines: str) -> Path:
    path = tmp_path / "label-studio"
    path.write_text(f"#!{sys.executable}\n{textwrap.dedent(lines)}")
    path.chmod(0o755)
    return path


def test_a_machine_without_label_studio_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("CXLOOP_LABEL_STUDIO", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    with pytest.raises(DeskNotInstalled, match="make label-studio"):
        find_label_studio()


def test_the_program_is_found_by_name_beside_us_and_on_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("CXLOOP_LABEL_STUDIO", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    on_path = program(tmp_path, "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_label_studio() == on_path
    beside = tmp_path / ".venv-label-studio" / "bin" / "label-studio"
    beside.parent.mkdir(parents=True)
    beside.touch()
    assert find_label_studio() == beside
    monkeypatch.setenv("CXLOOP_LABEL_STUDIO", str(on_path))
    assert find_label_studio() == on_path
    monkeypatch.setenv("CXLOOP_LABEL_STUDIO", str(tmp_path / "nowhere"))
    with pytest.raises(DeskNotInstalled, match=r"found no file .*nowhere"):
        find_label_studio()


def test_a_busy_port_is_said_before_anything_starts(tmp_path: Path):
    touched = tmp_path / "touched"
    starts = program(tmp_path, f"open({str(touched)!r}, 'w')")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(DeskUnavailable, match=f"port {port} is needed"):
            start_server(tmp_path / "data", token=TOKEN, password=PASSWORD, port=port, program=starts)
    assert not touched.exists()


def test_a_program_that_ends_at_once_names_its_log(tmp_path: Path):
    broken = program(tmp_path, "import sys; sys.exit('no such thing as a database')")
    said: list[str] = []
    with pytest.raises(DeskUnavailable, match=r"ended at once: read .*server\.log"):
        start_server(tmp_path / "data", token=TOKEN, password=PASSWORD, program=broken, on_progress=said.append)
    assert "no such thing" in (tmp_path / "data" / "server.log").read_text()
    assert len(said) == 1


def guarded(
    tmp_path: Path, lines: str, wait_until: Wait
) -> tuple["subprocess.Popen[bytes]", "subprocess.Popen[bytes]", int]:
    """Start a parent that starts a guardian over ``lines``; return both and the program's pid."""
    pid_file, guardian_file = tmp_path / "pid", tmp_path / "guardian-pid"
    asks = (
        "import os, subprocess, sys, time; from pathlib import Path\n"
        f"run = subprocess.Popen([sys.executable, {guardian.__file__!r}, str(os.getpid()), {str(pid_file)!r}, "
        f"{str(program(tmp_path, lines))!r}], start_new_session=True)\n"
        f"Path({str(guardian_file)!r}).write_text(str(run.pid)); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", asks])
    wait_until(lambda: pid_file.exists() and guardian_file.exists() and guardian_file.read_text())
    return parent, psutil.Process(int(guardian_file.read_text())), int(pid_file.read_text())


def test_a_program_ends_when_its_parent_is_killed(tmp_path: Path, wait_until: Wait):
    parent, keeper, pid = guarded(tmp_path, "import time; time.sleep(60)", wait_until)
    assert not is_gone(pid)
    parent.kill()
    parent.wait()
    wait_until(lambda: is_gone(pid) and not keeper.is_running())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills a program with its guardian")
def test_a_program_ends_when_its_guardian_is_killed(tmp_path: Path, wait_until: Wait):
    parent, keeper, pid = guarded(tmp_path, "import time; time.sleep(60)", wait_until)
    keeper.kill()
    wait_until(lambda: is_gone(pid))
    parent.kill()
    parent.wait()


STARTS = """
import sys, time
from pathlib import Path
from labeling.desk.server import start_server
server = start_server(Path(sys.argv[1]), token=sys.argv[2], password=sys.argv[3])
print(server.url, server.pid, flush=True)
time.sleep(120)
"""


@pytest.mark.label_studio
def test_a_server_is_shared_ends_with_its_owner_and_keeps_its_token(
    fresh_label_studio: Callable[[Path], Path], tmp_path: Path, wait_until: Wait
):
    folder = fresh_label_studio(tmp_path / "data")
    owner = subprocess.Popen(
        [sys.executable, "-c", STARTS, str(folder), TOKEN, PASSWORD], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    url, pid = owner.stdout.readline().split()
    shared = start_server(folder, token=TOKEN, password=PASSWORD)
    assert (shared.url, shared.pid, shared.guardian) == (url, int(pid), None)
    shared.stop()
    assert shared.is_alive

    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    wait_until(lambda: is_gone(int(pid)))
    assert not shared.is_alive

    with pytest.raises(DeskRefused, match="needs the token that it was made with"):
        start_server(folder, token="f" * 40, password=PASSWORD)
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(folder) in (one.info["cmdline"] or [])]


@pytest.mark.label_studio
def test_a_server_listens_on_loopback_only_and_hides_its_folder(label_studio, tmp_path: Path):
    process = psutil.Process(label_studio.pid)
    addresses = {one.laddr.ip for one in process.net_connections() if one.status == psutil.CONN_LISTEN}
    assert addresses == {"127.0.0.1"}
    assert process.environ()["LABEL_STUDIO_USERNAME"] == USERNAME
    assert process.environ()["COLLECT_ANALYTICS"] == "false"
    assert process.cwd() == process.environ()["LABEL_STUDIO_BASE_DATA_DIR"]
