import time

import pytest

from serving.handoff.wording import measure_repetition, wishes_for_person


@pytest.mark.parametrize(
    "text",
    [
        "I want to talk to a human",
        "can I PLEASE speak with an agent?",
        "get me a real person",
        "transfer me to your manager",
        "put me through to someone",
        "I do not want to chat with a bot",
        "agent",
        "human please!!",
        "Ich möchte mit einem Mitarbeiter sprechen",
        "Je voudrais parler à un conseiller",
        "quiero hablar con una persona",
    ],
)
def test_a_wish_for_a_person_is_heard(text):
    assert wishes_for_person(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "where is my parcel?",
        "the agent at the shop told me to come back",
        "someone stole my card",
        "I talked to a friend about your prices",
        "how many people can use one account?",
        "no need to speak to an agent, thanks",
        "I am the contact person of this account",
        "my card does not work at any cash machine",
        "are you a robot?",
        "I need an actual card that I can hold in my hand",
        "where do I need to live to get support?",
    ],
)
def test_what_is_no_wish_is_none(text):
    assert not wishes_for_person(text)


def test_a_text_of_a_megabyte_is_read_in_no_time_and_at_its_end():
    began = time.perf_counter()
    assert wishes_for_person("talk to " * 130_000 + "let me speak to a person")
    assert not wishes_for_person("to a the your " * 80_000)
    assert measure_repetition(["word " * 200_000, "other " * 200_000]) == 0
    assert time.perf_counter() - began < 1


def test_a_question_that_is_asked_again_repeats_and_a_short_answer_does_not():
    asked = "Where does my parcel with the shoes stay?"
    assert measure_repetition([asked]) == 0
    assert measure_repetition([asked, "It was sent on Monday", "And where does my parcel with those shoes stay?"]) > 0.7
    assert measure_repetition([asked, "How can I change the address of my account?"]) < 0.3
    assert measure_repetition(["yes please", "yes please"]) == 0
