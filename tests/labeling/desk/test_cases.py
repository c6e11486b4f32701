"""Cases are made of queue rows as a person may see them, and review rows of answers."""

from datetime import UTC, datetime

import pytest

from labeling import tables as t
from labeling.delta import Tables
from labeling.desk.cases import build_cases, review_rows
from labeling.desk.desk import Answer, Suggestion, Turn

NOW = datetime(2026, 3, 9, tzinfo=UTC)


@pytest.fixture
def tables(tmp_path):
    return Tables(tmp_path)


def put(tables, table, *rows, **common):
    plain = {name: NOW for name, kind in table.schema.items() if kind == t.TIME}
    tables.merge(table, table.frame([plain | common | row for row in rows]))


def queue(tables, *names, conversation="", **common):
    put(
        tables,
        t.INTERACTIONS,
        *({"interaction_id": name, "conversation_id": conversation or f"of-{name}"} for name in names),
        turn=1,
        text="hello",
        channel="chat",
        segment="",
        language="en",
    )
    rows = [{"case_id": f"case-{name}", "interaction_id": name} for name in names]
    put(tables, t.REVIEW_QUEUE, *rows, **{"reason": "uncertainty", "blind": False, "overlap": 1} | common)


def predict(tables, name, *, version="2"):
    said = {"interaction_id": name, "task": "intent", "label": f"said by {version}", "confidence": 0.7}
    put(tables, t.PREDICTIONS, said, model_version=version, margin=0.1, shown=True, handoff=False)


def cases(tables, *, project="1", champion="2"):
    return build_cases(tables, project=project, champion=champion)


def test_a_case_carries_the_champions_suggestion_its_reason_and_what_is_known(tables):
    queue(tables, "a", overlap=2)
    predict(tables, "a")
    predict(tables, "a", version="1")
    [case] = cases(tables)
    assert (case.case_id, case.interaction_id, case.reason, case.overlap) == ("case-a", "a", "uncertainty", 2)
    assert case.suggestions == {"intent": Suggestion("said by 2", 0.7)}
    assert case.context == {"channel": "chat", "language": "en"}


def test_a_blind_case_gives_nothing_away(tables):
    queue(tables, "a", reason="disagreement", blind=True)
    predict(tables, "a")
    [case] = cases(tables)
    assert case.blind
    assert case.suggestions == {}
    assert case.reason == "audit"


def test_without_a_champion_nothing_is_suggested(tables):
    queue(tables, "a")
    predict(tables, "a")
    assert cases(tables, champion=None)[0].suggestions == {}


def test_the_most_pressing_case_comes_first(tables):
    queue(tables, "a", "b", score=0.2)
    queue(tables, "c", score=0.9)
    queue(tables, "d", score=None)
    ids = [case.interaction_id for case in cases(tables)]
    assert ids.index("c") < ids.index("a") < ids.index("b")
    assert set(ids) == {"a", "b", "c", "d"}


def test_a_conversation_is_told_up_to_the_message_in_question(tables):
    queue(tables, "b", conversation="talk")
    rows = [{"interaction_id": f"turn-{turn}", "turn": turn, "text": f"turn {turn}"} for turn in (3, 2, 0)]
    put(tables, t.INTERACTIONS, *rows, conversation_id="talk")
    [case] = cases(tables)
    assert case.conversation == (Turn("customer", "turn 0"), Turn("customer", "hello"))


def test_what_stands_at_the_desk_or_was_read_is_not_sent_again(tables):
    queue(tables, "new", "sent", "read")
    put(tables, t.REVIEW_TASKS, {"case_id": "case-sent", "interaction_id": "sent"}, project_id="1", desk_task_id="7")
    put(tables, t.REVIEWS, {"review_id": "r", "interaction_id": "read"}, task="intent", label="x")
    assert [case.interaction_id for case in cases(tables)] == ["new"]


def test_unanswered_cases_of_a_deleted_project_go_again(tables):
    queue(tables, "sent", "read")
    rows = [{"case_id": f"case-{name}", "interaction_id": name} for name in ("sent", "read")]
    put(tables, t.REVIEW_TASKS, *rows, project_id="1", desk_task_id="7")
    put(tables, t.REVIEWS, {"review_id": "r", "interaction_id": "read"}, task="intent", label="x")
    assert [case.interaction_id for case in cases(tables, project="2")] == ["sent"]


def answer(**changed):
    plain = {
        "answer_id": "ls-1",
        "case_id": "case-a",
        "interaction_id": "a",
        "annotator_id": "anna",
        "labels": {"intent": "refund", "sentiment": "negative"},
        "refused": {},
        "suggestions": {"intent": "billing"},
        "is_blind": False,
        "is_skipped": False,
        "answered_at": NOW,
        "lead_seconds": 4.5,
    }
    return Answer(**plain | changed)


def test_an_answer_becomes_a_row_a_task_with_what_was_suggested():
    rows = review_rows([answer()]).sort("task").to_dicts()
    assert [(row["review_id"], row["task"], row["label"], row["suggestion"]) for row in rows] == [
        ("ls-1", "intent", "refund", "billing"),
        ("ls-1", "sentiment", "negative", None),
    ]
    assert rows[0]["lead_seconds"] == 4.5
    assert rows[0]["answered_at"] == NOW


def test_skips_and_refused_labels_make_no_row():
    skipped = answer(labels={}, is_skipped=True)
    refused = answer(labels={"sentiment": "negative"}, refused={"intent": "unknown_label"})
    assert review_rows([skipped, refused])["task"].to_list() == ["sentiment"]
    assert review_rows([]).columns == list(t.REVIEWS.schema)
