"""A labelling desk in one SQLite file, for tests, benchmarks and fast replays; it keeps the real desk's contract."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from labeling.desk.case_form import read_labels, shown_suggestions
from labeling.desk.desk import Answer, Case, SentCase
from labeling.errors import DeskRefused, DeskUnavailable
from labeling.taxonomy import Taxonomy

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS projects (project_id INTEGER PRIMARY KEY AUTOINCREMENT);
CREATE TABLE IF NOT EXISTS cases (
    desk_task_id INTEGER PRIMARY KEY AUTOINCREMENT, case_id TEXT UNIQUE NOT NULL, interaction_id TEXT NOT NULL,
    suggestions TEXT NOT NULL, blind INTEGER NOT NULL, overlap INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
    answer_id INTEGER PRIMARY KEY AUTOINCREMENT, case_id TEXT NOT NULL, annotator_id TEXT NOT NULL,
    labels TEXT, answered_at TEXT NOT NULL, lead_seconds REAL, UNIQUE (case_id, annotator_id));
"""


class FakeReviewDesk:
    """A ``ReviewDesk`` whose people are whoever calls ``answer``.

    Like the real desk it checks no answer when it is given, keeps everything over a restart, and forgets cases and
    answers when its project is deleted.

    Args:
        root: the folder of its file; made where it is missing.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / "desk.sqlite"
        self._opened: tuple[int, Taxonomy] | None = None

    def open_project(self, taxonomy: Taxonomy) -> str:
        """Make the project, or find it; return its id."""
        with self._database() as database:
            if not database.execute("SELECT 1 FROM projects").fetchone():
                database.execute("INSERT INTO projects DEFAULT VALUES")
            (number,) = database.execute("SELECT project_id FROM projects").fetchone()
        self._opened = (number, taxonomy)
        return str(number)

    def send(self, cases: Sequence[Case]) -> list[SentCase]:
        """Put ``cases`` on the desk; found, not doubled, where their ``case_id`` is there; in the order given.

        Raises:
            DeskRefused: the project is not open, or was deleted.
        """
        with self._project() as (database, project, taxonomy):
            rows = [
                (
                    case.case_id,
                    case.interaction_id,
                    json.dumps(shown_suggestions(case, taxonomy)),
                    case.blind,
                    case.overlap,
                )
                for case in cases
            ]
            database.executemany(
                "INSERT INTO cases (case_id, interaction_id, suggestions, blind, overlap) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (case_id) DO UPDATE SET overlap = excluded.overlap",
                rows,
            )
            stands = dict(database.execute("SELECT case_id, desk_task_id FROM cases"))
        return [SentCase(case.case_id, str(project), str(stands[case.case_id])) for case in cases]

    def fetch(self, since: datetime | None) -> list[Answer]:
        """Return the answers given or changed at or after ``since`` (all where None), oldest first.

        Raises:
            DeskRefused: the project is not open, or was deleted.
        """
        least = "" if since is None else _write_time(since)
        with self._project() as (database, _, taxonomy):
            rows = database.execute(
                "SELECT answer_id, case_id, interaction_id, annotator_id, labels, suggestions, blind, answered_at, "
                "lead_seconds FROM answers JOIN cases USING (case_id) WHERE answered_at >= ? "
                "ORDER BY answered_at, answer_id",
                (least,),
            ).fetchall()
        return [_read_answer(row, taxonomy) for row in rows]

    def count_waiting(self) -> int:
        """Return how many cases stand at the desk with fewer answers than asked for.

        Raises:
            DeskRefused: the project is not open, or was deleted.
        """
        with self._project() as (database, _, _):
            (count,) = database.execute(
                "SELECT count(*) FROM cases WHERE overlap > "
                "(SELECT count(*) FROM answers WHERE answers.case_id = cases.case_id AND labels IS NOT NULL)"
            ).fetchone()
        return count

    def remove(self, case_ids: Sequence[str]) -> int:
        """Take cases off the desk for good, with every answer to them; return how many there were.

        Raises:
            DeskRefused: the project is not open, or was deleted.
        """
        once = [(case_id,) for case_id in dict.fromkeys(case_ids)]
        with self._project() as (database, _, _):
            database.execute("PRAGMA secure_delete=ON")  # what is deleted is overwritten
            database.executemany("DELETE FROM answers WHERE case_id = ?", once)
            return database.executemany("DELETE FROM cases WHERE case_id = ?", once).rowcount if once else 0

    def answer(
        self,
        case_id: str,
        annotator_id: str,
        labels: Mapping[str, str] | None,
        at: datetime,
        *,
        lead_seconds: float | None = None,
    ) -> bool:
        """Answer a case as ``annotator_id`` would; None skips it. A second answer by the same person changes nothing.

        Returns:
            Whether the answer was new.

        Raises:
            DeskRefused: the case does not stand at the desk.
        """
        stored = None if labels is None else json.dumps(dict(labels))
        with self._database() as database:
            if not database.execute("SELECT 1 FROM cases WHERE case_id = ?", (case_id,)).fetchone():
                raise DeskRefused(f"case {case_id} is needed at the desk, but was never sent: send it first")
            done = database.execute(
                "INSERT OR IGNORE INTO answers (case_id, annotator_id, labels, answered_at, lead_seconds) "
                "VALUES (?, ?, ?, ?, ?)",
                (case_id, annotator_id, stored, _write_time(at), lead_seconds),
            )
            return done.rowcount == 1

    def change_answer(self, case_id: str, annotator_id: str, labels: Mapping[str, str], at: datetime) -> None:
        """Change the answer that ``annotator_id`` gave, as people do on the page."""
        with self._database() as database:
            database.execute(
                "UPDATE answers SET labels = ?, answered_at = ? WHERE case_id = ? AND annotator_id = ?",
                (json.dumps(dict(labels)), _write_time(at), case_id, annotator_id),
            )

    def delete_project(self) -> None:
        """Delete the project with its cases and answers, as any member can in the real one."""
        with self._database() as database:
            for table in ("answers", "cases", "projects"):
                database.execute(f"DELETE FROM {table}")  # noqa: S608 - the names stand above

    @contextmanager
    def _project(self) -> Iterator[tuple[sqlite3.Connection, int, Taxonomy]]:
        if self._opened is None:
            raise DeskRefused("a project is needed at the desk, none was opened: call open_project first")
        number, taxonomy = self._opened
        with self._database() as database:
            if not database.execute("SELECT 1 FROM projects WHERE project_id = ?", (number,)).fetchone():
                raise DeskRefused(f"project {number} is needed, but was deleted: open it again, which makes a new one")
            yield database, number, taxonomy

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._path, timeout=30)) as database:
                database.execute("PRAGMA synchronous=OFF")  # outlives a killed process, if not a power cut
                database.executescript(_SCHEMA)
                with database:
                    yield database
        except (OSError, sqlite3.Error) as error:
            raise DeskUnavailable(f"the desk in {self._path} cannot be used ({type(error).__name__})") from error


def _read_answer(row: Sequence, taxonomy: Taxonomy) -> Answer:
    number, case_id, interaction_id, annotator_id, stored, suggestions, blind, answered_at, lead_seconds = row
    labels, refused = read_labels({} if stored is None else json.loads(stored), taxonomy)
    return Answer(
        answer_id=f"fake-{number}",
        case_id=case_id,
        interaction_id=interaction_id,
        annotator_id=annotator_id,
        labels=labels,
        refused=refused,
        suggestions=json.loads(suggestions),
        is_blind=bool(blind),
        is_skipped=stored is None,
        answered_at=datetime.fromisoformat(answered_at),
        lead_seconds=lead_seconds,
    )


def _write_time(at: datetime) -> str:
    """Return ``at`` in UTC so that the order of the texts is the order of the times."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")
