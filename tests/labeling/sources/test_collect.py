"""Collection as a whole: every row ends in a table, parked or in quarantine; once, in whatever order it came."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from assets.expectations import sift
from labeling.config import load_config
from labeling.errors import SourceError
from labeling.home import Home
from labeling.sources.collect import Collected, Collection, collect
from labeling.sources.erased import read_erased
from labeling.sources.intake import House
from labeling.sources.lots import LotPolicy, PartShares
from labeling.sources.redaction import RedactionRules
from labeling.sources.refusals import Refusal, Sifted
from labeling.sources.source import SourcesConfig
from labeling.sources.table_map import COLLECTED
from labeling.tables import CORRECTIONS, DELIVERIES, INTERACTIONS, PARKED, QUARANTINE, Table
from labeling.taxonomy import Label, Task, Taxonomy

CONFIGS = Path(__file__).parents[3] / "configs"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RULES = load_config(CONFIGS / "redaction.yaml", RedactionRules)
SOURCES = load_config(CONFIGS / "sources.yaml", SourcesConfig)
LOTS = LotPolicy(audit_share=0.2, parts=PartShares(calibrate=0.3, test=0.4, estimate=0.3))
LABELS = (Label(name="refund", title="Refund"), Label(name="delivery", title="Delivery"))
TAXONOMY = Taxonomy(schema_version=1, version=1, tasks=(Task(name="intent", question="What?", labels=LABELS),))


def sift_shallow(frame: pl.DataFrame, table: Table) -> Sifted:
    """A quick stand-in for the suites where a test is about crashes: it refuses rows from the future only."""
    late = frame.filter(pl.col(table.event_time) > NOW)
    refused = tuple(Refusal(position, "in_the_future", "later than now") for position in late["position"])
    return Sifted(frame.filter(~pl.col("position").is_in(late["position"].implode())), refused)


def sift_whole(frame: pl.DataFrame, table: Table) -> Sifted:
    return sift(frame, table=table, taxonomy=TAXONOMY, now=NOW)


def make_house(home: Home, *, now: datetime = NOW, full: bool = False) -> House:
    erased = read_erased(home.tables, home.key())
    return House(home.tables, home.key(), RULES, LOTS, erased, sift_whole if full else sift_shallow, now)


def run(
    home: Home,
    *tables: Table,
    now: datetime = NOW,
    full: bool = False,
    sources: SourcesConfig = SOURCES,
    only: str = "",
) -> Collection:
    names = [table.name for table in tables or COLLECTED]
    return collect(*names, sources=sources, home=home, house=make_house(home, now=now, full=full), only=only)


def interaction(number: int, **change) -> dict:
    at = (NOW - timedelta(hours=number + 1)).isoformat()
    known = {"interaction_id": f"i{number}", "conversation_id": f"c{number // 3}", "turn": number % 3}
    said = {"occurred_at": at, "text": f"message {number}", "handled_by": "ai", "customer_id": f"u{number}"}
    return known | said | change


def correction(number: int, **change) -> dict:
    at = (NOW - timedelta(hours=number)).isoformat()
    made = {"correction_id": f"k{number}", "interaction_id": f"i{number}", "task": "intent", "label": "refund"}
    return made | {"agent_id": "a1", "corrected_at": at} | change


def deliver(home: Home, table: Table, name: str, events: list) -> None:
    path = home.inbox / table.name / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    path.write_bytes(b"\n".join(lines) + b"\n")
    os.utime(path, (0, 0))  # the same file in two homes is to be noted alike


def contents(home: Home) -> dict[str, list[dict]]:
    known = (*COLLECTED, PARKED, QUARANTINE, DELIVERIES)
    return {table.name: home.tables.read(table).sort(table.key).to_dicts() for table in known}


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    monkeypatch.setenv("CXLOOP_KEY", "key of the tests")
    return Home(tmp_path / "home")


def test_every_row_goes_to_its_table_or_to_quarantine_and_counts_add_up(home):
    events = [
        interaction(0),
        interaction(1, text="<b>hi</b>\x07 from bob@example.org"),
        interaction(2, text=""),
        interaction(3, text="long " * 20_000),
        interaction(4, occurred_at=(NOW + timedelta(days=1)).isoformat()),
        interaction(5, occurred_at="2026-01-01T00:00:00"),
        b'{"interaction_id": "i6", "text": "cut sho',
        b"\xff\xfe\x00 caf\xe9",
        interaction(0),
    ]
    deliver(home, INTERACTIONS, "mixed", events)
    deliver(home, CORRECTIONS, "mixed", [correction(0), correction(1, label="teleport"), correction(99)])
    done = run(home, full=True).tables
    at = NOW - timedelta(hours=1)
    assert done["interactions"] == Collected(
        origins=1, rows=9, stored=3, inserted=2, updated=0, quarantined=6, newest_at=at
    )
    corrected = done["corrections"]
    assert (corrected.rows, corrected.inserted, corrected.parked, corrected.quarantined) == (3, 1, 1, 1)
    codes = home.tables.read(QUARANTINE).sort("table", "position")["reason_code"].to_list()
    first = ["text_empty", "text_too_long", "in_the_future", "bad_time", "broken_json", "broken_encoding"]
    assert codes == ["unknown_label", *first]
    noted = home.tables.read(DELIVERIES)
    assert (noted["rows"] == noted["stored"] + noted["parked"] + noted["quarantined"]).all()
    texts = home.tables.read(INTERACTIONS).sort("interaction_id")["text"].to_list()
    assert texts == ["message 0", "<b>hi</b> from <EMAIL>"]


def test_nobody_s_data_stands_in_any_stored_byte(home):
    canary = "canary.person@example.org"
    shown = json.dumps(interaction(7, text=f"reach {canary}", customer_id=canary))
    bad = [
        interaction(0, text=f"I am {canary}", customer_id=canary),
        interaction(1, occurred_at=canary, text=canary, customer_id=canary),
        interaction(2, text=f"{canary} " * 1000, customer_id=canary),
        interaction(3, handled_by=canary),
        shown[:-5].encode(),
        shown.encode("utf-16"),
    ]
    deliver(home, INTERACTIONS, "canary", bad)
    deliver(home, CORRECTIONS, "canary", [correction(0, reason=canary), correction(1, label=canary)])
    run(home, full=True)
    everything = "".join(map(str, contents(home).values()))
    assert "canary" not in everything.replace("canary.jsonl", "")
    stored = [path for path in home.path.rglob("*") if path.is_file() and home.inbox not in path.parents]
    assert stored
    assert not [path.name for path in stored if b"canary.person" in path.read_bytes()]


def test_quarantined_rows_keep_their_redacted_json_and_their_place(home):
    deliver(home, CORRECTIONS, "a", [correction(0), correction(1, label="x", reason="ask a@b.cd", corrected_at="soon")])
    run(home, CORRECTIONS)
    row = home.tables.read(QUARANTINE).row(0, named=True)
    assert (row["source"], row["origin"], row["position"]) == ("corrections", "inbox/corrections/a.jsonl", 2)
    assert row["reason_code"] == "bad_time"
    assert json.loads(row["row"])["reason"] == "ask <EMAIL>"


def test_collecting_again_changes_nothing(home):
    deliver(home, INTERACTIONS, "a", [interaction(0), interaction(1, occurred_at="?")])
    run(home)
    before = contents(home)
    versions = [home.tables.version(table) for table in (INTERACTIONS, QUARANTINE, DELIVERIES)]
    assert run(home, now=NOW + timedelta(hours=1)).tables["interactions"] == Collected()
    assert contents(home) == before
    assert [home.tables.version(table) for table in (INTERACTIONS, QUARANTINE, DELIVERIES)] == versions


def test_a_newer_version_supersedes_and_an_older_one_is_ignored_in_either_order(tmp_path, monkeypatch):
    monkeypatch.setenv("CXLOOP_KEY", "key of the tests")
    old = interaction(5, text="old", updated_at=(NOW - timedelta(hours=2)).isoformat())
    new = interaction(5, text="new", updated_at=(NOW - timedelta(hours=1)).isoformat())
    tables = []
    for name, order in {"rising": [old, new], "falling": [new, old]}.items():
        home = Home(tmp_path / name)
        for number, event in enumerate(order):
            deliver(home, INTERACTIONS, str(number), [event])
            run(home, INTERACTIONS)
        tables.append(home.tables.read(INTERACTIONS).to_dicts())
    assert tables[0] == tables[1]
    assert tables[0][0]["text"] == "new"


def test_a_correction_is_parked_until_its_interaction_comes(home):
    deliver(home, CORRECTIONS, "early", [correction(0, reason="call +44 20 7946 0958")])
    assert run(home).tables["corrections"].parked == 1
    assert home.tables.read(CORRECTIONS).is_empty()
    deliver(home, INTERACTIONS, "late", [interaction(0)])
    done = run(home, now=NOW + timedelta(days=3)).tables["corrections"]
    assert (done.joined, done.expired) == (1, 0)
    assert home.tables.read(CORRECTIONS).to_dicts()[0]["reason"] == "call <PHONE>"
    assert home.tables.read(CORRECTIONS).schema == pl.Schema(CORRECTIONS.schema)
    assert home.tables.read(PARKED).is_empty()


def test_a_correction_whose_interaction_never_comes_is_quarantined_in_the_end(home):
    deliver(home, CORRECTIONS, "early", [correction(0)])
    run(home)
    assert run(home, now=NOW + timedelta(days=13)).tables["corrections"].expired == 0
    assert run(home, now=NOW + timedelta(days=14)).tables["corrections"].expired == 1
    assert home.tables.read(QUARANTINE)["reason_code"].to_list() == ["interaction_never_came"]
    assert home.tables.read(PARKED).is_empty()


def test_one_source_fills_several_tables_and_brings_its_own_interactions(home):
    rows = [
        {**interaction(n), "agent": "a1", "fix": "refund" if n % 2 else None, "at": NOW.isoformat()} for n in range(4)
    ]
    (home.path / "helpdesk").mkdir(parents=True)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (home.path / "helpdesk" / "tickets.jsonl").write_text(lines)
    fixes = {
        "correction_id": {"from": "interaction_id", "prefix": "fix-"},
        "interaction_id": "interaction_id",
        "task": {"constant": "intent"},
        "label": "fix",
        "agent_id": "agent",
        "corrected_at": "at",
    }
    maps = [{"table": "interactions"}, {"table": "corrections", "needs": "fix", "columns": fixes}]
    described = {"name": "helpdesk", "kind": "files", "path": "helpdesk", "maps": maps}
    sources = SourcesConfig.model_validate({"schema_version": 2, "sources": [described]})
    done = run(home, INTERACTIONS, sources=sources).tables
    assert (done["interactions"].inserted, done["corrections"].inserted, done["corrections"].parked) == (4, 2, 0)
    assert home.tables.read(CORRECTIONS)["correction_id"].sort().to_list() == ["fix-i1", "fix-i3"]


def test_a_source_that_cannot_be_read_does_not_stop_the_others(home):
    broken = {"name": "crm", "kind": "sql", "url": "sqlite:///nowhere/at/all.db", "table": "x"}
    described = [{**broken, "maps": [{"table": "interactions"}]}, SOURCES.sources[0].model_dump(by_alias=True)]
    sources = SourcesConfig.model_validate({"schema_version": 2, "sources": described})
    deliver(home, INTERACTIONS, "a", [interaction(0)])
    done = run(home, INTERACTIONS, sources=sources)
    assert done.tables["interactions"].inserted == 1
    [fault] = done.unread
    assert fault.startswith("source crm")


def test_one_source_alone_can_be_read_and_an_unknown_one_is_told(home):
    deliver(home, INTERACTIONS, "a", [interaction(0)])
    deliver(home, CORRECTIONS, "a", [correction(0)])
    done = run(home, INTERACTIONS, CORRECTIONS, only="interactions").tables
    assert (done["interactions"].rows, done["corrections"].rows) == (1, 0)
    with pytest.raises(SourceError, match=r"a source of sources.yaml is needed \(interactions, .*\), found crm"):
        run(home, only="crm")


def test_a_refused_row_that_a_grown_file_mends_is_stored(home):
    whole = json.dumps(interaction(0)).encode()
    deliver(home, INTERACTIONS, "a", [whole[:30]])
    run(home)
    deliver(home, INTERACTIONS, "a", [whole])
    done = run(home).tables["interactions"]
    assert (done.origins, done.rows, done.inserted, done.quarantined) == (1, 1, 1, 0)


def fill(home: Home) -> None:
    for part in range(3):
        events = [interaction(number) for number in range(part * 20, part * 20 + 25)]
        deliver(home, INTERACTIONS, f"part-{part}", [*events, b"broken", interaction(900 + part, occurred_at="?")])
        deliver(home, CORRECTIONS, f"part-{part}", [correction(number) for number in range(part * 5, part * 5 + 8)])


def test_killed_at_any_moment_and_run_again_the_tables_are_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("CXLOOP_KEY", "key of the tests")
    undisturbed = Home(tmp_path / "undisturbed")
    fill(undisturbed)
    run(undisturbed)
    expected = contents(undisturbed)
    rng = np.random.default_rng(7)
    killed = 0
    for trial in range(3):
        home = Home(tmp_path / f"trial-{trial}")
        fill(home)
        for _ in range(2):
            killed += kill_while_collecting(home, rng.uniform(0.0, 1.2))
        run(home)
        assert contents(home) == expected
    assert killed >= 3


def kill_while_collecting(home: Home, delay: float) -> bool:
    """Start a collection in a process of its own, kill -9 it ``delay`` seconds after its first step."""
    command = [sys.executable, "-m", "tests.labeling.sources.collecting", str(home.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
        return process.wait() == -signal.SIGKILL
