"""Cases are made of queue rows as a person may see them, and review rows of answers."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

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


def test_whoever_reads_a_part_reads_each_reasons_share(tables):
    for number in range(6):
        queue(tables, f"sure-{number}", reason="typical", score=1.0)
        queue(tables, f"doubted-{number}", reason="uncertainty", score=number / 10)
    for number in range(3):
        queue(tables, f"handed-{number}", reason="handoff", score=0.01 * number)
    found = cases(tables)
    for part in (found[:5], found[5:10], found[10:]):
        assert Counter(case.reason for case in part) == {"typical": 2, "uncertainty": 2, "handoff": 1}
    doubted = [case.interaction_id for case in found if case.reason == "uncertainty"]
    assert doubted == [f"doubted-{number}" for number in reversed(range(6))]


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


def test_what_stands_at_the_desk_was_read_or_withdrawn_is_not_sent_again(tables):
    queue(tables, "new", "sent", "sending", "withdrawn", "read", "imported", "passed on")
    for name in ("sent", "sending", "withdrawn"):
        row = {"case_id": f"case-{name}", "interaction_id": name, "state": name}
        put(tables, t.REVIEW_TASKS, row, project_id="1", desk_task_id="7")
    put(tables, t.REVIEWS, {"review_id": "r", "case_id": "case-read"}, task="intent", label="x")
    put(tables, t.REVIEWS, {"review_id": "i", "interaction_id": "imported"}, task="intent", label="x")
    skip = {"review_id": "s", "case_id": "case-passed on", "interaction_id": "passed on", "unanswered": "skipped"}
    put(tables, t.REVIEWS, skip, task="intent")
    assert sorted(case.interaction_id for case in cases(tables)) == ["new", "passed on", "sending"]


def test_unanswered_cases_of_a_deleted_project_go_again(tables):
    queue(tables, "sent", "read", "withdrawn")
    rows = [{"case_id": f"case-{name}", "interaction_id": name} for name in ("sent", "read")]
    put(tables, t.REVIEW_TASKS, *rows, project_id="1", desk_task_id="7")
    gone = {"case_id": "case-withdrawn", "interaction_id": "withdrawn", "state": "withdrawn"}
    put(tables, t.REVIEW_TASKS, gone, project_id="1")
    put(tables, t.REVIEWS, {"review_id": "r", "interaction_id": "read"}, task="intent", label="x")
    assert [case.interaction_id for case in cases(tables, project="2")] == ["sent"]


@pytest.mark.parametrize("reason", ["gold", "label_error"])
def test_what_was_read_can_be_asked_again_and_looks_like_any_other_case(tables, reason):
    queue(tables, "a", reason=reason)
    predict(tables, "a")
    put(
        tables, t.REVIEWS, {"review_id": "r", "case_id": "case-before", "interaction_id": "a"}, task="intent", label="x"
    )
    put(tables, t.REVIEWS, {"review_id": "i", "interaction_id": "a"}, task="intent", label="x")
    [case] = cases(tables)
    queue(tables, "b")
    predict(tables, "b")
    [other] = [case for case in cases(tables) if case.interaction_id == "b"]
    assert case == replace(other, case_id="case-a", interaction_id="a")


def test_a_case_tells_what_happened_unless_it_is_blind(tables):
    queue(tables, "a")
    put(tables, t.INTERACTIONS, {"interaction_id": "before", "conversation_id": "b", "customer_key": "anna"}, turn=1)
    later = {"interaction_id": "c", "conversation_id": "c", "customer_key": "anna", "handled_by": "agent"}
    put(tables, t.INTERACTIONS, later | {"occurred_at": NOW + timedelta(days=1)}, turn=1, text="again")
    row = {"case_id": "case-c", "interaction_id": "c", "reason": "uncertainty", "overlap": 1}
    put(tables, t.REVIEW_QUEUE, row | {"blind": False})
    told = {case.interaction_id: (case.history, case.handed_off) for case in cases(tables)}
    assert told == {"a": ((), None), "c": (("2026-03-09 message: not labelled",), True)}
    put(tables, t.REVIEW_QUEUE, row | {"case_id": "case-d", "blind": True})
    [blind] = [case for case in cases(tables) if case.blind]
    assert blind.handed_off is None


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


def test_a_skip_is_a_row_a_task_without_a_label():
    rows = review_rows([answer(labels={}, is_skipped=True)], tasks=["intent", "sentiment"]).to_dicts()
    assert [(row["task"], row["label"], row["unanswered"], row["case_id"]) for row in rows] == [
        ("intent", None, "skipped", "case-a"),
        ("sentiment", None, "skipped", "case-a"),
    ]


def test_refused_labels_make_no_row():
    refused = answer(labels={"sentiment": "negative"}, refused={"intent": "unknown_label"})
    rows = review_rows([refused], tasks=["intent", "sentiment"])
    assert rows.select("task", "unanswered").rows() == [("sentiment", None)]
    assert review_rows([]).columns == list(t.REVIEWS.schema)


def test_the_handoff_and_a_second_label_stand_in_the_rows_of_their_tasks():
    given = answer(labels={"intent": "refund", "handoff": "needed"}, second_labels={"intent": "billing"})
    rows = review_rows([given], tasks=["intent", "sentiment"]).sort("task")
    assert rows.select("task", "label", "second_label").rows() == [
        ("handoff", "needed", None),
        ("intent", "refund", "billing"),
    ]


def test_a_note_stands_once_and_only_redacted():
    given = answer(note="ring Ms Roe on 555-0100")
    assert review_rows([given])["note"].to_list() == [None, None]
    rows = review_rows([given], redact=lambda text: text.replace("Ms Roe", "<NAME>").replace("555-0100", "<PHONE>"))
    assert rows["note"].to_list() == ["ring <NAME> on <PHONE>", None]


def test_a_judging_case_asks_between_two_answers_in_an_order_that_names_no_version(tables):
    names = [f"m{number}" for number in range(12)]
    queue(tables, *names, reason="judging", blind=True, champion="2", frame="3")
    for name in names:
        predict(tables, name)
        predict(tables, name, version="3")
        predict(tables, name, version="1")
    found = [case.answers["intent"] for case in cases(tables)]
    assert {frozenset(answers) for answers in found} == {frozenset({"said by 2", "said by 3"})}
    assert len(set(found)) == 2, "both orders come up"
    assert all(case.blind and case.suggestions == {} and case.reason == "audit" for case in cases(tables))


def test_a_judging_case_goes_out_though_its_message_was_read_before(tables):
    queue(tables, "a", reason="judging", blind=True, champion="2", frame="3")
    read = {"review_id": "r", "interaction_id": "a", "annotator_id": "ana", "task": "intent", "label": "x"}
    put(tables, t.REVIEWS, read, blind=False)
    assert [case.case_id for case in cases(tables)] == ["case-a"]
