"""A labelling desk in one SQLite file, for tests, benchmarks and fast replays; it keeps the real desk's contract."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from labeling.desk.case_form import read_answer, shown_suggestions
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
CREATE TABLE IF NOT EXISTS deletions (case_id TEXT NOT NULL, deleted_at TEXT NOT NULL);
"""
_ANSWERED: Final = "(SELECT count(*) FROM answers WHERE answers.case_id = cases.case_id AND labels IS NOT NULL)"


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
                "ON CONFLICT (case_id) DO UPDATE SET overlap = max(overlap, excluded.overlap)",
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

    def list_answers(self, since: datetime) -> dict[str, frozenset[str]]:
        """Return case id → ids of all its answers, of the cases where something was answered, changed or deleted.

        Raises:
            DeskRefused: the project is not open, or was deleted.
        """
        least = _write_time(since)
        with self._project() as (database, _, _):
            touched = database.execute(
                "SELECT case_id FROM answers WHERE answered_at >= ? UNION "
                "SELECT case_id FROM deletions JOIN cases USING (case_id) WHERE deleted_at >= ?",
                (least, least),
            ).fetchall()
            numbers = {
                case_id: database.execute("SELECT answer_id FROM answers WHERE case_id = ?", (case_id,)).fetchall()
                for (case_id,) in touched
            }
        return {case_id: frozenset(f"fake-{number}" for (number,) in found) for case_id, found in numbers.items()}

    def ask_again(self, overlaps: Mapping[str, int]) -> None:
        """Set how many answers each case should get in all; 0 ends it. Cases that are not there are passed over.

        Raises:
            DeskRefused: the project is not open, or was deleted.
        """
        with self._project() as (database, _, _):
            changes = [(overlap, case_id) for case_id, overlap in overlaps.items()]
            database.executemany("UPDATE cases SET overlap = ? WHERE case_id = ?", changes)

    def count_waiting(self) -> int:
        """Return how many cases stand at the desk with fewer answers than asked for.

        Raises:
            DeskRefused: the project is not open, or was deleted.
        """
        with self._project() as (database, _, _):
            (count,) = database.execute(f"SELECT count(*) FROM cases WHERE overlap > {_ANSWERED}").fetchone()  # noqa: S608
        return count

    def count_cases(self) -> int:
        """Return how many cases stand at the desk, answered or not.

        Raises:
            DeskRefused: the project is not open, or was deleted.
        """
        return len(self.list_cases())

    def list_cases(self) -> dict[str, str]:
        """Return case id → desk task id of all cases at the desk.

        Raises:
            DeskRefused: the project is not open, or was deleted.
        """
        with self._project() as (database, _, _):
            stands = database.execute("SELECT case_id, desk_task_id FROM cases")
            return {case_id: str(number) for case_id, number in stands}

    def withdraw(self, case_ids: Sequence[str]) -> set[str]:
        """Take off the desk those of the cases that nobody answered or skipped; return those that stand there still.

        Raises:
            DeskRefused: the project is not open, or was deleted.
        """
        once = [(case_id,) for case_id in dict.fromkeys(case_ids)]
        with self._project() as (database, _, _):
            database.executemany(
                "DELETE FROM cases WHERE case_id = ?1 AND NOT EXISTS (SELECT 1 FROM answers WHERE case_id = ?1)", once
            )
        return self.list_cases().keys() & set(case_ids)

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

        ``labels`` maps each question of the page to what was answered: a task to its label, a task followed by
        ``SECOND`` to its second label, ``NOTE`` to a note.

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

    def delete_answer(self, case_id: str, annotator_id: str, at: datetime) -> None:
        """Delete the answer that ``annotator_id`` gave, as any member can in the real one."""
        mine = (case_id, annotator_id)
        with self._database() as database:
            database.execute("DELETE FROM answers WHERE case_id = ? AND annotator_id = ?", mine)
            database.execute("INSERT INTO deletions VALUES (?, ?)", (case_id, _write_time(at)))

    def delete_project(self) -> None:
        """Delete the project with its cases and answers, as any member can in the real one."""
        with self._database() as database:
            for table in ("answers", "deletions", "cases", "projects"):
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
    given = read_answer({} if stored is None else json.loads(stored), taxonomy)
    return Answer(
        answer_id=f"fake-{number}",
        case_id=case_id,
        interaction_id=interaction_id,
        annotator_id=annotator_id,
        labels=given.labels,
        refused=given.refused,
        suggestions=json.loads(suggestions),
        is_blind=bool(blind),
        is_skipped=stored is None,
        answered_at=datetime.fromisoformat(answered_at),
        lead_seconds=lead_seconds,
        second_labels=given.second_labels,
        note=given.note,
    )


def _write_time(at: datetime) -> str:
    """Return ``at`` in UTC so that the order of the texts is the order of the times."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")
