"""Who made a release, and may therefore not approve it.

An author is whoever last changed what it was made by (recipe, gates, taxonomy, handoff policy), or who started one of
its runs by hand. A schedule or a sensor is nobody. This keeps honest people from deciding on their own work; it is no
defence against somebody who writes another's name into git, or who may write the home's files.
"""

import os
import pwd
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from training.registry.people import UNKNOWN_AUTHOR

STARTED_BY: Final = "cxloop/started_by"
"""The tag of a run that a command started: the machine's name for who gave the command."""

JUDGED_BY: Final = ("gates.yaml", "taxonomy.yaml", "handoff.yaml")
"""The settings that decide on every release; its recipes come beside them."""

_BY_ITSELF: Final = (
    "dagster/schedule_name",
    "dagster/sensor_name",
    "dagster/auto_materialize",
    "dagster/from_automation_condition",
)
_RETRIED: Final = "dagster/retry_number"
_STARTED_AGAIN: Final = "dagster/parent_run_id"
_GIT_SECONDS: Final = 10


def authors_of(
    runs: Iterable[Mapping[str, str]], *, configs: Path, recipes: Iterable[str], since: datetime | None
) -> tuple[str, ...]:
    """Return the authors of a release, sorted; nobody where it came by itself from settings that are known.

    Args:
        runs: the tags of each Dagster run that trained a member of it or judged it.
        configs: the home's folder of settings.
        recipes: the names of the recipes that it was trained with.
        since: when the champion was judged: what was changed before stood in its case already. None where there is no
            champion; all settings count then.

    Returns:
        ``name <address>`` as git has it, a machine's user, or ``unknown`` where a run was started on Dagster's page.
    """
    files = [configs / name for name in (*JUDGED_BY, *(f"recipes/{recipe}.yaml" for recipe in recipes))]
    found = {author for file in files for author in _changed_by(file, since)}
    return tuple(sorted(found.union(*(started_by(tags) for tags in runs))))


def started_by(tags: Mapping[str, str]) -> set[str]:
    """Return who started a run by hand, nobody where a schedule or a sensor did.

    A run that was started again on Dagster's page carries the tags of the first one, and is by hand all the same.
    """
    if STARTED_BY in tags:
        return {tags[STARTED_BY]}
    is_again = _STARTED_AGAIN in tags and _RETRIED not in tags
    return set() if not is_again and any(tag in tags for tag in _BY_ITSELF) else {UNKNOWN_AUTHOR}


def name_user() -> str:
    """Return the machine's name for who runs this process; not what the environment says it is."""
    return _name_of(os.getuid())


def _changed_by(file: Path, since: datetime | None) -> set[str]:
    """Return who last changed ``file`` after ``since``: git's author, and the owner of what is not committed."""
    committed = _ask_git(file, "log", "-1", "--format=%cI\n%an <%ae>")
    found: set[str] = set()
    if committed:
        at, author = committed.splitlines()
        if since is None or datetime.fromisoformat(at) > since:
            found.add(author)
    if not committed or _ask_git(file, "status", "--porcelain"):
        stat = file.stat()
        if since is None or datetime.fromtimestamp(stat.st_mtime, UTC) > since:
            found.add(_name_of(stat.st_uid))
    return found


def _ask_git(file: Path, *command: str) -> str:
    """Return what git says of ``file``, "" where it does not know it, or there is no git."""
    asked = ["git", "-C", str(file.parent), *command, "--", file.name]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=_GIT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
