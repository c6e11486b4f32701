"""Quarantined rows come in once the map or the taxonomy is mended; what cannot is told, and nothing is lost."""

import json
from datetime import timedelta

import pytest

from labeling.home import Home
from labeling.sources.erased import Erased
from labeling.sources.replaying import count_quarantine, read_quarantine, replay_quarantine
from labeling.sources.source import SourcesConfig
from labeling.tables import CORRECTIONS, INTERACTIONS, QUARANTINE
from tests.labeling.sources.test_collect import NOW, correction, deliver, interaction, make_house, run

FIXES = {
    "correction_id": "correction_id",
    "interaction_id": "interaction_id",
    "task": "task",
    "label": "label",
    "agent_id": "agent_id",
    "corrected_at": "corrected_at",
    "reason": "reason",
}


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    monkeypatch.setenv("CXLOOP_KEY", "key of the tests")
    return Home(tmp_path / "home")


def sources(**columns) -> SourcesConfig:
    maps = [[{"table": "interactions"}], [{"table": "corrections", "columns": FIXES | columns}]]
    described = [
        {"name": name, "kind": "files", "path": f"inbox/{name}", "maps": one}
        for name, one in zip(("interactions", "corrections"), maps, strict=True)
    ]
    return SourcesConfig.model_validate({"schema_version": 2, "sources": described})


def replay(home, **columns):
    house = make_house(home, now=NOW + timedelta(hours=1), full=True)
    return replay_quarantine(read_quarantine(home.tables), sources=sources(**columns), house=house)


def refuse_two(home) -> None:
    deliver(home, INTERACTIONS, "a", [interaction(0), interaction(1), interaction(2)])
    wrong = [correction(0, label="Money back", reason="ask ada@example.org"), correction(1, label="??"), correction(2)]
    deliver(home, CORRECTIONS, "a", wrong)
    run(home, full=True, sources=sources())
    assert home.tables.read(QUARANTINE).height == 2


def test_a_mended_map_takes_the_rows_in_and_the_others_stay_with_the_reason_of_today(home):
    refuse_two(home)
    done = replay(home, label={"from": "label", "values": {"Money back": "refund"}})
    assert (done.taken, done.refused, done.left) == (1, 1, {})
    stored = home.tables.read(CORRECTIONS).sort("correction_id")
    assert stored["correction_id"].to_list() == ["k0", "k2"]
    assert stored["reason"][0] == "ask <EMAIL>"
    [left] = home.tables.read(QUARANTINE).to_dicts()
    assert json.loads(left["row"])["label"] == "??"


def test_the_reason_is_that_of_today(home):
    refuse_two(home)
    before = home.tables.read(QUARANTINE).sort("position")
    replay(home, label={"from": "label", "values": {"??": None}})
    after = home.tables.read(QUARANTINE).sort("position")
    assert after["quarantine_id"].to_list() == before["quarantine_id"].to_list()
    assert after["reason_code"].to_list() == ["unknown_label", "missing"]
    assert after["position"].to_list() == before["position"].to_list()


def test_a_replayed_row_whose_interaction_has_not_come_is_parked(home):
    deliver(home, CORRECTIONS, "a", [correction(0, label="Money back")])
    run(home, full=True, sources=sources())
    assert replay(home, label={"from": "label", "values": {"Money back": "refund"}}).taken == 1
    deliver(home, INTERACTIONS, "late", [interaction(0)])
    assert run(home, full=True, sources=sources()).tables["corrections"].joined == 1


def test_a_replayed_message_has_the_customer_s_key_and_its_lot(home):
    deliver(home, INTERACTIONS, "a", [interaction(0), interaction(1, handled_by="robot", customer_id="u0")])
    run(home, full=True, sources=sources())
    mended = sources().model_dump(by_alias=True)
    mended["sources"][0]["maps"][0]["columns"] = {
        **{name: name for name in ("interaction_id", "conversation_id", "turn", "occurred_at", "text", "customer_id")},
        "handled_by": {"from": "handled_by", "values": {"robot": "ai"}},
    }
    rows = read_quarantine(home.tables)
    house = make_house(home, full=True)
    assert replay_quarantine(rows, sources=SourcesConfig.model_validate(mended), house=house).taken == 1
    stored = home.tables.read(INTERACTIONS)
    assert stored["customer_key"].n_unique() == 1
    assert stored["lot"].null_count() == 0


def test_rows_that_were_not_kept_and_sources_that_are_gone_are_told(home):
    deliver(home, CORRECTIONS, "a", [b"{broken", correction(0, label="??")])
    run(home, full=True, sources=sources())
    assert replay(home).left == {"the row itself was not kept: mend it at the source": 1}
    none = SourcesConfig(schema_version=2)
    done = replay_quarantine(read_quarantine(home.tables), sources=none, house=make_house(home))
    assert done.left == {"no such source and table in sources.yaml any more": 2}
    assert home.tables.read(QUARANTINE).height == 2


def test_personal_data_in_an_id_keeps_the_row_from_being_kept(home):
    deliver(home, CORRECTIONS, "a", [correction(0, interaction_id="ada@example.org", label="??")])
    run(home, full=True, sources=sources())
    [row] = home.tables.read(QUARANTINE).to_dicts()
    assert (row["row"], row["interaction_id"]) == (None, None)
    assert len(row["row_digest"]) == 64


def test_rows_of_whom_was_erased_do_not_come_back(home):
    deliver(home, INTERACTIONS, "a", [interaction(0), interaction(1)])
    house = make_house(home)
    run(home, full=True, sources=sources())
    gone = home.tables.read(INTERACTIONS).filter(interaction_id="i0")["customer_key"].item()
    erased = Erased(frozenset({gone}), frozenset(), frozenset(), house.key)
    sifted = erased.withhold(home.tables.read(INTERACTIONS).sort("interaction_id").with_row_index("position", offset=1))
    assert sifted.good["interaction_id"].to_list() == ["i1"]
    assert [(refusal.position, refusal.code) for refusal in sifted.refusals] == [(1, "erased")]


def test_counts_stand_by_source_table_and_reason(home):
    refuse_two(home)
    [counted] = count_quarantine(read_quarantine(home.tables)).to_dicts()
    assert (counted["source"], counted["table"]) == ("corrections", "corrections")
    assert (counted["reason_code"], counted["rows"]) == ("unknown_label", 2)
    assert read_quarantine(home.tables, code="missing").is_empty()
