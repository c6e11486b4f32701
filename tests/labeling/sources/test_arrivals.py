from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from labeling.config import load_config
from labeling.sources.arrivals import safe_id, type_rows
from labeling.sources.lots import LotPolicy, PartShares
from labeling.sources.redaction import RedactionRules
from labeling.sources.table_map import event_columns
from labeling.tables import CORRECTIONS, ESCALATIONS, INTERACTIONS, REVIEWS, Table

RULES = load_config(Path(__file__).parents[3] / "configs" / "redaction.yaml", RedactionRules)
LOTS = LotPolicy(audit_share=0.5, parts=PartShares(calibrate=0, test=1, estimate=0))
INTERACTION = {
    "interaction_id": "i1",
    "conversation_id": "c1",
    "turn": "2",
    "occurred_at": "2026-03-01T12:00:00.5+02:00",
    "text": "I am\x00 bob@example.org",
    "handled_by": "ai",
    "customer_id": "bob-17",
}


def typed(table: Table, *events: dict, key: bytes = b"k"):
    columns = event_columns(table)
    rows = [(position, *(event.get(column) for column in columns)) for position, event in enumerate(events, 1)]
    schema = {"position": pl.Int64, **dict.fromkeys(columns, pl.String)}
    raw = pl.DataFrame(rows, schema=pl.Schema(schema), orient="row")
    return type_rows(raw, table=table, rules=RULES, lots=LOTS, key=key)


def test_an_interaction_is_typed_redacted_keyed_and_put_into_its_lot():
    done = typed(INTERACTIONS, INTERACTION)
    assert done.refusals == ()
    assert done.good.drop("position").schema == pl.Schema(INTERACTIONS.schema)
    row = done.good.row(0, named=True)
    moment = datetime(2026, 3, 1, 10, 0, 0, 500_000, tzinfo=UTC)
    assert (row["turn"], row["occurred_at"], row["updated_at"]) == (2, moment, moment)
    assert row["text"] == "I am <EMAIL>"
    assert (row["lot"], row["part"]) in {("open", None), ("audit", "test")}
    assert len(row["customer_key"]) == 64


def test_an_e_mail_address_never_stands_in_an_id_and_still_names_the_same_thing():
    ada, bob = "ada@example.org", "bob@example.org"
    ids = [(ada, "c@x"), ("i2", bob), (ada, None)]
    events = [INTERACTION | {"interaction_id": one, "conversation_id": other} for one, other in ids]
    rows = typed(INTERACTIONS, *events).good
    assert rows["interaction_id"].to_list() == [safe_id(b"k", ada), "i2", safe_id(b"k", ada)]
    assert rows["conversation_id"].to_list() == ["c@x", safe_id(b"k", bob), None]
    assert "@" not in safe_id(b"k", ada)


def test_a_customer_s_key_depends_on_the_customer_and_the_key_only():
    events = [INTERACTION, INTERACTION | {"interaction_id": "i2"}, INTERACTION | {"customer_id": None}]
    keys = typed(INTERACTIONS, *events).good["customer_key"]
    assert keys[0] == keys[1]
    assert keys[2] is None
    assert typed(INTERACTIONS, INTERACTION, key=b"l").good["customer_key"][0] != keys[0]


@pytest.mark.parametrize(
    ("table", "change", "code"),
    [
        (INTERACTIONS, {"occurred_at": "2026-03-01T12:00:00"}, "bad_time"),
        (INTERACTIONS, {"occurred_at": "yesterday"}, "bad_time"),
        (INTERACTIONS, {"updated_at": "2026-02-30T12:00:00Z"}, "bad_time"),
        (INTERACTIONS, {"turn": "1.5"}, "bad_number"),
        (INTERACTIONS, {"turn": "9999999999999"}, "bad_number"),
        (INTERACTIONS, {"turn": "NaN"}, "bad_number"),
        (ESCALATIONS, {"needed": "perhaps"}, "bad_flag"),
        (ESCALATIONS, {"handle_seconds": "Infinity"}, "bad_number"),
        (ESCALATIONS, {"csat": "good"}, "bad_number"),
        (CORRECTIONS, {"corrected_at": "1772366400"}, "bad_time"),
    ],
)
def test_what_has_no_type_is_refused(table, change, code):
    base = INTERACTION if table == INTERACTIONS else {}
    done = typed(table, base, base | change)
    assert [(refusal.position, refusal.code) for refusal in done.refusals] == [(2, code)]
    assert done.good["position"].to_list() == [1]
    assert next(iter(change)) in done.refusals[0].reason


def test_empty_strings_are_null_and_whole_floats_are_whole_numbers():
    done = typed(ESCALATIONS, {"csat": "4.0", "needed": " TRUE ", "closed_at": "", "handle_seconds": "1e2"})
    row = done.good.row(0, named=True)
    assert (row["csat"], row["needed"], row["closed_at"], row["handle_seconds"]) == (4, True, None, 100.0)


def test_an_imported_review_is_blind_and_a_correction_s_reason_is_redacted():
    review = typed(REVIEWS, {"review_id": "r", "label": "x", "answered_at": "2026-01-01T00:00:00Z"}).good
    assert review.select("blind", "suggestion").row(0) == (True, None)
    assert typed(CORRECTIONS, {"reason": "told a@b.cd"}).good["reason"].item() == "told <EMAIL>"


def test_a_row_with_several_faults_is_one_refusal():
    (refusal,) = typed(INTERACTIONS, INTERACTION | {"occurred_at": "x", "updated_at": "y", "turn": "z"}).refusals
    assert refusal.reason.count(";") == 2
