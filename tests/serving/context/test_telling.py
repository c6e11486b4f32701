"""What a package tells of a conversation: exchanges, facts, the summary."""

import pytest

from serving.context.exchanges import LAST_TURNS, OPENING_TURNS, find_exchanges, split_sentences
from serving.context.facts import find_facts
from serving.context.summary import summarise
from serving.conversation import Conversation
from tests.serving.context.talks import CHARGED_TWICE, talk


def test_a_question_asked_again_stands_once_with_every_answer():
    [asked] = [one for one in find_exchanges(CHARGED_TWICE) if one.asked_by == "assistant"]
    assert asked.times == 2
    assert asked.question == "Which e-mail address is the account under, please?"
    assert asked.answers == ("<EMAIL>", "I have told you already! I want to talk to a person.")
    assert asked.turn == 7


def test_a_counter_question_is_no_answer_to_a_customers_question():
    [asked] = [one for one in find_exchanges(CHARGED_TWICE) if one.asked_by == "customer"]
    assert (asked.answers, asked.turn) == ((), 5)
    answered = talk("customer: When does it come?", "agent: Tomorrow. Is that fine?", "customer: Yes")
    assert [(one.question, one.answers) for one in find_exchanges(answered)] == [
        ("When does it come?", ("Tomorrow.",)),
        ("Is that fine?", ("Yes",)),
    ]


def test_a_request_without_a_question_mark_is_a_question():
    [asked] = find_exchanges(talk("agent: Please provide your account number.", "customer: 7402"))
    assert asked.answers == ("7402",)


def test_a_title_ends_no_sentence():
    assert split_sentences("I saw Dr. Morgan today. It hurts!\nHelp") == [
        "I saw Dr. Morgan today.",
        "It hurts!",
        "Help",
    ]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("My name is Alexis", "name", "Alexis"),
        ("I'm Ben and need help", "name", "Ben"),
        ("Jane Doe", "name", "Jane Doe"),
        ("we meet at the North Heights Venue", "name", "North Heights Venue"),
        ("you took $20.50 twice", "amount", "$20.50"),
        ("it was 30 euros", "amount", "30 euros"),
        ("come at 6:30 pm please", "time", "6:30 pm"),
        ("it was on 12/08/1930", "date", "12/08/1930"),
        ("it was on May 3rd", "date", "May 3rd"),
        ("write to <EMAIL>", "redacted", "<EMAIL>"),
        ("it is order AB-1234", "number", "AB-1234"),
    ],
)
def test_a_fact_has_its_kind(text, kind, value):
    assert [(fact.kind, fact.value) for fact in find_facts(Conversation.of_text(text))] == [(kind, value)]


def test_a_fact_is_told_once_with_the_question_that_it_answers_in_a_few_words():
    told = talk("agent: How many guests?", "customer: 4 please", "agent: At what time?", "customer: 6pm, for 4")
    assert [(fact.value, fact.turn, fact.about) for fact in find_facts(told)] == [
        ("4", 2, "How many guests?"),
        ("6pm", 4, "At what time?"),
    ]
    told = talk("agent: How old are you?", "customer: The parcel of my order 1234 came broken and wet last week")
    assert [(fact.value, fact.about) for fact in find_facts(told)] == [("1234", None)]


def test_agents_give_no_facts():
    assert find_facts(talk("agent: Your order is AB-1234")) == ()


def test_the_summary_keeps_to_its_words_and_to_the_order_of_the_conversation():
    for words in (1, 12, 30, 200):
        lines = summarise(CHARGED_TWICE, max_words=words)
        assert sum(line.words for line in lines) <= words
        assert [line.turn for line in lines] == sorted(line.turn for line in lines)
    assert {line.text for line in lines} >= {"<EMAIL>", "I want to talk to a person."}


def test_the_request_leads_and_a_fact_goes_before_chatter():
    chatter = [f"customer: well it rains and the {animal} is hungry again" for animal in ("dog", "cat", "horse")]
    told = talk("customer: Hello! I want to cancel the contract", *chatter, "agent: Which number?", "customer: 7402")
    lines = summarise(told, max_words=12)
    assert [(line.text, line.question) for line in lines] == [
        ("I want to cancel the contract", None),
        ("7402", "Which number?"),
    ]


def test_nothing_is_said_twice_and_politeness_not_at_all():
    told = talk("customer: Hello!", "customer: my card is lost", "customer: my card is lost", "customer: Thanks, bye!")
    assert [line.text for line in summarise(told)] == ["my card is lost"]


def test_a_very_long_conversation_is_read_from_both_ends():
    turns = [f"customer: parcel number {place}" for place in range(10_000)]
    facts = find_facts(talk(*turns))
    assert facts[-1].value == "9999"
    told = summarise(talk(*turns), max_words=100_000)
    assert len(told) == OPENING_TURNS + LAST_TURNS
    assert told[OPENING_TURNS - 1].turn == OPENING_TURNS


@pytest.mark.parametrize("text", ["", " ", "\x00\x01", "a-" * 500_000, "1," * 500_000, "A" * 1_000_000, "?" * 100_000])
def test_hostile_texts_are_read_in_no_time(text):
    conversation = Conversation.of_text(text)
    find_exchanges(conversation)
    find_facts(conversation)
    assert len(summarise(conversation)) <= 1
