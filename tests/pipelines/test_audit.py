"""``cxloop audit`` as an auditor meets it, and what ``cxloop status`` says of the alarm and of dead letters."""

import shutil

import pytest
import yaml
from typer.testing import CliRunner

from assets.notifying import send_due
from assets.resources import Loop
from labeling.home import Home
from pipelines.cli import app
from pipelines.replay.stage import make_stage
from tests.serving.receiver import receiving
from tests.training.registry.stage import NOW, open_stage
from training.registry.alarm import watch_registry
from training.registry.registry import RELEASE

runner = CliRunner()


@pytest.fixture
def home(made_record, tmp_path):
    home = Home(tmp_path / "home")
    home.path.mkdir()
    make_stage(home, seed=1, changes={})
    shutil.copytree(made_record, home.path, dirs_exist_ok=True)
    return home


def invoke(home, *arguments):
    return runner.invoke(app, [*arguments, "--home", str(home.path)])


def test_a_record_verifies_is_exported_and_its_faults_are_listed(home, tmp_path):
    verified = invoke(home, "audit", "verify")
    assert verified.exit_code == 0, verified.output
    for line in ("Ledger     9 entries, head ", "12 anchors, 3 of them on", "3 named by the ledger, 6 files", "Next: "):
        assert line in verified.output
    file = tmp_path / "record.zip"
    assert "Exported to" in invoke(home, "audit", "export", str(file)).output
    against = invoke(home, "audit", "verify", "--against", str(file))
    assert "21 anchors" in against.output

    one = min(home.case_files.iterdir())
    (one / "gates.json").write_text("{}")
    with home.ledger_path.with_suffix(".head").open("a") as head:
        head.write("nonsense\n")
    faulty = invoke(home, "audit", "verify")
    assert faulty.exit_code == 1
    assert "2 faults" in faulty.output
    assert f"case file {one.name[:12]}, gates.json" in faulty.output
    assert "ledger.head line 10" in faulty.output
    refused = invoke(home, "audit", "export", str(tmp_path / "second.zip"))
    assert refused.exit_code == 1
    assert "needs a record that verifies, found 2 faults" in str(refused.exception)


def test_status_shows_the_alarm_and_dead_letters_and_run_notify_tries_them_again(home, monkeypatch):
    channel = {"name": "hook", "through": "webhook", "url_from": "HOOK", "secret_from": "SECRET"}
    (home.configs / "notices.yaml").write_text(yaml.safe_dump({"channels": [channel], "attempts": 1}))
    stage = open_stage(home.path)
    stage.registry.set_alias(RELEASE, "champion", "2")
    watch_registry(stage.ledger, stage.registry, now=NOW, pause=0.0)
    with receiving() as receiver:
        monkeypatch.setenv("HOOK", f"http://127.0.0.1:{receiver.port}")
        monkeypatch.setenv("SECRET", "a secret")
        receiver.answers = [500]
        done = send_due(Loop(home=str(home.path)), retry=False)
        assert (done.sent, done.dead) == (1, 1)
        shown = invoke(home, "status")
        assert "Alarm      cxloop-triage: alias champion is 2, the ledger says 1" in shown.output
        told = "Dead       challenger_waits of ledger entry 8 to hook: the receiver answered 500, 1 attempts"
        assert told in shown.output
        assert "`cxloop run notify` tries the dead letters again" in shown.output
        assert "sent 1, waiting 0, dead 0" in invoke(home, "run", "notify").output
