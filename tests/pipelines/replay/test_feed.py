"""The feed: the same for the same seed, in its weeks, in the shape of arriving events, and full of variety."""

import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from labeling.config import load_config
from labeling.sources.redaction import RedactionRules, redact_texts
from labeling.sources.table_map import event_columns
from labeling.tables import INTERACTIONS
from pipelines.replay.feed import Feed, FeedRates, Message, play_feed
from pipelines.replay.stock import Stock, load_stock
from pipelines.replay.wording import WordingRates

START = datetime(2026, 3, 2, 9, 30, tzinfo=timezone(timedelta(hours=1)))
CONFIGS = Path(__file__).parents[3] / "configs"
SMALL = FeedRates(weeks=3, history=60, weekly=40)


@pytest.fixture(scope="module")
def feed() -> Feed:
    return play_feed(7, START)


def messages_of(feed: Feed) -> list[Message]:
    return [message for week in (feed.history, *feed.weeks) for message in week.messages]


def test_the_same_seed_gives_the_same_feed_and_another_one_does_not() -> None:
    assert play_feed(7, START, rates=SMALL) == play_feed(7, START, rates=SMALL)
    other = {message.text for message in messages_of(play_feed(8, START, rates=SMALL))}
    assert other != {message.text for message in messages_of(play_feed(7, START, rates=SMALL))}


def test_a_week_does_not_hang_on_the_others() -> None:
    longer = SMALL.model_copy(update={"history": 90, "weeks": 2})
    assert play_feed(7, START, rates=longer).weeks == play_feed(7, START, rates=SMALL).weeks[:2]


def test_each_week_has_its_messages_within_its_bounds_in_order(feed: Feed) -> None:
    assert [week.number for week in feed.weeks] == [1, 2, 3, 4]
    assert [len(week.messages) for week in (feed.history, *feed.weeks)] == [1600, 300, 300, 300, 300]
    assert feed.held_out == ()
    for week in (feed.history, *feed.weeks):
        assert week.starts_at == START + (week.number - 1) * timedelta(days=7)
        assert week.ends_at - week.starts_at == timedelta(days=7)
        times = [message.occurred_at for message in week.messages]
        assert times == sorted(times)
        assert week.starts_at <= times[0]
        assert times[-1] <= week.ends_at - timedelta(hours=4)


def test_events_have_the_columns_of_an_arriving_interaction(feed: Feed) -> None:
    messages = messages_of(feed)
    for message in messages:
        assert set(message.event) == set(event_columns(INTERACTIONS)) - {"updated_at"}
        assert json.loads(json.dumps(message.event)) == message.event
        assert message.occurred_at.tzinfo is not None
    assert len({message.interaction_id for message in messages}) == len(messages)
    assert {message.event["handled_by"] for message in feed.history.messages} == {"agent"}
    assert {message.event["handled_by"] for week in feed.weeks for message in week.messages} == {"ai", "agent"}
    surroundings = load_stock().surroundings
    assert {message.event["channel"] for message in messages} == set(surroundings.channels)
    assert {message.event["segment"] for message in messages} == set(surroundings.segments)


def test_a_start_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a time zone"):
        play_feed(7, datetime(2026, 3, 2), rates=SMALL)  # noqa: DTZ001


def test_exact_duplicates_are_rare(feed: Feed) -> None:
    texts = [message.text for message in messages_of(feed)]
    assert len(texts) - len(set(texts)) <= 0.035 * len(texts)


def test_no_brace_and_no_double_space_is_left(feed: Feed) -> None:
    texts = [message.text for message in messages_of(feed)]
    assert [text for text in texts if "{" in text or "  " in text or not text.strip()] == []


def careful_stock() -> Stock:
    """Return the stock as nobody mistypes it."""
    stock = load_stock()
    careful = {
        name: channel.model_copy(update={"typos": 0.0, "lower": 0.0})
        for name, channel in stock.surroundings.channels.items()
    }
    return stock.model_copy(update={"surroundings": stock.surroundings.model_copy(update={"channels": careful})})


def count_heard(stock: Stock, messages: list[Message]) -> int:
    said = {name: [message.text for message in messages if message.truth["intent"] == name] for name in stock.intents}
    return sum(
        re.search(re.sub(r"\\\{\w+\\\}", ".+?", re.escape(phrasing)), "\n".join(said[name])) is not None
        for name, intent in stock.intents.items()
        for phrasing in intent.phrasings
    )


def test_every_phrasing_can_be_drawn_and_most_are_in_one_demo() -> None:
    stock = careful_stock()
    total = sum(len(intent.phrasings) for intent in stock.intents.values())
    usual = messages_of(play_feed(1, START, stock=stock))
    assert count_heard(stock, usual) >= 0.75 * total
    even = FeedRates(weeks=3, history=1, weekly=1500, wording=WordingRates(phrasing_habit=0.0, shouting=0.0))
    assert count_heard(stock, messages_of(play_feed(1, START, rates=even, stock=stock))) >= 0.99 * total


def test_one_intent_is_first_heard_in_week_three(feed: Feed) -> None:
    heard = [{message.truth["intent"] for message in week.messages} for week in (feed.history, *feed.weeks)]
    assert ["esim_setup" in intents for intents in heard] == [False, False, False, True, True]
    assert len(heard[0]) == 25  # the other 24, and none of these
    counts = Counter(message.truth["intent"] for message in feed.history.messages)
    assert min(counts.values()) >= 10
    assert max(counts.values()) >= 2 * min(counts.values())


def test_mood_does_not_hang_on_intent() -> None:
    messages = play_feed(3, START, rates=FeedRates(weeks=1, history=1, weekly=3000)).weeks[0].messages
    sad = Counter(message.truth["intent"] for message in messages if message.truth["sentiment"] == "negative")
    every = Counter(message.truth["intent"] for message in messages)
    shares = [sad[intent] / times for intent, times in every.items()]
    assert 0.15 < min(shares) <= max(shares) < 0.5


def test_conversations_go_on_with_replies_in_between(feed: Feed) -> None:
    messages = messages_of(feed)
    first = {message.event["conversation_id"]: message for message in messages if message.event["turn"] == 1}
    later = [message for message in messages if message.event["turn"] > 1]
    assert 0.08 < len(later) / len(messages) < 0.25
    for message in later:
        opening = first[message.event["conversation_id"]]
        assert message.earlier[0].text == opening.text
        assert [turn.author == "customer" for turn in message.earlier] == [True, False] * (len(message.earlier) // 2)
        assert len(message.earlier) == message.event["turn"] - 1
        for same in ("customer_id", "channel", "segment"):
            assert message.event[same] == opening.event[same]
        assert message.occurred_at > opening.occurred_at


def test_redaction_finds_the_personal_data_that_the_feed_gives_away(feed: Feed) -> None:
    texts = pl.Series([message.text for message in messages_of(feed)])
    rules = load_config(CONFIGS / "redaction.yaml", RedactionRules)
    redacted = redact_texts(texts, rules)
    for kind in ("<EMAIL>", "<PHONE>", "<CARD>", "<IBAN>"):
        assert redacted.str.contains(kind, literal=True).sum() >= 5, kind
    slots = load_stock().surroundings.slots
    given = [value.lower() for kind in ("email", "phone", "card", "iban") for value in slots[kind]]
    assert not redacted.str.to_lowercase().str.contains_any(given).any()
    assert 0.05 < (redacted != texts).mean() < 0.25


CHANGES: list[tuple[str, Any]] = [
    ("weeks", 2),
    ("history", 61),
    ("weekly", 41),
    ("customers", 5),
    ("out_of_scope", 0.5),
    ("later_turn", 0.9),
    ("acknowledging", 1.0),
    ("changing_subject", 0.75),
    ("keeping_mood", 0.0),
    ("agent_in_later_turn", 1.0),
    ("wording.phrasing_habit", 0.0),
    ("wording.mood_habit", 0.0),
    ("wording.neutral_words", 1.0),
    ("wording.both_ends", 1.0),
    ("wording.aside", 1.0),
    ("wording.identity", 1.0),
    ("wording.second_request", 1.0),
    ("wording.shouting", 1.0),
]


def test_every_setting_is_tried() -> None:
    wording = FeedRates.model_fields["wording"].annotation
    names = {*FeedRates.model_fields} - {"wording"} | {f"wording.{name}" for name in wording.model_fields}
    assert {name for name, _ in CHANGES} == names


@pytest.mark.parametrize(("setting", "value"), CHANGES)
def test_every_setting_changes_the_feed(setting: str, value: Any) -> None:
    raw = SMALL.model_dump() | {"later_turn": 0.5}
    plain = play_feed(7, START, rates=FeedRates(**raw))
    section, _, name = setting.rpartition(".")
    (raw[section] if section else raw)[name] = value
    assert play_feed(7, START, rates=FeedRates(**raw)) != plain


def test_times_are_the_same_moments_in_any_zone() -> None:
    here, there = play_feed(7, START, rates=SMALL), play_feed(7, START.astimezone(UTC), rates=SMALL)
    assert {message.text for message in here.history.messages} == {message.text for message in there.history.messages}
