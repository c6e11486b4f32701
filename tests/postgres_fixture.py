"""A real PostgreSQL of this session's own: a fresh cluster on a loopback port, with scram passwords."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_PASSWORD = "only-for-tests-5e0d"


@dataclass(frozen=True)
class RunningPostgres:
    """A running cluster; ``user`` may do everything in it."""

    port: int
    user: str = "cxloop"
    password: str = _PASSWORD

    def url(self, database: str = "postgres", user: str = "") -> str:
        """SQLAlchemy's URL of one database, without the password."""
        return f"postgresql+psycopg://{user or self.user}@127.0.0.1:{self.port}/{database}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[RunningPostgres]:
    """One running PostgreSQL, shared by the session: make databases or schemas of your own in it."""
    initdb, server = _program("initdb"), _program("postgres")
    with tempfile.TemporaryDirectory(prefix="cxloop-postgres-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        as_owner = _owning(folder)
        password = folder / "password"
        password.write_text(_PASSWORD, encoding="utf-8")
        password.chmod(0o644)
        data = folder / "data"
        making = [initdb, "-D", str(data), "-U", "cxloop", "-A", "scram-sha-256", f"--pwfile={password}"]
        making += ["-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        made = subprocess.run([*as_owner, *making], capture_output=True, text=True, check=False, cwd=folder)
        assert made.returncode == 0, made.stderr
        port = _free_port()
        options = ["-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-c", "fsync=off"]
        log = folder / "server.log"
        with log.open("wb") as output:
            running = subprocess.Popen([*as_owner, server, *options], stdout=output, stderr=output, cwd=folder)
        try:
            _wait_until_up(running, port, log)
            yield RunningPostgres(port)
        finally:
            _stop(running, data)


def _program(name: str) -> str:
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    found = str(versions[-1]) if versions else shutil.which(name)
    return found or pytest.skip(f"no PostgreSQL here ({name} is missing): apt-get install postgresql")


def _owning(folder: Path) -> list[str]:
    """Give ``folder`` to who will run the server, and return what starts a program as them.

    The server goes when these tests go, however they end; as root it refuses to run.
    """
    setpriv = shutil.which("setpriv")
    if os.getuid() != 0:
        return [setpriv, "--pdeathsig", "INT"] if setpriv else []
    if not setpriv:
        pytest.skip("PostgreSQL does not run as root, and setpriv is missing: apt-get install util-linux")
    names = {user.pw_name: user for user in pwd.getpwall()}
    user = names.get("postgres") or names["nobody"]
    os.chown(folder, user.pw_uid, user.pw_gid)
    return [setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--pdeathsig", "INT"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_up(running: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while b"ready to accept connections" not in log.read_bytes():
        assert running.poll() is None, f"PostgreSQL ended at once: {log.read_text(encoding='utf-8')}"
        assert time.monotonic() < deadline, f"PostgreSQL does not answer on port {port}"
        time.sleep(0.05)


def _stop(running: subprocess.Popen[bytes], data: Path) -> None:
    """Stop at once, whoever is still connected; setpriv has become the server, so its process is ours."""
    running.terminate() if not (data / "postmaster.pid").exists() else running.send_signal(2)
    try:
        running.wait(timeout=20)
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()
