"""A small record of decisions as the loop writes it: ledger, anchors on a real MLflow store, case files."""

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from labeling.digests import canonical_json
from training.registry.alarm import CASE_FILE_TAG
from training.registry.ledger import Ledger
from training.registry.mlflow_registry import MlflowRegistry
from training.registry.registry import ANCHOR_TAG, MEMBERS_TAG, PARITY_TAG, PASSED, RELEASE, VERDICT_TAG

BEGAN = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def write_case_file(parent: Path, version: str, verdict: str) -> str:
    """Write a case file in the form of docs/case-file.md, by hand; return its digest."""
    files = {
        "gates.json": canonical_json([{"name": "better", "verdict": "passed", "task": "intent"}]),
        "answers/intent.json": canonical_json([{"interaction_id": f"i{n}", "truth": "refund"} for n in range(5)]),
        "recipes/intent.yaml": f"seed: {version}\n".encode(),
        "model_card.md": f"# Version {version}\n".encode(),
    }
    listed = {path: sha256(contents).hexdigest() for path, contents in files.items()}
    case = canonical_json({"schema_version": 1, "version": version, "verdict": verdict, "files": listed})
    folder = parent / sha256(case).hexdigest()
    for path, contents in {**files, "case.json": case}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(contents)
    return folder.name


class Record:
    """What ``judge``, ``name`` and ``decide`` leave; each entry is a minute after the one before."""

    def __init__(self, folder: Path, registry: MlflowRegistry) -> None:
        self.folder = folder
        self.ledger = Ledger(folder / "ledger.sqlite")
        self.case_files = folder / "case_files"
        self.registry = registry

    @property
    def now(self) -> datetime:
        return BEGAN + timedelta(minutes=len(self.ledger.rows()))

    def append(self, kind: str, **body: Any):
        return self.ledger.append(kind, body, at=self.now)

    def judge(self, verdict: str) -> str:
        """Register a release and judge it; return its version."""
        version = self._register({VERDICT_TAG: verdict, PARITY_TAG: PASSED, MEMBERS_TAG: '{"cxloop-intent": "1"}'})
        digest = write_case_file(self.case_files, version, verdict)
        self.registry.tag(RELEASE, version, {CASE_FILE_TAG: digest})
        self.append("judged", version=version, case_file=digest, verdict=verdict, champion=None, look=1, alpha=0.05)
        return version

    def name(self, version: str) -> None:
        digest = self._case_file(version)
        named = self.append("challenger_named", version=version, members=self._members, replaces=None, case_file=digest)
        self.registry.set_alias(RELEASE, "challenger", version)
        self.registry.set_alias("cxloop-intent", "challenger", "1")
        self._settle(named.number, version)

    def approve(self, version: str, *, before: str | None) -> None:
        body = {"decision": "approve", "version": version, "reviewer": "ana", "note": "she wrote: my card is gone"}
        changed = {"champion_before": before, "champion_after": version, "case_file": self._case_file(version)}
        decided = self.append("decision", **body, **changed)
        for name, to in ((RELEASE, version), ("cxloop-intent", "1")):
            self.registry.remove_alias(name, "challenger")
            self.registry.set_alias(name, "champion", to)
        self._settle(decided.number, version)

    def tags(self, version: str) -> Mapping[str, str]:
        return self.registry.version(RELEASE, version).tags

    _members = {"cxloop-intent": "1"}  # noqa: RUF012

    def _settle(self, number: int, version: str) -> None:
        moved = self.append("alias_moved", entry=number, moves=[])
        self.registry.tag(RELEASE, version, {ANCHOR_TAG: moved.anchor})

    def _case_file(self, version: str) -> str:
        judged = self.ledger.entries("judged")
        return next(entry.body["case_file"] for entry in reversed(judged) if entry.body["version"] == version)

    def _register(self, tags: Mapping[str, str]) -> str:
        client = self.registry._client
        for name in ("cxloop-intent", RELEASE):
            if not self.registry.versions(name):
                client.create_registered_model(name)
        if not self.registry.versions("cxloop-intent"):
            client.create_model_version("cxloop-intent", "/nowhere")
        return str(client.create_model_version(RELEASE, "/nowhere", tags=dict(tags)).version)


def make_record(folder: Path, registry: MlflowRegistry) -> Record:
    """Return a record with a champion (version 1), a release on hold (2) and a challenger that waits (3)."""
    record = Record(folder, registry)
    first = record.judge("promote")
    record.name(first)
    record.approve(first, before=None)
    record.judge("hold")
    record.name(record.judge("promote"))
    return record


def copy_record(made: Path, folder: Path) -> Record:
    """Return a record of this test's own: a copy of the one that was made in ``made``."""
    shutil.copytree(made, folder, dirs_exist_ok=True)
    return Record(folder, open_registry(folder))


def open_registry(folder: Path) -> MlflowRegistry:
    return MlflowRegistry(f"sqlite:///{folder / 'mlflow' / 'mlflow.db'}", folder / "mlflow" / "artifacts")
