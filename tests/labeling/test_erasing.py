"""What the tables hold of somebody, and that all of it goes and nothing else."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from labeling import tables as t
from labeling.delta import Tables
from labeling.erasing import (
    ORDER,
    Traces,
    count_rows,
    delete_aged,
    delete_rows,
    digest_traces,
    find_again,
    find_aged,
    find_traces,
    read_refused,
    refuse_return,
    withhold_aged,
)
from labeling.sources.erased import read_erased
from labeling.tables import Table

KEY = b"key"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def digest(text: str) -> str:
    return f"digest of {text}"


def put(tables: Tables, table: Table, *rows: dict) -> None:
    times = {name: NOW for name, kind in table.schema.items() if kind == t.TIME}
    tables.merge(table, table.frame([times | row for row in rows]))


def message(name: str, conversation: str, turn: int, customer: str | None, text: str) -> dict:
    return {
        "interaction_id": name,
        "conversation_id": conversation,
        "turn": turn,
        "customer_key": customer,
        "text": text,
    }


@pytest.fixture
def tables(tmp_path) -> Tables:
    """Ana alone in talk 1, Ana and then Ben in talk 2, Ben alone in talk 3; Ana and Ben both said hello."""
    tables = Tables(tmp_path / "tables")
    put(
        tables,
        t.INTERACTIONS,
        message("a1", "talk-1", 1, "ana", "hello"),
        message("a2", "talk-1", 2, "ana", "where is my zyxgloop"),
        message("a3", "talk-2", 1, "ana", "it is broken"),
        message("b1", "talk-2", 2, "ben", "mine too"),
        message("b2", "talk-3", 1, "ben", "hello"),
    )
    everyone = [{"interaction_id": name} for name in ("a1", "a2", "a3", "b1", "b2")]
    put(tables, t.PREDICTIONS, *({**one, "task": "intent", "model_version": "1"} for one in everyone))
    put(tables, t.CORRECTIONS, *({**one, "correction_id": f"c-{one['interaction_id']}"} for one in everyone))
    put(
        tables,
        t.ESCALATIONS,
        {"escalation_id": "e1", "conversation_id": "talk-1"},
        {"escalation_id": "e2", "conversation_id": "talk-2"},
        {"escalation_id": "e3", "conversation_id": "talk-2", "interaction_id": "a3"},
        {"escalation_id": "e4", "conversation_id": None},
    )
    put(
        tables,
        t.CONTEXT_FEEDBACK,
        *({**one, "feedback_id": one["interaction_id"], "missing": "nothing"} for one in everyone),
    )
    put(tables, t.CANDIDATE_INTENTS, *({**one, "candidate_id": "c", "state": "open"} for one in everyone))
    put(tables, t.REVIEWS, *({**one, "review_id": f"r-{one['interaction_id']}", "task": "intent"} for one in everyone))
    put(tables, t.REVIEW_QUEUE, *({**one, "case_id": f"case-{one['interaction_id']}"} for one in everyone))
    put(tables, t.REVIEW_TASKS, *({**one, "case_id": f"case-{one['interaction_id']}"} for one in everyone))
    put(tables, t.LABELS, *({**one, "task": "intent"} for one in everyone))
    put(tables, t.PARKED, {"table": "corrections", "event_id": "p1", "interaction_id": "a9", "row": "{}"})
    put(
        tables,
        t.QUARANTINE,
        {"quarantine_id": "q1", "customer_key": "ana", "interaction_id": "a9"},
        {"quarantine_id": "q2", "interaction_id": "a2"},
        {"quarantine_id": "q3", "customer_key": "ben"},
        {"quarantine_id": "q4"},
    )
    texts = ("hello", "where is my zyxgloop", "it is broken", "mine too")
    put(tables, t.FEATURES, *({"encoder_digest": "e", "text_digest": digest(text)} for text in texts))
    put(tables, t.TRAINING_SETS, *({**one, "training_set_id": "s"} for one in everyone))
    return tables


def contents(tables: Tables) -> dict[str, list]:
    return {table.name: sorted(tables.read(table).rows(), key=str) for table in t.TABLES}


def test_a_customer_is_found_in_every_table(tables: Tables):
    found = find_traces(tables, customers=["ana"], digest_text=digest)
    assert found == Traces(
        customers=frozenset({"ana"}),
        interactions=frozenset({"a1", "a2", "a3", "a9"}),
        conversations=frozenset({"talk-1"}),
        texts=frozenset({digest("where is my zyxgloop"), digest("it is broken")}),
        cases=frozenset({"case-a1", "case-a2", "case-a3"}),
        neighbours=frozenset({"case-b1"}),
    )
    assert count_rows(tables, found) == {
        "review_queue": 3,
        "interactions": 3,
        "review_tasks": 3,
        "reviews": 3,
        "corrections": 3,
        "labels": 3,
        "predictions": 3,
        "escalations": 2,
        "context_feedback": 3,
        "candidate_intents": 3,
        "parked": 1,
        "quarantine": 2,
        "features": 2,
    }


def test_what_goes_is_what_was_counted_and_the_neighbour_is_sent_again(tables: Tables):
    found = find_traces(tables, customers=["ana"], digest_text=digest)
    counted, before = count_rows(tables, found), contents(tables)
    gone = {table.name: delete_rows(tables, table, found) for table in ORDER}
    assert gone == counted | {"review_tasks": 4}
    assert count_rows(tables, find_traces(tables, customers=["ana"], digest_text=digest)) == {}
    assert tables.read(t.REVIEW_TASKS)["case_id"].to_list() == ["case-b2"]
    assert sorted(tables.read(t.REVIEW_QUEUE)["case_id"]) == ["case-b1", "case-b2"]
    assert sorted(tables.read(t.ESCALATIONS)["escalation_id"]) == ["e2", "e4"]
    assert sorted(tables.read(t.QUARANTINE)["quarantine_id"]) == ["q3", "q4"]
    assert contents(tables)["training_sets"] == before["training_sets"]


def test_one_interaction_goes_and_its_customer_stays(tables: Tables):
    found = find_traces(tables, interactions=["a3"], digest_text=digest)
    assert (found.conversations, found.neighbours) == (frozenset(), frozenset({"case-b1"}))
    for table in ORDER:
        delete_rows(tables, table, found)
    assert sorted(tables.read(t.INTERACTIONS)["interaction_id"]) == ["a1", "a2", "b1", "b2"]
    assert sorted(tables.read(t.ESCALATIONS)["escalation_id"]) == ["e1", "e2", "e4"]


def test_an_earlier_message_of_somebody_else_shows_nothing_of_a_later_one(tables: Tables):
    assert find_traces(tables, interactions=["b1"], digest_text=digest).neighbours == frozenset()


def test_nobody_is_found_where_nobody_is(tables: Tables, tmp_path):
    for where in (tables, Tables(tmp_path / "none")):
        found = find_traces(where, customers=["cem"], interactions=["x'; drop"], digest_text=digest)
        assert count_rows(where, found) == {}


def test_nothing_asked_for_is_nothing_found(tables: Tables):
    assert find_traces(tables, digest_text=digest) == Traces()
    assert count_rows(tables, Traces()) == {}
    assert [delete_rows(tables, table, Traces()) for table in ORDER] == [0] * len(ORDER)


@pytest.mark.parametrize("taken", range(len(ORDER) + 1))
def test_what_is_left_is_found_by_digests_whatever_has_gone(tables: Tables, taken: int):
    found = find_traces(tables, customers=["ana"], digest_text=digest)
    digests = digest_traces(found, key=KEY)
    for table in ORDER[:taken]:
        delete_rows(tables, table, found)
    again = find_again(tables, digests, key=KEY) | Traces(texts=found.texts, neighbours=found.neighbours)
    for table in ORDER:
        delete_rows(tables, table, again)
    assert count_rows(tables, found) == {}
    assert sorted(tables.read(t.ESCALATIONS)["escalation_id"]) == ["e2", "e4"]
    assert tables.read(t.REVIEW_TASKS)["case_id"].to_list() == ["case-b2"]
    assert tables.read(t.FEATURES).height == 2


def test_who_was_erased_is_known_once_and_by_digest_only(tables: Tables):
    digests = digest_traces(find_traces(tables, customers=["ana"], digest_text=digest), key=KEY)
    assert refuse_return(tables, digests, receipt="erasure-1", now=NOW) == 6
    assert refuse_return(tables, digests, receipt="erasure-2", now=NOW) == 0
    assert read_refused(tables) == digests
    stored = tables.read(t.ERASURES)
    assert set(stored["receipt"]) == {"erasure-1"}
    assert not {"a1", "a2", "a3", "talk-1"} & set(stored["digest"])
    withheld = read_erased(tables, KEY).withhold(
        pl.DataFrame(
            {"position": [1, 2, 3], "interaction_id": ["a1", "b1", "n1"], "customer_key": [None, "ben", "ana"]}
        )
    )
    assert withheld.good["interaction_id"].to_list() == ["b1"]
    assert [refusal.code for refusal in withheld.refusals] == ["erased", "erased"]


def aged(name: str, days: float) -> dict:
    return {"interaction_id": name, "text": f"text {name}", "turn": 1, "occurred_at": NOW - timedelta(days=days)}


def test_old_interactions_are_found_by_age(tmp_path):
    tables = Tables(tmp_path / "tables")
    put(tables, t.INTERACTIONS, aged("old", 11), aged("new", 9), aged("older", 400))
    found = find_aged(tables, days=10, now=NOW, digest_text=digest)
    assert found.interactions == {"old", "older"}
    assert find_aged(tables, days=10, now=NOW, digest_text=digest, keep=frozenset({"old"})).interactions == {"older"}


def test_rows_go_by_the_time_of_their_event(tmp_path):
    tables = Tables(tmp_path / "tables")
    for name, days in (("old", 31), ("new", 29)):
        put(tables, t.CORRECTIONS, {"correction_id": name, "corrected_at": NOW - timedelta(days=days)})
    assert delete_aged(tables, t.CORRECTIONS, days=30, now=NOW) == 1
    assert tables.read(t.CORRECTIONS)["correction_id"].to_list() == ["new"]


def test_old_rows_that_a_source_sends_again_are_refused():
    rows = t.INTERACTIONS.frame([aged("old", 11), aged("new", 9)]).with_row_index("position", offset=1)
    cut = withhold_aged(rows, t.INTERACTIONS, days={"interactions": 10}, now=NOW)
    assert cut.good["interaction_id"].to_list() == ["new"]
    assert [(refusal.position, refusal.code) for refusal in cut.refusals] == [(1, "past_retention")]
    for days in ({}, {"interactions": 0}, {"corrections": 1}):
        assert withhold_aged(rows, t.INTERACTIONS, days=days, now=NOW).good.height == 2
