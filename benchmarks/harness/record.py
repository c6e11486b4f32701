"""A record of decisions of some size, for an audit: ledger, head file, case files, and a registry read once."""

import json
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal

from labeling.digests import canonical_json
from training.judging.case_file import DESCRIPTION, CaseDescription, Code, write_case_file
from training.registry.ledger import Entry, Ledger
from training.registry.registry import (
    ANCHOR_TAG,
    CASE_FILE_TAG,
    MEMBERS_TAG,
    PARITY_TAG,
    PASSED,
    RELEASE,
    VERDICT_TAG,
    ModelVersion,
)

BEGAN: Final = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
VERDICTS: Final = ("promote", "hold", "inconclusive", "promote")
_MEMBERS: Final = {"cxloop-intent": "1", "cxloop-sentiment": "1"}
_CASES: Final = 60


class Remembered:
    """What a registry said when it was read once; it answers from memory, so that thousands of audits can ask."""

    def __init__(self, versions: Sequence[ModelVersion], aliases: Mapping[str, Mapping[str, str]]) -> None:
        self._versions, self._aliases = list(versions), aliases

    def versions(self, name: str) -> list[ModelVersion]:
        """Return every version of the release."""
        return self._versions if name == RELEASE else []

    def aliases(self, name: str) -> dict[str, str]:
        """Return alias to version."""
        return dict(self._aliases.get(name, {}))


@dataclass(frozen=True)
class Record:
    """The files of one record in ``folder``, open to whoever holds the disk."""

    folder: Path

    @property
    def ledger_path(self) -> Path:
        """The ledger's file."""
        return self.folder / "ledger.sqlite"

    @property
    def head_path(self) -> Path:
        """The head file."""
        return open_ledger(self.folder).head_file.path

    @property
    def case_files(self) -> Path:
        """The folder of case files."""
        return self.folder / "case_files"

    def copy(self, folder: Path) -> "Record":
        """Return a copy in ``folder``, which must not exist."""
        shutil.copytree(self.folder, folder)
        return Record(folder)

    def rows(self) -> list[tuple[int, str, str]]:
        """Return the ledger's rows."""
        return open_ledger(self.folder).rows()

    def store(self, rows: Sequence[tuple[int, str, str]]) -> None:
        """Replace the ledger's rows, past its guards, and put the guards back."""
        connection = sqlite3.connect(self.ledger_path)
        guards = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in guards:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("DELETE FROM entries")
        connection.executemany("INSERT INTO entries VALUES (?, ?, ?)", rows)
        for _, sql in guards:
            connection.execute(sql)
        connection.commit()
        connection.close()

    def store_head(self, rows: Sequence[tuple[int, str, str]]) -> None:
        """Make the head file what it would be for ``rows``."""
        self.head_path.write_text("".join(f"{number}:{sum_}\n" for number, _, sum_ in rows), encoding="ascii")

    def rewrite_case_file(self, folder: Path, path: str, contents: bytes, *, is_renamed: bool) -> None:
        """Change a file and what case.json says of it; where ``is_renamed``, the folder's name too."""
        (folder / path).write_bytes(contents)
        case = json.loads((folder / DESCRIPTION).read_bytes())
        case["files"][path] = sha256(contents).hexdigest()
        raw = canonical_json(case)
        (folder / DESCRIPTION).write_bytes(raw)
        if is_renamed:
            folder.rename(folder.with_name(sha256(raw).hexdigest()))


def open_ledger(folder: Path) -> Ledger:
    """Return the ledger of the record in ``folder``."""
    return Ledger(folder / "ledger.sqlite")


def make_record(folder: Path, *, releases: int) -> tuple[Record, Remembered]:
    """Write a record of ``releases`` judged releases, with their anchors on a real MLflow store, and read that once."""
    from training.registry.mlflow_registry import MlflowRegistry

    folder.mkdir(parents=True)
    store = folder.with_name("mlflow")
    registry = MlflowRegistry(f"sqlite:///{store / 'mlflow.db'}", store / "artifacts")
    for name in (*_MEMBERS, RELEASE):
        registry._client.create_registered_model(name)
    for name in _MEMBERS:
        registry._client.create_model_version(name, "/nowhere")  # a version without a model behind it
    writer = _Writer(folder, registry)
    for number in range(releases):
        writer.judge(VERDICTS[number % len(VERDICTS)])
    writer.anchor_head()
    aliases = {name: registry.aliases(name) for name in (RELEASE, *_MEMBERS)}
    return Record(folder), Remembered(registry.versions(RELEASE), aliases)


class _Writer:
    """Appends what the loop would."""

    def __init__(self, folder: Path, registry: Any) -> None:
        self.ledger, self.case_files, self.registry = open_ledger(folder), folder / "case_files", registry
        self.count = 0
        self.champion: str | None = None

    def judge(self, verdict: Literal["promote", "hold", "inconclusive"]) -> None:
        """Judge one release; name and approve it where the verdict is promote."""
        tags = {VERDICT_TAG: verdict, PARITY_TAG: PASSED, MEMBERS_TAG: json.dumps(_MEMBERS)}
        version = str(self.registry._client.create_model_version(RELEASE, "/nowhere", tags=tags).version)
        case_file = _write(self.case_files, version, verdict, self._now())
        self.registry.tag(RELEASE, version, {CASE_FILE_TAG: case_file})
        said = {"version": version, "case_file": case_file, "verdict": verdict, "champion": self.champion}
        judged = self._append("judged", **said, request="improve", look=int(version), alpha=0.05 / int(version) ** 1.6)
        self.registry.tag(RELEASE, version, {ANCHOR_TAG: judged.anchor})
        if verdict != "promote":
            return
        named = self._append(
            "challenger_named", version=version, members=_MEMBERS, replaces=None, case_file=case_file, authors=["ben"]
        )
        self._settle(named, version)
        body = {"decision": "approve", "version": version, "reviewer": "ana", "note": f"better on refunds ({version})"}
        changed = {"champion_before": self.champion, "champion_after": version}
        self._settle(self._append("decision", **body, case_file=case_file, **changed), version)
        self.champion = version
        for name, to in ((RELEASE, version), *_MEMBERS.items()):
            self.registry.set_alias(name, "champion", to)

    def anchor_head(self) -> None:
        """Anchor the newest entry on the newest version, as the sensor does."""
        newest = max(self.registry.versions(RELEASE), key=lambda version: int(version.version))
        self.registry.tag(RELEASE, newest.version, {ANCHOR_TAG: self.ledger.entries()[-1].anchor})

    def _settle(self, entry: Entry, version: str) -> None:
        moves = [{"name": RELEASE, "alias": "champion", "found": self.champion, "put": version}]
        moved = self._append("alias_moved", entry=entry.number, moves=moves)
        self.registry.tag(RELEASE, version, {ANCHOR_TAG: moved.anchor})

    def _append(self, kind: str, **body: Any) -> Entry:
        self.count += 1
        return self.ledger.append(kind, body, at=self._now())

    def _now(self) -> datetime:
        return BEGAN + timedelta(hours=self.count)


def _write(parent: Path, version: str, verdict: Any, at: datetime) -> str:
    """Write a case file with some of what one holds; return its digest."""
    digests = [sha256(f"{number}".encode()).hexdigest() for number in range(_CASES)]
    answers = [{"interaction_id": f"i{number}", "text_digest": sum_} for number, sum_ in enumerate(digests)]
    about = CaseDescription(
        version=version,
        release_id=f"release-{version}",
        members=_MEMBERS,
        champion=None,
        reference=None,
        request="improve",
        judged_at=at,
        verdict=verdict,
        look=1,
        alpha=0.01,
        tasks=("intent", "sentiment"),
        code=Code(version="0"),
    )
    files = {
        "gates.json": json.dumps([{"name": "better", "verdict": "passed", "measured": f"+{version}"}]),
        "scorecards/intent.json": json.dumps({"challenger": {"accuracy": 0.9, "cases": _CASES}, "champion": None}),
        "answers/intent.json": json.dumps(answers),
        "answers/sentiment.json": json.dumps(answers[::-1]),
        "recipes/intent.yaml": f"seed: {version}\n",
        "environment.txt": "numpy==2.2.6\ntorch==2.13.0\n",
        "model_card.md": f"# Version {version}\n",
    }
    return write_case_file(parent, about, files).digest
