"""Whatever goes wrong while messages are collected, nobody's data stands in any byte of the home but the inbox."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from labeling.home import Home
from labeling.tables import INTERACTIONS
from pipelines.cli import app

CANARY = "canary.person@example.org"
ROOT = Path(__file__).parents[2]
runner = CliRunner()


@pytest.fixture
def home(tmp_path) -> Home:
    """A home whose sources, files and a database, are full of somebody's data."""
    made = Home(tmp_path / "home")
    assert runner.invoke(app, ["init", "--home", str(made.path)]).exit_code == 0
    at = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    known = {"conversation_id": "c", "turn": 0, "occurred_at": at, "handled_by": "ai", "customer_id": CANARY}
    events = [{**known, "interaction_id": f"i{number}", "text": f"I am {CANARY}"} for number in range(3_000)]
    events += [{**known, "interaction_id": CANARY, "text": CANARY}, {**known, "text": CANARY, "turn": CANARY}]
    lines = [json.dumps(event) for event in events] + [json.dumps(events[0])[:-9]]
    (made.inbox / "interactions" / "new.jsonl").write_text("\n".join(lines))
    with sqlite3.connect(made.inbox / "crm.db") as crm:
        crm.execute("create table fixes (id text, of text, label text, at text, why text)")
        rows = [(f"k{number}", f"i{number}", CANARY, at, CANARY) for number in range(50)]
        crm.executemany("insert into fixes values (?, ?, ?, ?, ?)", rows)
    crm.close()
    columns = {"correction_id": "id", "interaction_id": "of", "task": {"constant": "intent"}, "label": "label"}
    columns |= {"agent_id": {"constant": "a"}, "corrected_at": "at", "reason": "why"}
    described = {"name": "crm", "kind": "sql", "url": f"sqlite:///{made.inbox / 'crm.db'}", "table": "fixes"}
    path = made.configs / "sources.yaml"
    sources = yaml.safe_load(path.read_text())
    sources["sources"].append({**described, "maps": [{"table": "corrections", "columns": columns}]})
    path.write_text(yaml.safe_dump(sources))
    return made


def traces(home: Home) -> list[str]:
    """Return the files outside the inbox that hold the canary."""
    files = [path for path in home.path.rglob("*") if path.is_file() and home.inbox not in path.parents]
    assert files
    return [str(path.relative_to(home.path)) for path in files if b"canary.person" in path.read_bytes()]


def start(home: Home) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from pipelines.cli import main; main()", "collect", "--home", str(home.path)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_bad_rows_leave_no_trace(home):
    done = runner.invoke(app, ["collect", "--home", str(home.path)])
    assert "canary" not in done.output
    assert home.tables.read(INTERACTIONS).height >= 3_000
    assert traces(home) == []


def test_a_kill_at_any_instant_leaves_no_trace(home):
    for delay in (0.0, 0.1, 0.3, 0.6):
        with start(home) as collecting:
            while collecting.poll() is None and not (home.path / "collecting").exists():
                time.sleep(0.01)
            time.sleep(delay)
            os.kill(collecting.pid, signal.SIGKILL)
        assert traces(home) == []
        shutil.rmtree(home.path / "collecting", ignore_errors=True)


def test_a_table_that_cannot_be_written_leaves_no_trace(home):
    home.tables.root.mkdir(exist_ok=True)
    (home.tables.root / "interactions").write_text("a file where the table should be")
    done = runner.invoke(app, ["collect", "--home", str(home.path)])
    assert done.exit_code == 1
    assert "canary" not in done.output + str(done.exception)
    assert traces(home) == []


def test_a_source_that_breaks_off_leaves_no_trace(home):
    with (home.inbox / "crm.db").open("r+b") as damaged:
        damaged.seek(4_096)
        damaged.write(b"\x00" * 4_096)
    done = runner.invoke(app, ["collect", "--home", str(home.path)])
    assert "canary" not in done.output
    assert traces(home) == []
