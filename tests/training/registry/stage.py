"""What tests of decisions play on: releases that are registered in a moment, and processes that start in one."""

import json
import multiprocessing
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

from labeling.taxonomy import Label, Task, Taxonomy
from training.encoder import EncoderSpec
from training.judging.case_file import CaseDescription, Code, write_case_file
from training.judging.gates import GateResult
from training.model_folder import DESCRIPTION, ModelDescription
from training.registry.decisions import Decision, apply_decision, name_challenger
from training.registry.judged import Judgement, look_at, record_judged
from training.registry.ledger import Ledger
from training.registry.mlflow_registry import MlflowRegistry
from training.registry.people import People, PersonEntry
from training.registry.registry import MEMBERS_TAG, PARITY_TAG, PASSED, PROMOTE, RELEASE, VERDICT_TAG
from training.registry.standing import read_standing

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["__main__", "tests.training.registry.preload"])
TOKENS = {name: f"cxl_{name}_{name}-s-secret" for name in ("ana", "ben", "cleo", "rita")}
"""Tokens of three reviewers and a reader."""
_HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
PEOPLE = People(
    people=tuple(
        PersonEntry(
            name=name,
            role="reader" if name == "rita" else "reviewer",
            token=_HASHER.hash(token),
            accounts=("Cleo P", "cleo@example.org") if name == "cleo" else (),
        )
        for name, token in TOKENS.items()
    )
)
_LABELS = tuple(Label(name=name, title=name) for name in ("refund", "cancel"))
TAXONOMY = Taxonomy(schema_version=1, version=1, tasks=(Task(name="intent", question="What?", labels=_LABELS),))


def add_release(registry: MlflowRegistry, **tags: str | None) -> str:
    """Register a release of one member, with just the files that a decision looks at; return its version."""
    intent = _add_version(registry, "cxloop-intent", {})
    ready = {VERDICT_TAG: PROMOTE, PARITY_TAG: PASSED, MEMBERS_TAG: f'{{"cxloop-intent": "{intent}"}}'}
    return _add_version(registry, RELEASE, {tag: value for tag, value in (ready | tags).items() if value is not None})


def _add_version(registry: MlflowRegistry, name: str, tags: dict[str, str]) -> str:
    client = registry._client
    if not registry.versions(name):
        client.create_registered_model(name)
    folder = files_of(registry, name)
    if not folder.exists():
        write_model(folder, labels=("refund", "cancel"))
    return str(client.create_model_version(name, str(folder), tags=tags).version)


def files_of(registry: MlflowRegistry, name: str) -> Path:
    """Return where the files of every version of ``name`` lie."""
    return Path(str(registry.artifact_root)) / name


def write_model(folder: Path, *, labels: tuple[str, ...]) -> None:
    """Write what MLflow calls a model around the description of one of ours that answers ``labels``."""
    about = ModelDescription(
        task="intent",
        labels=labels,
        temperature=1,
        recipe={},
        training_set_id="set",
        encoder=EncoderSpec(),
        encoder_digest="none",
    )
    (folder / "artifacts" / "model").mkdir(parents=True, exist_ok=True)
    (folder / "artifacts" / "model" / DESCRIPTION).write_text(about.model_dump_json())
    (folder / "MLmodel").write_text(_MLMODEL)


_MLMODEL = """flavors:
  python_function:
    artifacts:
      folder:
        path: artifacts/model
        uri: nowhere
    loader_module: mlflow.pyfunc.model
"""


def write_case(case_files: Path, facts: dict[str, Any], *, gates: tuple[GateResult, ...] = ()) -> str:
    """Write a case file that holds nothing but what a decision reads; return its digest."""
    usual = {"release_id": "release", "members": {}, "reference": None, "request": "improve", "alpha": 0.01}
    when = {"judged_at": NOW, "tasks": ("intent",), "code": Code(version="0")}
    said = json.dumps([{"task": "intent"} | asdict(gate) for gate in gates])
    return write_case_file(case_files, CaseDescription(**usual, **when, **facts), {"gates.json": said}).digest


def decide(
    kind: Any, version: str, *, reviewer: str = "ana", note: str = "looks right", at: datetime = NOW, **more: str
) -> Decision:
    return Decision(kind, version, reviewer, note, at, **more)


class Stage:
    """A ledger, a registry and case files; ``promote`` brings a version all the way."""

    def __init__(self, ledger: Ledger, registry: MlflowRegistry, case_files: Path) -> None:
        self.ledger = ledger
        self.registry = registry
        self.case_files = case_files
        self.people = PEOPLE
        self.taxonomy = TAXONOMY

    def judge(self, version: str, verdict: str = PROMOTE, *, authors: tuple[str, ...] = (), **about: Any) -> str:
        """Judge ``version`` against the champion; return the digest of its case file."""
        entries = self.ledger.entries()
        champion, look = read_standing(entries).champion, look_at(entries, version)
        facts = {"version": version, "champion": champion, "verdict": verdict, "look": look, "authors": list(authors)}
        case_file = write_case(self.case_files, facts, **about)
        judgement = Judgement(version, case_file, verdict, champion, "improve", "test-1", look, 0.01)
        record_judged(judgement, at=NOW, ledger=self.ledger, registry=self.registry)
        return case_file

    def name(self, version: str, *, authors: tuple[str, ...] = ()):
        standing = read_standing(self.ledger.entries())
        known = standing.judged.get(version)
        tag = self.registry.version(RELEASE, version).tags.get(VERDICT_TAG, "")
        if tag == PROMOTE and (known is None or known.body["champion"] != standing.champion):
            case_file = self.judge(version, authors=authors)
        else:
            case_file = known.body["case_file"] if known else ""
        where = {"ledger": self.ledger, "registry": self.registry}
        return name_challenger(version, case_file=case_file, authors=authors, at=NOW, **where)

    def apply(self, decision: Decision):
        return apply_decision(
            decision,
            people=self.people,
            ledger=self.ledger,
            registry=self.registry,
            case_files=self.case_files,
            taxonomy=self.taxonomy,
        )

    def promote(self, version: str):
        self.name(version)
        return self.apply(decide("approve", version))

    def aliases(self) -> dict[str, str]:
        return self.registry.aliases(RELEASE)


def open_stage(folder: Path, registry: type[MlflowRegistry] = MlflowRegistry) -> Stage:
    uri = f"sqlite:///{folder / 'mlflow' / 'mlflow.db'}"
    store = registry(uri, folder / "mlflow" / "artifacts")
    return Stage(Ledger(folder / "ledger.sqlite"), store, folder / "case_files")


def start(target: Callable, *args: Any):
    process = PROCESSES.Process(target=target, args=args)
    process.start()
    return process
