"""The gateway's log as a source: only what is new is read, and each line makes its rows once."""

import polars as pl
import pytest

from assets.expectations import sift
from labeling.home import Home
from labeling.sources.collect import collect
from labeling.sources.erased import read_erased
from labeling.sources.events import encode_event, read_events
from labeling.sources.intake import House
from labeling.sources.source import GatewaySource, SourcesConfig
from labeling.tables import CORRECTIONS, DELIVERIES, ESCALATIONS, INTERACTIONS, PREDICTIONS, QUARANTINE
from tests.labeling.sources.test_collect import LOTS, NOW, RULES, TAXONOMY

SOURCE = GatewaySource(name="gateway", kind="gateway", tasks=("intent",))
AT = "2026-03-01T11:00:00+00:00"


def triage(number: int) -> bytes:
    said = {"version": "7", "handoff": False}
    predictions = {"intent": {"label": "refund", "confidence": 0.9, "margin": 0.8}}
    doubtful = {"intent": {"label": "delivery", "confidence": 0.5, "margin": 0.1}}
    interaction = {"interaction_id": f"i{number}", "conversation_id": "c", "turn": number, "text": f"text {number}"}
    return encode_event(
        {
            "v": 1,
            "interaction": interaction | {"occurred_at": AT, "updated_at": AT, "handled_by": "ai"},
            "champion": said | {"predictions": predictions},
            "challenger": said | {"version": "8", "handoff": True, "predictions": doubtful},
        }
    )


CORRECTION = encode_event(
    {
        "v": 1,
        "correction": {
            "correction_id": "k1",
            "interaction_id": "i0",
            "task": "intent",
            "label": "delivery",
            "agent_id": "ana",
            "corrected_at": AT,
        },
    }
)
ESCALATION = encode_event(
    {
        "v": 1,
        "escalation": {
            "escalation_id": "e1",
            "conversation_id": "c",
            "escalated_at": AT,
            "trigger": "agent",
            "csat": 4,
        },
    }
)


@pytest.fixture
def segment(tmp_path):
    folder = tmp_path / "gateway"
    folder.mkdir()
    return folder / "00000001.jsonl"


def add(segment, *lines: bytes) -> None:
    with segment.open("ab") as file:
        file.writelines(lines)


def run(folder):
    home = Home(folder)
    erased = read_erased(home.tables, home.key())
    sift_all = lambda frame, table: sift(frame, table=table, taxonomy=TAXONOMY, now=NOW)  # noqa: E731
    house = House(home.tables, home.key(), RULES, LOTS, erased, sift_all, NOW)
    sources = SourcesConfig(schema_version=2, sources=(SOURCE,))
    collect(INTERACTIONS.name, sources=sources, home=home, house=house)
    return home.tables


def test_each_line_makes_its_rows(tmp_path, segment):
    add(segment, triage(0), triage(1), CORRECTION, ESCALATION)
    tables = run(tmp_path)
    assert sorted(tables.read(INTERACTIONS)["interaction_id"]) == ["i0", "i1"]
    assert tables.read(CORRECTIONS)["label"].to_list() == ["delivery"]
    assert tables.read(ESCALATIONS)["csat"].to_list() == [4]
    said = tables.read(PREDICTIONS).filter(interaction_id="i0").sort("model_version")
    columns = ["model_version", "label", "confidence", "margin", "shown", "handoff"]
    assert said.select(columns).rows() == [
        ("7", "refund", 0.9, 0.8, True, False),
        ("8", "delivery", 0.5, 0.1, False, True),
    ]
    assert tables.read(QUARANTINE).is_empty()


def test_only_what_is_new_is_read_and_an_unfinished_line_waits(tmp_path, segment):
    add(segment, triage(0), triage(1)[:-20])
    tables = run(tmp_path)
    add(segment, triage(1)[-20:], triage(2))
    (segment.parent / "00000002.jsonl").write_bytes(triage(3))
    run(tmp_path)
    run(tmp_path)
    assert sorted(tables.read(INTERACTIONS)["interaction_id"]) == ["i0", "i1", "i2", "i3"]
    noted = tables.read(DELIVERIES).filter(table="interactions").sort("origin", "version")
    whole, first = segment.stat().st_size, len(triage(0))
    assert set(noted["version"]) == {f"0-{first}", f"{first}-{whole}", f"0-{len(triage(3))}"}
    assert int(noted["rows"].sum()) == 4


def test_erased_lines_are_passed_over_and_damaged_ones_refused(tmp_path, segment):
    erased, damaged = b" " * (len(triage(1)) - 1) + b"\n", triage(2).replace(b"text 2", b"text 9")
    add(segment, triage(0), erased, damaged, triage(3), b"x" * 1_000_001 + b"\n")
    batches = list(read_events(SOURCE, folder=tmp_path, taken=frozenset()))
    rows = pl.concat([batch.rows for batch in batches])
    assert rows["interaction.interaction_id"].to_list() == ["i0", "i3"]
    refused = [refusal for batch in batches for refusal in batch.refused]
    assert [refusal.code for refusal in refused] == ["broken_json", "line_too_long"]
    assert refused[0].position == 1 + len(triage(0)) + len(erased)
    assert "text" not in refused[0].reason


def test_a_log_that_is_not_there_holds_nothing_and_odd_tasks_are_told(tmp_path):
    assert not list(read_events(SOURCE, folder=tmp_path, taken=frozenset()))
    with pytest.raises(ValueError, match="tasks"):
        GatewaySource.model_validate({"name": "gateway", "kind": "gateway", "tasks": 7})
