"""An MLflow store that is migrated once for all test workers (2 s of work) and copied for what wants its own."""

import fcntl
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

import pytest

from labeling.home import Home
from training.registry.mlflow_registry import MlflowRegistry


@pytest.fixture(scope="session")
def migrated_mlflow(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The path of an empty, migrated MLflow database; copy it, do not write to it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "mlflow-of-all"
    folder.mkdir(exist_ok=True)
    path = folder / "mlflow.db"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            MlflowRegistry(f"sqlite:///{path}", None).versions("any")
    return path


@pytest.fixture(scope="session")
def give_mlflow(migrated_mlflow: Path) -> Callable[[Home], None]:
    """Return a function that puts an empty store into a home, which would else migrate one at the first look at it."""

    def give(home: Home) -> None:
        place = home.path / "mlflow"
        place.mkdir(parents=True)
        shutil.copy(migrated_mlflow, place / "mlflow.db")

    return give


@pytest.fixture
def mlflow_registry(migrated_mlflow, tmp_path):
    """A registry of this test's own, empty."""
    folder = tmp_path / "mlflow"
    folder.mkdir()
    shutil.copy(migrated_mlflow, folder / "mlflow.db")
    return MlflowRegistry(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")


@contextmanager
def locked(registry: MlflowRegistry, how: Literal["EXCLUSIVE", "IMMEDIATE"]) -> Iterator[None]:
    """Hold a registry's database as another process would: from everybody, or (IMMEDIATE) from those who write."""
    path = registry.tracking_uri.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute(f"BEGIN {how}")
        yield


@pytest.fixture
def impatient_mlflow() -> Iterator[None]:
    """Let MLflow wait a tenth of a second for a lock, not 20 seconds."""
    from sqlalchemy import Engine, event

    def shorten(_connection, _cursor, statement, parameters, _context, _many):
        return statement.replace("busy_timeout = 20000", "busy_timeout = 100"), parameters

    event.listen(Engine, "before_cursor_execute", shorten, retval=True)
    yield
    event.remove(Engine, "before_cursor_execute", shorten)
