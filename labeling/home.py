"""The home folder: everything one loop stores, and where each part of it lies."""

import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from labeling.delta import Tables
from labeling.errors import HomeError


class Home:
    """One loop's folder (``CXLOOP_HOME``, ``.cxloop`` by default).

    Secrets come from the environment; where it has none, from ``secrets.env`` in the home, which is made once with
    random values and readable by its owner only, so that a first start needs no preparation.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.configs = self.path / "configs"
        self.inbox = self.path / "inbox"
        self.tables = Tables(self.path / "tables")
        self.ledger_path = self.path / "ledger.sqlite"
        self.mlflow_uri = f"sqlite:///{self.path / 'mlflow' / 'mlflow.db'}"
        self.mlflow_artifacts = self.path / "mlflow" / "artifacts"
        self.dagster = self.path / "dagster"
        self.label_studio = self.path / "label-studio"
        self.run = self.path / "run"
        self.collecting = self.path / "collecting"
        self.reports = self.path / "reports"
        self.training = self.path / "training"
        self.case_files = self.path / "case_files"
        self.gateway_log = self.path / "gateway"
        self.standby = self.path / "standby"

    @classmethod
    def from_environment(cls) -> "Home":
        """Return the home that ``CXLOOP_HOME`` names, ``.cxloop`` in the working folder where it is not set."""
        return cls(Path(os.environ.get("CXLOOP_HOME") or ".cxloop"))

    @property
    def exists(self) -> bool:
        """Whether this home has been made (it has configs)."""
        return self.configs.is_dir()

    def require(self) -> None:
        """Raise unless this home has been made.

        Raises:
            HomeError: says how to make one.
        """
        if not self.exists:
            raise HomeError(f"a home folder is needed, found none at {self.path}: run `cxloop init` or `cxloop demo`")

    def key(self) -> bytes:
        """Return the key of every keyed digest (``CXLOOP_KEY``)."""
        return self.secret("CXLOOP_KEY").encode()

    def secret(self, name: str) -> str:
        """Return the secret called ``name``: from the environment, else from ``secrets.env``, made there if new."""
        if value := os.environ.get(name):
            return value
        with self.exclusive("secrets"):
            known = self._read_secrets()
            if name not in known:
                known[name] = secrets.token_hex(20)
                self._write_secrets(known)
            return known[name]

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold this home for one loop run (a demo, a replay).

        Raises:
            HomeError: another process holds it; says which.
        """
        with self._open_lock("loop") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.seek(0)
                raise HomeError(
                    f"home {self.path} is in use by process {held.read().strip() or 'unknown'}: "
                    "wait for it, stop it, or choose another folder with CXLOOP_HOME"
                ) from None
            held.truncate(0)
            held.write(str(os.getpid()))
            held.flush()
            yield

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Hold what is called ``name`` for this process alone; wait for whoever holds it."""
        with self._open_lock(name) as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield

    def _open_lock(self, name: str) -> TextIO:
        try:
            self.run.mkdir(parents=True, exist_ok=True)
            return (self.run / f"{name}.lock").open("a+")
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> HomeError:
        why = "the disk is full" if error.errno == errno.ENOSPC else type(error).__name__
        return HomeError(
            f"home {self.path} cannot be written ({why}): free some space, check its rights, "
            "or choose another folder with CXLOOP_HOME"
        )

    def _read_secrets(self) -> dict[str, str]:
        path = self.path / "secrets.env"
        if not path.exists():
            return {}
        lines = path.read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def _write_secrets(self, values: dict[str, str]) -> None:
        path = self.path / "secrets.env"
        fresh = path.with_suffix(".new")
        try:
            fresh.touch(mode=0o600)
            fresh.write_text("".join(f"{name}={value}\n" for name, value in sorted(values.items())), encoding="utf-8")
            fresh.replace(path)
        except OSError as error:
            raise self._unwritable(error) from error
