"""What the page tells of a customer's earlier conversations, and of who answered this one."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from labeling import tables as t
from labeling.delta import Tables
from labeling.desk.history import find_handoffs, tell_histories

NOW = datetime(2026, 3, 9, tzinfo=UTC)


@pytest.fixture
def tables(tmp_path):
    return Tables(tmp_path)


def put(tables, table, *rows, **common):
    plain = {name: NOW for name, kind in table.schema.items() if kind == t.TIME}
    tables.merge(table, table.frame([plain | common | row for row in rows]))


def talk(tables, name, *, days_ago=0, customer: str | None = "anna", channel="chat", **known):
    row = {"interaction_id": name, "conversation_id": f"of-{name}", "customer_key": customer, "channel": channel}
    put(tables, t.INTERACTIONS, row | {"turn": 1, "occurred_at": NOW - timedelta(days=days_ago)} | known)


def label(tables, name, label, task="intent"):
    put(tables, t.LABELS, {"interaction_id": name, "task": task, "label": label}, source="review", answer_ids=["r"])


def escalate(tables, name, **known):
    row = {"escalation_id": f"e-{name}", "conversation_id": f"of-{name}", "interaction_id": name}
    put(tables, t.ESCALATIONS, row | known)


def told(tables, name="now"):
    asked = tables.read(t.INTERACTIONS, where=pl.col("interaction_id") == name)
    return tell_histories(tables, asked, topic="intent").get(name, ())


def handoff(tables, name="now"):
    asked = tables.read(t.INTERACTIONS, where=pl.col("interaction_id") == name)
    return find_handoffs(tables, asked).get(name)


def test_earlier_conversations_are_told_newest_first_with_label_and_outcome(tables):
    talk(tables, "now")
    talk(tables, "older", days_ago=20)
    talk(tables, "newer", days_ago=3, channel="email")
    label(tables, "older", "card_lost")
    label(tables, "older", "negative", task="sentiment")
    escalate(tables, "older", resolved=True, reopened=False)
    assert told(tables) == ("2026-03-06 email: not labelled", "2026-02-17 chat: card_lost, resolved")


def test_how_a_conversation_ended_is_said_in_a_word(tables):
    talk(tables, "now")
    for days, name in enumerate(("failed", "again", "open"), start=1):
        talk(tables, name, days_ago=days)
        label(tables, name, "refund")
    escalate(tables, "failed", resolved=False)
    escalate(tables, "again", resolved=True, reopened=True)
    escalate(tables, "open", resolved=None)
    assert [line.split(": ")[1] for line in told(tables)] == ["refund, not resolved", "refund, reopened", "refund"]


def test_others_later_ones_and_the_same_conversation_are_not_told(tables):
    talk(tables, "now", days_ago=5)
    talk(tables, "same", days_ago=6, conversation_id="of-now")
    talk(tables, "later", days_ago=1)
    talk(tables, "stranger", days_ago=9, customer="ben")
    talk(tables, "nobody", days_ago=9, customer=None)
    assert told(tables) == ()
    assert told(tables, "nobody") == ()


def test_at_most_five_are_told_and_nothing_of_a_model(tables):
    talk(tables, "now")
    for days in range(1, 9):
        talk(tables, f"old-{days}", days_ago=days)
        put(tables, t.PREDICTIONS, {"interaction_id": f"old-{days}", "task": "intent", "label": "said by a model"})
    assert [line[:10] for line in told(tables)] == [f"2026-03-0{day}" for day in (8, 7, 6, 5, 4)]
    assert "model" not in str(told(tables))


def test_who_took_a_message_over_is_known_from_what_happened(tables):
    talk(tables, "now", handled_by="ai")
    assert handoff(tables) is False
    put(
        tables, t.PREDICTIONS, {"interaction_id": "now", "task": "intent"}, model_version="1", handoff=True, shown=False
    )
    assert handoff(tables) is False, "what was not shown did not happen"
    put(tables, t.PREDICTIONS, {"interaction_id": "now", "task": "intent"}, model_version="2", handoff=True, shown=True)
    assert handoff(tables) is True
    talk(tables, "other", handled_by="ai")
    escalate(tables, "other")
    assert handoff(tables, "other") is True
    talk(tables, "agent", handled_by="agent")
    assert handoff(tables, "agent") is True
    talk(tables, "unknown", handled_by=None)
    assert handoff(tables, "unknown") is None
