from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from assets.expectations import sift
from labeling.migrations import LabelChange, Migration
from labeling.tables import CORRECTIONS, ESCALATIONS, INTERACTIONS, REVIEWS, TEXT_LIMIT, Table
from labeling.taxonomy import Label, Task, Taxonomy

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TAXONOMY = Taxonomy(
    schema_version=1,
    version=1,
    tasks=(
        Task(
            name="intent",
            question="What is it about?",
            labels=(Label(name="refund", title="Refund"), Label(name="delivery", title="Delivery")),
            rejects=True,
        ),
        Task(
            name="mood",
            question="How do they feel?",
            labels=(Label(name="calm", title="Calm"), Label(name="angry", title="Angry")),
        ),
    ),
)
INTERACTION = {
    "interaction_id": "i1",
    "conversation_id": "c1",
    "turn": 0,
    "occurred_at": NOW,
    "updated_at": NOW,
    "text": "where is it",
    "handled_by": "ai",
    "lot": "open",
}
CORRECTION = {
    "correction_id": "k1",
    "interaction_id": "i1",
    "task": "intent",
    "label": "refund",
    "agent_id": "a1",
    "corrected_at": NOW,
}
ESCALATION = {"escalation_id": "e1", "conversation_id": "c1", "escalated_at": NOW, "trigger": "agent"}
REVIEW = {
    "review_id": "r1",
    "interaction_id": "i1",
    "annotator_id": "p1",
    "task": "mood",
    "label": "calm",
    "answered_at": NOW,
}


def frame(table: Table, rows: list[dict]) -> pl.DataFrame:
    return table.frame(rows).with_row_index("position", offset=1).cast({"position": pl.Int64})


def codes(table: Table, rows: list[dict], taxonomy: Taxonomy = TAXONOMY) -> dict[int, str]:
    sifted = sift(frame(table, rows), table=table, taxonomy=taxonomy, now=NOW)
    refused = {refusal.position: refusal.code for refusal in sifted.refusals}
    assert sorted([*refused, *sifted.good["position"]]) == list(range(1, len(rows) + 1))
    return refused


@pytest.mark.parametrize(
    ("table", "row"),
    [(INTERACTIONS, INTERACTION), (CORRECTIONS, CORRECTION), (ESCALATIONS, ESCALATION), (REVIEWS, REVIEW)],
    ids=lambda value: value.name if isinstance(value, Table) else "",
)
def test_good_rows_pass_unchanged_and_each_required_column_is_required(table, row):
    whole = frame(table, [row])
    assert sift(whole, table=table, taxonomy=TAXONOMY, now=NOW).good.equals(whole)
    lacking = [{name: value for name, value in row.items() if name != column} for column in row]
    assert codes(table, [row, *lacking]) == dict.fromkeys(range(2, len(row) + 2), "missing")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"text": " \n\t "}, "text_empty"),
        ({"text": "a" * (TEXT_LIMIT + 1)}, "text_too_long"),
        ({"text": "a" * 100_000}, "text_too_long"),
        ({"occurred_at": NOW + timedelta(minutes=6)}, "in_the_future"),
        ({"updated_at": NOW + timedelta(days=4000)}, "in_the_future"),
        ({"handled_by": "robot"}, "unknown_value"),
        ({"turn": -1}, "out_of_range"),
        ({"interaction_id": "i\x001"}, "bad_id"),
        ({"interaction_id": ""}, "bad_id"),
        ({"conversation_id": "c" * 201}, "bad_id"),
        ({"channel": "c" * 201}, "too_long"),
    ],
)
def test_a_bad_interaction_is_refused_with_its_code(change, code):
    assert codes(INTERACTIONS, [INTERACTION, INTERACTION | change]) == {2: code}


@pytest.mark.parametrize(
    "change",
    [
        {"text": "a" * TEXT_LIMIT},
        {"occurred_at": NOW + timedelta(minutes=4)},
        {"text": "<b>bold</b> \U0001f600 'quoted' --"},
        {"interaction_id": "../../etc/passwd'; DROP TABLE x"},
        {"channel": None, "segment": None, "customer_key": None},
    ],
)
def test_odd_but_allowed_interactions_pass(change):
    assert codes(INTERACTIONS, [INTERACTION | change]) == {}


def test_unknown_tasks_and_labels_are_refused():
    rows = [
        CORRECTION,
        CORRECTION | {"label": "calm"},
        CORRECTION | {"label": "no_such_label"},
        CORRECTION | {"task": "no_such_task"},
        CORRECTION | {"label": "none_of_these"},
        CORRECTION | {"label": "cannot_tell"},
        CORRECTION | {"task": "mood", "label": "none_of_these"},
    ]
    assert codes(CORRECTIONS, rows) == {
        2: "unknown_label",
        3: "unknown_label",
        4: "unknown_task",
        6: "unknown_label",
        7: "unknown_label",
    }
    assert codes(REVIEWS, [REVIEW | {"label": "cannot_tell"}, REVIEW | {"label": "refund"}]) == {2: "unknown_label"}


def test_a_label_that_a_migration_knows_is_accepted_as_it_was_given():
    change = LabelChange(rename={"parcel": "delivery"}, retire=("greeting",))
    changed = TAXONOMY.model_copy(
        update={"version": 2, "migrations": (Migration(version=2, tasks={"intent": change}),)}
    )
    rows = [CORRECTION | {"label": "parcel"}, CORRECTION | {"label": "greeting"}, CORRECTION | {"label": "never"}]
    assert codes(CORRECTIONS, rows, changed) == {3: "unknown_label"}
    assert codes(REVIEWS, [REVIEW | {"task": "intent", "label": "parcel"}, REVIEW | {"label": "parcel"}], changed) == {
        2: "unknown_label"
    }
    assert codes(CORRECTIONS, rows) == {1: "unknown_label", 2: "unknown_label", 3: "unknown_label"}


def test_escalations_keep_their_ranges_and_their_order_of_time():
    rows = [
        ESCALATION | {"csat": 5, "closed_at": NOW, "handle_seconds": 0.0},
        ESCALATION | {"csat": 0},
        ESCALATION | {"csat": 6},
        ESCALATION | {"handle_seconds": -1.0},
        ESCALATION | {"closed_at": NOW - timedelta(seconds=2)},
        ESCALATION | {"trigger": "mail"},
    ]
    assert codes(ESCALATIONS, rows) == {
        2: "out_of_range",
        3: "out_of_range",
        4: "out_of_range",
        5: "closed_before_opened",
        6: "unknown_value",
    }


def test_a_row_with_many_faults_is_refused_once_and_names_no_value():
    row = CORRECTION | {"label": "bob@example.org", "corrected_at": NOW + timedelta(days=1), "agent_id": None}
    (refusal,) = sift(frame(CORRECTIONS, [row]), table=CORRECTIONS, taxonomy=TAXONOMY, now=NOW).refusals
    assert refusal.code == "missing"
    assert "corrected_at lies in the future" in refusal.reason
    assert "bob@example.org" not in refusal.reason


def test_an_empty_frame_needs_no_validation():
    sifted = sift(frame(REVIEWS, []), table=REVIEWS, taxonomy=TAXONOMY, now=NOW)
    assert sifted.good.is_empty()
    assert sifted.refusals == ()
