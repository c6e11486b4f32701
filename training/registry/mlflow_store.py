"""MLflow's SQLite file, made whole or not at all: its tables come by migrations, and a kill amid them spoils it."""

import fcntl
from pathlib import Path
from typing import Final
from uuid import uuid4

_SCHEME: Final = "sqlite:///"


def make_store(tracking_uri: str) -> None:
    """Make the store at ``tracking_uri`` unless it stands; of several processes, one makes it and the others wait.

    The migrations (seconds) run on a file beside it, which takes its name once they are done. A server's address is
    left alone: the server makes its own.

    Args:
        tracking_uri: ``sqlite:///…`` or a server's address.

    Raises:
        mlflow.exceptions.MlflowException: it cannot be made.
        OSError: its folder cannot be written.
    """
    if not tracking_uri.startswith(_SCHEME):
        return
    path = Path(tracking_uri.removeprefix(_SCHEME))
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            for left in path.parent.glob(f"{path.name}.*.new*"):
                left.unlink()
            _migrate(path.with_name(f"{path.name}.{uuid4().hex}.new")).replace(path)


def _migrate(draft: Path) -> Path:
    """Make ``draft`` an empty store; its name must be a new one, because MLflow remembers those that it opened."""
    from mlflow import MlflowClient

    MlflowClient(f"{_SCHEME}{draft}", f"{_SCHEME}{draft}").search_experiments(max_results=1)
    return draft
