"""``cxloop erase``: what it says, what it refuses, and Label Studio's own files afterwards."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from assets.feedback import take_in
from assets.resources import Loop
from labeling import tables as t
from labeling.desk.cases import build_cases
from labeling.desk.server import start_server
from labeling.errors import DecisionRefused, HomeError
from labeling.home import Home
from pipelines.cli import app
from pipelines.replay.stage import make_stage
from pipelines.running import open_instance
from pipelines.services import embedded_label_studio
from tests.label_studio_fixture import PASSWORD, TOKEN

runner = CliRunner()
NOW = datetime.now(UTC)
ANA = "customer-ana-7714"
WORD = "zyxgloop"
WHO = ["--reviewer", "dpo", "--note", "ticket 12"]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with two messages of Ana's, one of Ben's."""
    home = Home(tmp_path / "home")
    home.path.mkdir()
    make_stage(home, seed=1, changes={})
    inbox = home.inbox / "interactions"
    inbox.mkdir(parents=True)
    rows = [
        {
            "interaction_id": name,
            "conversation_id": talk,
            "turn": turn,
            "occurred_at": (NOW - timedelta(days=1)).isoformat(),
            "customer_id": customer,
            "text": text,
            "handled_by": "ai",
        }
        for name, talk, turn, customer, text in (
            ("msg-a1", "talk-1", 1, ANA, f"where is my {WORD}"),
            ("msg-a2", "talk-2", 1, ANA, f"another {WORD} please"),
            ("msg-b1", "talk-2", 2, "ben", "this one is mine"),
        )
    ]
    (inbox / "first.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    take_in(Loop(home=str(home.path)), t.INTERACTIONS)
    assert home.tables.read(t.INTERACTIONS).height == 3
    return home


def erase(home: Home, *options: str):
    return runner.invoke(app, ["erase", *options, "--home", str(home.path)])


def test_a_dry_run_tells_what_would_go_and_changes_nothing(home: Home):
    before = {path: path.read_bytes() for path in home.tables.root.rglob("*") if path.is_file()}
    shown = erase(home, "--customer", ANA, "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert "nothing was changed" in shown.output
    assert "interactions   2" in shown.output
    assert "inbox/interactions/first.jsonl" in shown.output
    assert {path: path.read_bytes() for path in home.tables.root.rglob("*") if path.is_file()} == before
    assert not home.ledger_path.exists()


def test_a_customer_is_erased_with_a_receipt_and_a_second_run_finds_nothing(home: Home):
    done = erase(home, "--customer", ANA, *WHO)
    assert done.exit_code == 0, done.output
    assert "The receipt is ledger entry 1 (erasure-" in done.output
    assert "1 files of the sources may still hold rows of it" in done.output
    assert home.tables.read(t.INTERACTIONS)["interaction_id"].to_list() == ["msg-b1"]
    again = erase(home, "--customer", ANA, *WHO)
    assert again.exit_code == 0, again.output
    assert "Nothing is left to erase." in again.output
    assert len(Loop(home=str(home.path)).open_ledger().entries()) == 1


def test_interactions_can_be_named_several_at_once(home: Home):
    done = erase(home, "--interaction", "msg-a1", "--interaction", "msg-b1", *WHO)
    assert done.exit_code == 0, done.output
    assert home.tables.read(t.INTERACTIONS)["interaction_id"].to_list() == ["msg-a2"]


@pytest.mark.parametrize(
    ("options", "needs"),
    [
        (WHO, "--customer or --interaction"),
        (["--customer", ANA, "--note", "why"], "--reviewer NAME"),
        (["--customer", ANA, "--reviewer", "dpo"], "--note WHY"),
        (["--customer", ANA, "--reviewer", "dpo", "--note", f"asked by {ANA}"], "holds an id"),
    ],
)
def test_what_is_missing_is_told(home: Home, options: list[str], needs: str):
    refused = erase(home, *options)
    assert isinstance(refused.exception, DecisionRefused)
    assert needs in str(refused.exception)
    assert home.tables.read(t.INTERACTIONS).height == 3


def test_it_waits_for_nobody_and_tells_which_job_is_at_work(home: Home):
    with open_instance(home) as instance:
        run = dg.DagsterRun(job_name="review_job", status=dg.DagsterRunStatus.STARTED)
        instance.add_run(run)
        refused = erase(home, "--customer", ANA, *WHO)
        assert isinstance(refused.exception, HomeError)
        assert "review_job is at work" in str(refused.exception)
        instance.report_run_failed(run)
    assert erase(home, "--customer", ANA, *WHO).exit_code == 0


@pytest.mark.label_studio
def test_label_studio_keeps_nothing_in_its_answers_nor_in_its_files(
    home: Home, fresh_label_studio: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CXLOOP_LABEL_STUDIO_TOKEN", TOKEN)
    monkeypatch.setenv("CXLOOP_LABEL_STUDIO_PASSWORD", PASSWORD)
    fresh_label_studio(home.label_studio)
    loop = Loop(home=str(home.path))
    names = ("msg-a1", "msg-a2", "msg-b1")
    queued = [
        {"interaction_id": name, "case_id": f"case-{name}", "picked_at": NOW, "score": 1.0, "blind": True, "overlap": 1}
        for name in names
    ]
    home.tables.merge(t.REVIEW_QUEUE, t.REVIEW_QUEUE.frame(queued))
    with embedded_label_studio(home, port=None, tell=lambda line: None):
        desk = loop.open_desk()
        project = desk.open_project(loop.settings.taxonomy)
        sent = desk.send(build_cases(home.tables, project=project, champion=None))
        stood = [
            {"interaction_id": one.case_id.removeprefix("case-"), "case_id": one.case_id, "sent_at": NOW}
            | {"project_id": one.project_id, "desk_task_id": one.desk_task_id}
            for one in sent
        ]
        home.tables.merge(t.REVIEW_TASKS, t.REVIEW_TASKS.frame(stood))
    held = [path for path in home.label_studio.rglob("*") if path.is_file() and WORD.encode() in path.read_bytes()]
    assert held
    with start_server(home.label_studio, token=TOKEN, password=PASSWORD):
        done = erase(home, "--interaction", "msg-a1", *WHO)
        assert "stop `cxloop up` and give the same command again" in done.output
    done = erase(home, "--customer", ANA, *WHO)
    assert done.exit_code == 0, done.output
    assert "stop `cxloop up`" not in done.output
    for path in home.label_studio.rglob("*"):
        assert not path.is_file() or not any(
            word.encode() in path.read_bytes() for word in (WORD, ANA, "msg-a1", "msg-a2")
        ), path
    with embedded_label_studio(home, port=None, tell=lambda line: None):
        desk = loop.open_desk()
        desk.open_project(loop.settings.taxonomy)
        assert desk.count_waiting() == 0
    assert home.tables.read(t.REVIEW_TASKS).is_empty()
    assert home.tables.read(t.REVIEW_QUEUE)["case_id"].to_list() == ["case-msg-b1"]
