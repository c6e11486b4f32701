"""The database of an embedded Label Studio: what was deleted in it leaves the disk."""

import fcntl
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from labeling.errors import DeskUnavailable

DATABASE: Final = "label_studio.sqlite3"


def shrink_database(folder: Path) -> bool:
    """Write the database of the Label Studio in ``folder`` anew, without what was deleted in it; remove its log.

    The log holds the addresses that were asked for, with ids in them, and may hold more where the server failed.

    Returns:
        Whether that was done; False where a server runs over it. Also True where there is no database.

    Raises:
        DeskUnavailable: the database cannot be written (a full disk: it needs as much room again).
    """
    path = folder / DATABASE
    if not path.exists():
        return True
    with (folder / "server.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        try:
            with closing(sqlite3.connect(path, isolation_level=None)) as database:
                database.execute("VACUUM")
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise DeskUnavailable(
                f"{DATABASE} in {folder} cannot be written anew ({error}): free as much room as it takes, "
                "and give the same command again"
            ) from error
        (folder / "server.log").unlink(missing_ok=True)
    return True
