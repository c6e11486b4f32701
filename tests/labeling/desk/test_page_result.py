"""What Label Studio stores of an answer, written and read back; nothing in it is believed."""

import pytest

from labeling.desk.interface import STEP
from labeling.desk.page_result import read_result, write_result

GIVEN = {
    "intent": "card_lost",
    "handoff": "needed",
    "intent-second": "fee",
    "short-note": "Two wishes",
}


def test_an_answer_comes_back_as_it_was_written():
    assert read_result(write_result(GIVEN)) == GIVEN


def test_choices_and_texts_are_stored_as_label_studio_does():
    choice, text = write_result({"intent": "card_lost", "short-note": "Hm"})
    assert (choice["type"], choice["value"]) == ("choices", {"choices": ["card_lost"]})
    assert (text["type"], text["value"]) == ("textarea", {"text": ["Hm"]})
    assert choice["to_name"] == text["to_name"] == "dialogue"


def test_the_step_towards_a_field_is_no_answer():
    assert read_result([*write_result(GIVEN), *write_result({STEP: "-"})]) == GIVEN


def test_what_holds_more_than_one_answer_is_kept_as_it_is():
    double = [{"from_name": "intent", "type": "choices", "value": {"choices": ["a", "b"]}}]
    twice = [*write_result({"intent": "a"}), *write_result({"intent": "b"})]
    assert read_result(double) == {"intent": ["a", "b"]}
    assert read_result(twice) == {"intent": ["a", "b"]}


@pytest.mark.parametrize("result", [None, "x", [None, "x"], [{}], [{"from_name": 3, "type": "choices"}]])
def test_what_is_no_result_holds_nothing(result: object):
    assert read_result(result) == {}


def test_a_text_that_is_no_list_is_one_text():
    assert read_result([{"from_name": "short-note", "type": "textarea", "value": {"text": "Hm"}}]) == {
        "short-note": "Hm"
    }


def test_other_controls_are_left_out():
    assert read_result([{"from_name": "stars", "type": "rating", "value": {"rating": 3}}]) == {}
