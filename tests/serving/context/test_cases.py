"""Similar cases and the customer's history, read from the tables."""

from datetime import timedelta

import polars as pl
import pytest

from labeling import tables as t
from labeling.delta import Tables
from serving.context.history import read_history
from serving.context.similar import SimilarCases, describe, describe_conversation
from serving.conversation import Conversation
from tests.serving.context.talks import NOW, TAXONOMY, close_case, embed, put


@pytest.fixture
def tables(tmp_path) -> Tables:
    return Tables(tmp_path)


def build(tables, **more):
    return SimilarCases.build(tables, taxonomy=TAXONOMY, embed=embed, **more)


def test_the_most_similar_resolved_case_is_told_with_what_solved_it(tables):
    ended = {"resolved_intent": "lost_card", "solved_by": "card_blocked", "csat": 5, "handle_seconds": 240.0}
    close_case(tables, "one", "I have lost my card in town", **ended)
    close_case(tables, "two", "the invoice is too high", resolved_intent="unknown_charge")
    [found] = build(tables).find(describe(["I have lost my card"], embed), tables)
    assert (found.escalation_id, found.request) == ("e-one", "I have lost my card in town")
    assert (found.intent, found.solved_by, found.csat, found.handle_seconds) == ("card_lost", "card_blocked", 5, 240.0)
    assert found.likeness == pytest.approx(0.845, abs=0.01)


def test_cases_that_failed_or_came_back_are_no_models_to_follow(tables):
    close_case(tables, "one", "I have lost my card", resolved=False)
    close_case(tables, "two", "I have lost my card", reopened=True)
    close_case(tables, "open", "I have lost my card", resolved=None)
    cases = build(tables)
    assert cases.cases["escalation_id"].sort().to_list() == ["e-one", "e-two"]
    assert cases.find(describe(["I have lost my card"], embed), tables) == []


def test_an_erased_message_is_never_shown(tables):
    close_case(tables, "one", "I have lost my card")
    cases = build(tables)
    tables.delete(t.INTERACTIONS, pl.col("interaction_id") == "one")
    assert cases.find(describe(["I have lost my card"], embed), tables) == []


def test_only_what_was_written_before_the_person_came_describes_a_case(tables):
    close_case(tables, "one", "I have lost my card")
    later = {"interaction_id": "late", "conversation_id": "of-one", "turn": 2, "text": "thanks and goodbye"}
    put(tables, t.INTERACTIONS, later | {"occurred_at": NOW})
    [found] = build(tables).find(describe(["I have lost my card"], embed), tables)
    assert found.likeness == pytest.approx(1.0)


def test_the_newest_cases_are_kept(tables):
    close_case(tables, "old", "I have lost my card", days_ago=9)
    close_case(tables, "new", "I have lost my card", days_ago=1)
    assert build(tables, most=1).cases["escalation_id"].to_list() == ["e-new"]


def test_actions_are_ranked_by_how_surely_they_end_well(tables):
    for number in range(8):
        close_case(tables, f"block-{number}", "I lost my card", solved_by="card_blocked", resolved=number > 0)
    close_case(tables, "luck", "I lost my card", solved_by="told_to_wait")
    for number in range(3):
        close_case(tables, f"wait-{number}", "I lost my card", solved_by="asked_again", reopened=True)
    found = build(tables).rank_actions(describe(["I lost my card"], embed))
    assert [(one.action, one.cases, round(one.ended_well, 3)) for one in found] == [
        ("card_blocked", 8, 0.875),
        ("told_to_wait", 1, 1.0),
        ("asked_again", 3, 0.0),
    ]
    assert found[0].low == pytest.approx(0.529, abs=0.001)  # Wilson's interval of 7 in 8


def test_an_empty_home_has_no_cases(tables):
    cases = build(tables)
    assert cases.rank_actions(describe(["hello"], embed)) == []
    assert cases.find(describe(["hello"], embed), tables) == []
    assert describe_conversation(Conversation.of_text(" "), embed) is None


def test_the_history_counts_earlier_conversations_of_this_customer_only(tables):
    close_case(tables, "one", "hello", days_ago=20, customer="ann", csat=2, resolved=False)
    close_case(tables, "two", "hello", days_ago=3, customer="ann", csat=5)
    close_case(tables, "now", "hello", days_ago=0, customer="ann")
    close_case(tables, "other", "hello", days_ago=2, customer="ben")
    label = {"interaction_id": "one", "task": "intent", "label": "lost_card", "source": "review", "answer_ids": ["r"]}
    put(tables, t.LABELS, label)
    found = read_history(tables, "ann", taxonomy=TAXONOMY, before=NOW + timedelta(hours=1), but="of-now")
    assert (found.conversations, found.escalations, found.unresolved, found.csat) == (2, 2, 1, 3.5)
    assert found.since == NOW - timedelta(days=20)
    assert [(one.intent, one.outcome) for one in found.recent] == [(None, "resolved"), ("card_lost", "not resolved")]
    assert read_history(tables, "nobody", taxonomy=TAXONOMY, before=NOW).conversations == 0
