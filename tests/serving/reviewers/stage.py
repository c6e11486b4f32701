"""A home as the reviewers' page finds it: registered releases, case files, a ledger, texts, people."""

import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from starlette.testclient import TestClient

from labeling.home import Home
from serving.reviewers.app import build_app
from serving.reviewers.records import Records
from tests.training.judging.sample_case import TASK, sample_contents, sample_description, sample_interactions
from tests.training.registry.stage import PEOPLE, TAXONOMY, TOKENS, add_release
from training.judging.case_contents import CaseContents
from training.judging.case_file import CaseFile, write_case_file
from training.judging.case_frames import ANSWERS
from training.registry.decisions import Decision, apply_decision, name_challenger
from training.registry.judged import Judgement, look_at, record_judged
from training.registry.ledger import Ledger
from training.registry.mlflow_registry import MlflowRegistry
from training.registry.standing import read_standing

MOOD = "mood"
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
_FORM = re.compile(r'<form method="post" action="([^"]+)"[^>]*>\s*<input type="hidden" ([^>]*)>')


@cache
def contents(cases: int, *, has_champion: bool = True) -> CaseContents:
    """Return what a judging found on ``cases`` test cases, of a second task too; beside a champion or without one."""
    found = sample_contents(cases=cases, with_plots=False)
    evidence = found.grounds.tasks[TASK]
    if not has_champion:
        unknown = [pl.lit(None, kind).alias(name) for name, kind in ANSWERS.items() if name.startswith("champion")]
        alone = evidence.answers.with_columns(unknown)
        evidence = replace(evidence, answers=alone, champion=None, disagreements=None)
    moods = replace(evidence, disagreements=None)
    return replace(found, grounds=replace(found.grounds, tasks={TASK: evidence, MOOD: moods}))


class PageStage:
    """One home and its page; ``clock`` is what the page's clock says."""

    def __init__(self, folder: Path, migrated_mlflow: Path, *, cases: int = 300) -> None:
        self.home = Home(folder)
        self.cases = cases
        self.clock = NOW
        self.home.configs.mkdir(parents=True)
        (folder / "mlflow").mkdir()
        shutil.copy(migrated_mlflow, folder / "mlflow" / "mlflow.db")
        self.registry = MlflowRegistry(self.home.mlflow_uri, self.home.mlflow_artifacts)
        self.ledger = Ledger(self.home.ledger_path)
        self.write_people()
        self._write_config("taxonomy.yaml", TAXONOMY.model_dump(mode="json"))

    def write_people(self, **changed: Any) -> None:
        self._write_config("reviewers.yaml", PEOPLE.model_dump(mode="json") | changed)

    def _write_config(self, name: str, content: dict[str, Any]) -> None:
        (self.home.configs / name).write_text(yaml.safe_dump(content))

    def judge(self, verdict: str = "promote", *, authors: tuple[str, ...] = (), gates: Any = None) -> str:
        """Register a release and judge it against the champion; return its version."""
        version = add_release(self.registry)
        self.judge_again(version, verdict, authors=authors, gates=gates)
        return version

    def judge_again(
        self, version: str, verdict: str = "promote", *, authors: tuple[str, ...] = (), gates: Any = None
    ) -> CaseFile:
        entries = self.ledger.entries()
        champion, look = read_standing(entries).champion, look_at(entries, version)
        self.clock += timedelta(minutes=1)
        about = sample_description().model_copy(
            update={
                "version": version,
                "champion": champion,
                "verdict": verdict,
                "authors": authors,
                "look": look,
                "tasks": (TASK, MOOD),
                "judged_at": self.clock,
            }
        )
        found = contents(self.cases, has_champion=champion is not None)
        passed = tuple(one for one in found.gates if one[1].verdict == "passed")
        case = write_case_file(
            self.home.case_files,
            about,
            replace(found, gates=gates or (passed if verdict == "promote" else found.gates)).documents(),
        )
        judgement = Judgement(version, case.digest, verdict, champion, "improve", None, look, 0.01)
        record_judged(judgement, at=self.clock, ledger=self.ledger, registry=self.registry)
        return case

    def name(self, version: str) -> None:
        """Let ``version`` wait for a decision."""
        judged = read_standing(self.ledger.entries()).judged[version]
        digest = judged.body["case_file"]
        authors = CaseFile.open(self.home.case_files / digest).about.authors
        name_challenger(
            version, case_file=digest, authors=authors, at=self.clock, ledger=self.ledger, registry=self.registry
        )

    def challenge(self, *, authors: tuple[str, ...] = ()) -> str:
        """Register, judge and name a release; return its version."""
        version = self.judge(authors=authors)
        self.name(version)
        return version

    def crown(self) -> str:
        """Make a new release the champion by the command's way; return its version."""
        version = self.challenge()
        self.decide("approve", version)
        return version

    def decide(self, kind: Any, version: str, *, reviewer: str = "ben", note: str = "looks right") -> None:
        apply_decision(
            Decision(kind, version, reviewer, note, self.clock),
            people=PEOPLE,
            ledger=self.ledger,
            registry=self.registry,
            case_files=self.home.case_files,
            taxonomy=TAXONOMY,
        )

    def write_texts(self, version: str) -> None:
        """Store the messages of a version's test."""
        from labeling.tables import INTERACTIONS

        self.home.tables.merge(INTERACTIONS, sample_interactions(self.case(version)))

    def case(self, version: str) -> CaseFile:
        """Return the newest case file of ``version``."""
        digest = read_standing(self.ledger.entries()).judged[version].body["case_file"]
        return CaseFile.open(self.home.case_files / digest)

    @property
    def champion(self) -> str | None:
        return read_standing(self.ledger.entries()).champion

    def app(self, registry: Any = None):
        return build_app(Records(self.home, registry or self.registry, lambda: self.clock), "a secret of the test")

    def client(self, registry: Any = None, **more: Any) -> TestClient:
        """Return a browser that has not signed in; it follows redirects and keeps cookies."""
        return TestClient(self.app(registry), base_url="http://127.0.0.1", client=("127.0.0.1", 4711), **more)


def sign_in(client: TestClient, name: str = "ana"):
    """Sign in by the form; return the answer."""
    form = forms(client.get("/sign-in").text)["/sign-in"]
    return client.post("/sign-in", data=form | {"token": TOKENS[name]})


def forms(page: str) -> dict[str, dict[str, str]]:
    """Return the hidden token of each form of a page by its address; the last where several share one."""
    return {action: {"form": re.search(r'value="([^"]+)"', hidden)[1]} for action, hidden in _FORM.findall(page)}
