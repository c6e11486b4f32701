"""What of a case is shown, and what of an answer is believed."""

import pytest

from labeling.desk.case_form import read_labels, shown_suggestions, suggestion_in_words, visible
from labeling.desk.desk import Suggestion
from tests.contracts.desks import TAXONOMY, case


def test_a_blind_case_hides_even_suggestions_that_came_along():
    blind = case(1, blind=True)
    assert shown_suggestions(blind, TAXONOMY) == {}
    assert "%" not in suggestion_in_words(blind, TAXONOMY)


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
    labels, refused = read_labels({"my phone is 555 0100": "x", "intent": ["a", "b"], "sentiment": None}, TAXONOMY)
    assert labels == {}
    assert refused == {"unreadable": "unknown_task", "intent": "not_one_label", "sentiment": "not_one_label"}
