"""``cxloop collect`` and ``cxloop quarantine``: what came, what did not and why, and the same rows once mended."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from labeling.home import Home
from labeling.tables import CORRECTIONS, QUARANTINE
from pipelines.cli import app

runner = CliRunner()


def said(*words: str) -> tuple[int, str]:
    done = runner.invoke(app, [*words])
    return done.exit_code, " ".join(done.output.split())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    assert runner.invoke(app, ["init", "--home", str(made)]).exit_code == 0
    message = {"interaction_id": "i1", "conversation_id": "c1", "turn": 0, "text": "hello", "handled_by": "ai"}
    fix = {"correction_id": "k1", "interaction_id": "i1", "task": "intent", "label": "Money back", "agent_id": "a"}
    at = (datetime.now(UTC) - timedelta(hours=5)).isoformat()
    write(made, "interactions", {**message, "occurred_at": at})
    write(made, "corrections", {**fix, "corrected_at": at, "reason": "wrote to ada@example.org"})
    return made


def write(home: Path, table: str, event: dict) -> None:
    (home / "inbox" / table / "new.jsonl").write_text(json.dumps(event) + "\n")


def mend(home: Path, **change) -> None:
    """Change the map of corrections in sources.yaml."""
    path = home / "configs" / "sources.yaml"
    sources = yaml.safe_load(path.read_text())
    columns = {name: name for name in CORRECTIONS.schema} | change
    sources["sources"][1]["maps"] = [{"table": "corrections", "columns": columns}]
    path.write_text(yaml.safe_dump(sources))


def test_a_refused_row_is_counted_shown_mended_and_taken_in(home):
    settings = home / "configs" / "settings.yaml"
    settings.write_text(settings.read_text().replace("max_quarantined_share: 0.2", "max_quarantined_share: 1.0"))
    code, told = said("collect", "--home", str(home))
    assert code == 0, told
    assert "interactions 1 1 0 0 0 0 5.0 h ago" in told
    assert "corrections 1 0 0 0 0 1" in told
    assert "`cxloop quarantine list` says why" in told

    code, told = said("quarantine", "list", "--home", str(home))
    assert "1 rows in quarantine" in told
    assert "unknown_label" in told
    code, told = said("quarantine", "show", "--code", "unknown_label", "--home", str(home))
    assert "label = Money back" in told
    assert "reason = wrote to <EMAIL>" in told
    assert "No such row" in said("quarantine", "show", "--code", "missing", "--home", str(home))[1]

    code, told = said("quarantine", "replay", "--home", str(home))
    assert "0 rows were taken in, 1 were refused again." in told
    mend(home, label={"from": "label", "values": {"Money back": "bill_higher"}})
    code, told = said("quarantine", "replay", "--home", str(home))
    assert (code, "1 rows were taken in, 0 were refused again." in told) == (0, True)
    assert Home(home).tables.read(CORRECTIONS)["label"].to_list() == ["bill_higher"]
    assert Home(home).tables.read(QUARANTINE).is_empty()
    assert "The quarantine is empty." in said("quarantine", "list", "--home", str(home))[1]


def test_a_source_that_cannot_be_read_is_told_with_exit_code_1_and_the_others_are_taken_in(home):
    path = home / "configs" / "sources.yaml"
    sources = yaml.safe_load(path.read_text())
    crm = {"name": "crm", "kind": "sql", "url": "sqlite:////nowhere/at/all.db", "table": "x"}
    sources["sources"].append({**crm, "maps": [{"table": "escalations"}]})
    path.write_text(yaml.safe_dump(sources))
    mend(home, label={"constant": "bill_higher"})
    code, told = said("collect", "--home", str(home))
    assert code == 1
    assert "error: source crm" in told
    assert "corrections 1 1 0 0 0 0 5.0 h ago" in told


def test_one_source_alone_is_read(home):
    code, told = said("collect", "interactions", "--home", str(home))
    assert (code, "corrections 0 0 0 0 0 0" in told) == (0, True)


def test_an_unknown_source_is_told_beside_those_that_there_are(home):
    done = runner.invoke(app, ["collect", "crm", "--home", str(home)])
    names = "interactions, corrections, escalations, context_feedback, reviews, gateway"
    assert f"a source of sources.yaml is needed ({names}), found crm" in str(done.exception)
