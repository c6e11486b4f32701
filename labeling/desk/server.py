"""Find, start and stop a Label Studio of our own on loopback, and leave no process behind."""

import fcntl
import http.client
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from labeling.errors import DeskNotInstalled, DeskRefused, DeskUnavailable

HOST: Final = "127.0.0.1"
USERNAME: Final = "cxloop@localhost.invalid"
"""Whom people sign in as on the page of an embedded server, where no other name is given."""

_PROGRAM_VARIABLE: Final = "CXLOOP_LABEL_STUDIO"
_START_SECONDS: Final = 300.0
_ATTEMPTS: Final = 3
_DROPPED: Final = ("LABEL_STUDIO_", "DJANGO_", "PYTHON", "VIRTUAL_ENV", "CXLOOP_")
_SETTINGS: Final = {
    "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
    "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
    "COLLECT_ANALYTICS": "false",
    "LATEST_VERSION_CHECK": "false",
    "SENTRY_DSN": "",
    "FRONTEND_SENTRY_DSN": "",
    "LOG_LEVEL": "WARNING",
}


@dataclass(frozen=True)
class RunningServer:
    """A Label Studio that answers at ``url`` to ``token``; ``pid`` is its own process.

    ``guardian`` is None where another process had started the server already; ``stop`` then does nothing.
    """

    url: str
    token: str
    pid: int
    guardian: "subprocess.Popen[bytes] | None" = None

    @property
    def is_alive(self) -> bool:
        """Whether the server still answers to our token."""
        return _whoami(self.url, self.token) is not None

    def stop(self) -> None:
        """End the server and wait until it is gone; may be called again."""
        if self.guardian is None:
            return
        self.guardian.terminate()
        try:
            self.guardian.wait(15)
        except subprocess.TimeoutExpired:  # the kernel then kills what it guards
            self.guardian.kill()
            self.guardian.wait()

    def __enter__(self) -> "RunningServer":
        """Return the server itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self.stop()


class _PortTaken(DeskUnavailable):
    """Another program came to listen on the port while Label Studio started."""


def find_label_studio() -> Path:
    """Return the Label Studio program: ``CXLOOP_LABEL_STUDIO``, else beside our environment, else on PATH.

    Raises:
        DeskNotInstalled: there is none; says how to install it.
    """
    if named := os.environ.get(_PROGRAM_VARIABLE):
        if Path(named).is_file():
            return Path(named)
        raise DeskNotInstalled(f"{_PROGRAM_VARIABLE} needs the path of the label-studio program, found no file {named}")
    beside = Path(sys.prefix).parent / ".venv-label-studio" / "bin" / "label-studio"
    if beside.is_file():
        return beside
    if found := shutil.which("label-studio"):
        return Path(found)
    raise DeskNotInstalled(
        f"Label Studio is needed, found none at {beside} or on PATH: run `make label-studio`, "
        f"or name the program in {_PROGRAM_VARIABLE}"
    )


def start_server(
    folder: Path,
    *,
    token: str,
    password: str,
    username: str = USERNAME,
    port: int | None = None,
    program: Path | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> RunningServer:
    """Start Label Studio over ``folder`` and return once it answers; it ends with this process, however that ends.

    A server that another live process runs over the same folder is used rather than started twice.

    Args:
        folder: everything the server stores; made where it is missing (a first start takes about a minute).
        token: what the server's API will ask for, 40 hex digits; it is fixed by the first start.
        password: what ``username`` signs in with on the page.
        username: an e-mail address.
        port: where to listen; None takes any free port.
        program: the label-studio program; None looks for it.
        on_progress: told in a few words what is being waited for.

    Raises:
        DeskNotInstalled: there is no Label Studio on this machine.
        DeskUnavailable: ``port`` is taken, or the server does not start; names its log.
        DeskRefused: ``folder`` was made with another token.
    """
    start = _Start(folder, token, username, password, program or find_label_studio(), on_progress or (lambda _: None))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "server.lock").open("w") as lock:
        if running := _take_or_attach(folder, lock.fileno(), token):
            return running
        if port is not None:
            _need_free(port)
        for attempt in range(_ATTEMPTS):
            try:
                return start.run(port or _free_port(), lock.fileno())
            except _PortTaken:
                if port is not None or attempt == _ATTEMPTS - 1:
                    raise
    raise AssertionError("unreachable: the last attempt returns or raises")


def find_server(folder: Path) -> str | None:
    """Return the address of the server that a live process runs over ``folder``, None where there is none."""
    running = _read_register(folder)
    return running["url"] if running and _is_alive(running["owner"]) and _is_alive(running["pid"]) else None


@dataclass(frozen=True)
class _Start:
    folder: Path
    token: str
    username: str
    password: str
    program: Path
    tell: Callable[[str], None]

    def run(self, port: int, lock: int) -> RunningServer:
        """Start on ``port``; the guardian inherits ``lock``, so that the folder stays taken while the server lives."""
        self._prepare_database()
        pid_file = self.folder / "server.pid"
        pid_file.unlink(missing_ok=True)
        with (self.folder / "server.log").open("wb") as log:
            guardian = subprocess.Popen(
                [*_guardian(pid_file), *self._command(port)],
                env=self._environment(os.environ),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,),
                start_new_session=True,
            )
        url = f"http://{HOST}:{port}"
        try:
            self._wait(url, guardian)
        except BaseException:
            RunningServer(url, self.token, 0, guardian).stop()
            raise
        pid = int(pid_file.read_text())
        (self.folder / "server.json").write_text(json.dumps({"url": url, "pid": pid, "owner": os.getpid()}))
        return RunningServer(url, self.token, pid, guardian)

    def _prepare_database(self) -> None:
        """Have SQLite log ahead of its writes: people's parallel answers are then saved more than twice as fast."""
        with sqlite3.connect(self.folder / "label_studio.sqlite3") as database:
            database.execute("PRAGMA journal_mode=wal")
        database.close()

    def _command(self, port: int) -> list[str]:
        where = ["--internal-host", HOST, "--port", str(port), "--data-dir", str(self.folder)]
        return [str(self.program), "start", "--no-browser", *where]

    def _environment(self, given: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in given.items() if not name.startswith(_DROPPED)}
        return kept | {
            **_SETTINGS,
            "LABEL_STUDIO_BASE_DATA_DIR": str(self.folder),
            "LABEL_STUDIO_USERNAME": self.username,
            "LABEL_STUDIO_PASSWORD": self.password,
            "LABEL_STUDIO_USER_TOKEN": self.token,
        }

    def _wait(self, url: str, guardian: "subprocess.Popen[bytes]") -> None:
        log = self.folder / "server.log"
        began = told = time.monotonic()
        self.tell("starting Label Studio (a first start prepares its database: about a minute)")
        while (waited := time.monotonic() - began) < _START_SECONDS:
            if guardian.poll() is not None:
                raise DeskUnavailable(f"Label Studio was started, but ended at once: read {log}")
            if _answer(url, "/health", None) is not None:
                return self._check_ours(url)
            if time.monotonic() - told > 5:
                told = time.monotonic()
                self.tell(f"waiting for Label Studio ({waited:.0f} s)")
            time.sleep(0.15)
        raise DeskUnavailable(f"Label Studio did not answer within {_START_SECONDS:.0f} s: read {log}")

    def _check_ours(self, url: str) -> None:
        """Ask the server who we are: where the port was busy, Label Studio silently listens on another."""
        answer = _answer(url, "/api/current-user/whoami", self.token)
        status, user = answer or (0, None)
        if status == 200 and isinstance(user, dict) and user.get("email") == self.username:
            return
        if status == 401:
            raise DeskRefused(
                f"the Label Studio in {self.folder} needs the token that it was made with, found another: "
                "put CXLOOP_LABEL_STUDIO_TOKEN back, or move that folder away"
            )
        raise _PortTaken(f"at {url} another program answers than the Label Studio that was started: choose a port")


def _guardian(pid_file: Path) -> list[str]:
    return [sys.executable, "-I", str(Path(__file__).with_name("guardian.py")), str(os.getpid()), str(pid_file)]


def _take_or_attach(folder: Path, lock: int, token: str) -> RunningServer | None:
    """Take the folder's lock (None), or return the server that another live process runs over it."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            running = _read_register(folder)
            if running and _is_alive(running["owner"]) and _whoami(running["url"], token) is not None:
                return RunningServer(running["url"], token, running["pid"])
            time.sleep(0.3)
        else:
            return None
    raise DeskUnavailable(f"another process holds the Label Studio in {folder}, but it does not answer: stop that one")


def _read_register(folder: Path) -> dict[str, Any] | None:
    try:
        return json.loads((folder / "server.json").read_text())
    except (FileNotFoundError, ValueError):
        return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _need_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise DeskUnavailable(
                f"port {port} is needed for Label Studio, but another program listens there: stop it, or choose a port"
            ) from None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _whoami(url: str, token: str) -> Any:
    status, user = _answer(url, "/api/current-user/whoami", token) or (0, None)
    return user if status == 200 else None


def _answer(url: str, path: str, token: str | None) -> tuple[int, Any] | None:
    """Return the status and JSON body of a GET, without any proxy; None where nothing answers."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    try:
        connection.request("GET", path, headers={"Authorization": f"Token {token}"} if token else {})
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    try:
        return response.status, json.loads(body)
    except ValueError:
        return response.status, None
