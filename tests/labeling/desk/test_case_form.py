"""What of a case is shown, and what of an answer is believed."""

import pytest

from labeling.desk.case_form import (
    page_data,
    read_answer,
    shown_confidence,
    shown_suggestions,
    suggestion_in_words,
    visible,
)
from labeling.desk.desk import Suggestion
from labeling.desk.page_keys import page_keys, typed_as
from labeling.migrations import LabelChange, Migration
from tests.contracts.desks import TAXONOMY, case


def test_a_blind_case_hides_even_suggestions_that_came_along():
    blind = case(1, blind=True)
    assert shown_suggestions(blind, TAXONOMY) == {}
    assert shown_confidence(blind, TAXONOMY) is None
    assert "%" not in suggestion_in_words(blind, TAXONOMY)


@pytest.mark.parametrize("handed_off", [True, False, None])
def test_a_blind_case_says_nothing_of_what_happened(handed_off: bool | None):
    blind = case(1, blind=True, handed_off=handed_off)
    assert shown_suggestions(blind, TAXONOMY) == {}
    assert page_data(blind, TAXONOMY) == page_data(case(1, blind=True), TAXONOMY)
    assert page_data(blind, TAXONOMY)["handoff_question"] == "Should a person take this over?"


@pytest.mark.parametrize(
    ("handed_off", "selected", "asked"),
    [
        (True, "needed", "This went to a person. Was that right?"),
        (False, "not_needed", "The AI answered this. Was that right?"),
        (None, None, "Should a person take this over?"),
    ],
)
def test_what_happened_is_selected_and_asked_about(handed_off: bool | None, selected: str | None, asked: str):
    shown = case(1, handed_off=handed_off)
    assert shown_suggestions(shown, TAXONOMY).get("handoff") == selected
    assert page_data(shown, TAXONOMY)["handoff_question"] == asked


def test_what_happened_is_no_suggestion_of_the_model():
    unsuggested = case(1, handed_off=True, suggestions={})
    assert "no suggestion" in suggestion_in_words(unsuggested, TAXONOMY)
    assert shown_confidence(unsuggested, TAXONOMY) is None
    assert shown_confidence(case(1), TAXONOMY) == 0.55


def test_what_is_known_of_the_customer_stands_line_by_line():
    known = case(1, history=("2026-05-01 chat: card_lost, resolved", "2026-04-02 email: a\x07b"))
    assert page_data(known, TAXONOMY)["about"] == (
        "channel: chat\nEarlier:\n2026-05-01 chat: card_lost, resolved\n2026-04-02 email: a\N{REPLACEMENT CHARACTER}b"
    )
    assert page_data(case(1, context={}), TAXONOMY)["about"] == " "


def test_a_suggestion_under_a_former_name_is_shown_under_todays():
    renamed = Migration(version=2, tasks={"intent": LabelChange(rename={"card_gone": "card_lost"})})
    newer = TAXONOMY.model_copy(update={"version": 2, "migrations": (renamed,)})
    old = case(1, suggestions={"intent": Suggestion("card_gone", 0.8)})
    assert shown_suggestions(old, newer) == {"intent": "card_lost"}
    assert read_answer({"intent": "card_gone", "intent-second": "card_gone"}, newer).labels == {"intent": "card_gone"}


@pytest.mark.parametrize(
    ("confidence", "words"),
    [(0.97, "very sure, 97%"), (0.7, "fairly sure, 70%"), (0.5, "unsure, 50%"), (0.1, "a guess, 10%")],
)
def test_confidence_is_put_in_words(confidence: float, words: str):
    told = suggestion_in_words(case(1, suggestions={"intent": Suggestion("card_lost", confidence)}), TAXONOMY)
    assert told == f"The model suggests: Card lost ({words})"


def test_hidden_characters_are_made_visible_and_the_rest_is_kept():
    assert visible("a\x00b\x1b[31m\u202ecod.exe\ud800\x9f") == "a�b�[31m�cod.exe��"
    kept = "tab\tline\n<b>&amp; é 你好 🙂 \u200d"
    assert visible(kept) == kept


def test_a_name_that_is_no_name_does_not_travel_on():
    given = {"my phone is 555 0100": "x", "Jane-second": "y", "intent": ["a", "b"], "sentiment": None}
    read = read_answer(given, TAXONOMY)
    assert read.labels == {}
    assert read.refused == {"unreadable": "unknown_task", "intent": "not_one_label", "sentiment": "not_one_label"}


def test_the_handoff_is_read_like_a_task():
    assert read_answer({"handoff": "needed"}, TAXONOMY).labels == {"handoff": "needed"}
    assert read_answer({"handoff": "perhaps"}, TAXONOMY).refused == {"handoff": "unknown_label"}


def second(typed: object, **given: object):
    return read_answer({"intent": "card_lost", "intent-second": typed, **given}, TAXONOMY)


@pytest.mark.parametrize("typed", ["fee_dispute", " Fee in dispute ", "FEE IN DISPUTE", "in disp", "DISPUTE"])
def test_a_second_label_is_known_by_its_name_its_title_or_a_part_of_it(typed: str):
    assert second(typed).second_labels == {"intent": "fee_dispute"}


def test_a_second_label_is_known_by_its_key_as_shown_and_as_typed():
    for name, key in page_keys(TAXONOMY)["intent"].items():
        if name in TAXONOMY.task("intent").label_names and name != "card_lost":
            assert second(key).second_labels == second(typed_as(key)).second_labels == {"intent": name}


@pytest.mark.parametrize("typed", ["card", "none_of_these", "cannot_tell", ",", "5550100 John", "Fee"])
def test_a_second_label_that_is_none_or_several_is_refused(typed: str):
    read = second(typed)
    assert read.labels == {"intent": "card_lost"}
    assert (read.second_labels, read.refused) == ({}, {"intent-second": "unknown_label"})


@pytest.mark.parametrize("typed", ["", " ", "-", " - ", "card_lost", "Card lost"])
def test_a_field_that_was_left_again_or_repeats_the_first_answer_says_nothing(typed: str):
    read = second(typed, **{"short-note": typed if typed.strip() in {"", "-"} else ""})
    assert (read.second_labels, read.refused, read.note) == ({}, {}, "")


def test_second_labels_of_other_questions():
    read = read_answer({"sentiment-second": "neutral", "mood-second": "x", "handoff-second": "needed"}, TAXONOMY)
    assert read.second_labels == {"sentiment": "neutral"}
    assert read.refused == {"mood-second": "unknown_task", "handoff-second": "unknown_task"}
    assert second(["a", "b"]).refused == {"intent-second": "not_one_label"}


@pytest.mark.parametrize(
    ("said", "note"),
    [
        ("Two wishes ", "Two wishes"),
        (["One", "", "-", "two"], "One\ntwo"),
        ("bell\x07", "bell\N{REPLACEMENT CHARACTER}"),
        (7, ""),
    ],
)
def test_a_note_is_read_as_text_that_hides_nothing(said: object, note: str):
    assert read_answer({"short-note": said}, TAXONOMY).note == note


def test_a_note_of_a_novel_is_cut():
    assert len(read_answer({"short-note": "word " * 5000}, TAXONOMY).note) == 2000


def test_a_judging_case_asks_which_answer_is_right_in_the_pages_own_words():
    answers = {"sentiment": ("positive", "neutral"), "intent": ("card_lost", "retired_label")}
    asked = case(1, blind=True, answers=answers)
    assert page_data(asked, TAXONOMY)["suggested"].splitlines() == [
        "Which is right?",
        "Card lost [1] or retired_label",
        "Positive [c] or Neutral [x]",
        "Both: give one, and the other as the second answer.",
        "Neither: give what is right.",
    ]
    assert shown_suggestions(asked, TAXONOMY) == {}


def test_a_task_without_a_second_answer_does_not_ask_for_both():
    asked = case(1, blind=True, answers={"sentiment": ("positive", "neutral")})
    assert "Both" not in page_data(asked, TAXONOMY)["suggested"]
