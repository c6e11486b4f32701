"""The feed: what customers write to Larkfield, week by week, and what they meant.

Nothing here depends on the order of the calls: a conversation hangs on the seed, its week and its number only.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count, islice
from typing import Any, Final

import numpy as np
from pydantic import Field

from labeling.config import Config
from labeling.desk.desk import Turn
from labeling.vocabulary import NONE_OF_THESE
from pipelines.replay.chance import chance, pick
from pipelines.replay.stock import Share, Stock, load_stock
from pipelines.replay.wording import WordingRates, compose, fill

WEEK: Final = timedelta(days=7)
_LAST_OPENING: Final = timedelta(hours=6)
_HOURS: Final = np.array(
    [1, 1, 1, 1, 1, 2, 4, 8, 12, 14, 14, 12, 11, 11, 12, 12, 13, 14, 14, 12, 9, 6, 4, 2], dtype=float
)


class FeedRates(Config):
    """How much is written, and of what kind.

    ``history`` and ``weekly`` are messages. ``later_turn`` is the share of turns after which the customer writes once
    more (three turns at most); such a turn stays with the subject, changes it or merely acknowledges.
    """

    weeks: int = Field(default=4, ge=1)
    history: int = Field(default=1600, ge=1)
    weekly: int = Field(default=300, ge=1)
    customers: int = Field(default=700, ge=1)
    out_of_scope: Share = 0.05
    later_turn: Share = 0.15
    acknowledging: Share = 0.25
    changing_subject: Share = 0.25
    keeping_mood: Share = 0.6
    agent_in_later_turn: Share = 0.25
    wording: WordingRates = WordingRates()


@dataclass(frozen=True)
class Message:
    """One interaction and what it means.

    ``event`` has the columns of an arriving interaction, all JSON values. ``truth`` maps every task to its label.
    ``earlier`` is the conversation before it, the company's turns included. ``ratings`` maps a task to the answers
    that people gave to this very text (-4 to 4, a sentiment), where they were recorded.
    """

    event: Mapping[str, Any]
    truth: Mapping[str, str]
    earlier: tuple[Turn, ...] = ()
    ratings: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def interaction_id(self) -> str:
        """The id of the event."""
        return self.event["interaction_id"]

    @property
    def text(self) -> str:
        """What the customer wrote, personal data included."""
        return self.event["text"]

    @property
    def occurred_at(self) -> datetime:
        """When it was written, with its zone."""
        return datetime.fromisoformat(self.event["occurred_at"])


@dataclass(frozen=True)
class Week:
    """The messages of [``starts_at``, ``ends_at``) in the order of their times; week 0 is the history."""

    number: int
    starts_at: datetime
    ends_at: datetime
    messages: tuple[Message, ...]


@dataclass(frozen=True)
class Feed:
    """The week before the start, the weeks after it, and texts that are never sent (``held_out``; may be empty)."""

    history: Week
    weeks: tuple[Week, ...]
    held_out: tuple[Message, ...] = ()


def week_bounds(start: datetime, number: int) -> tuple[datetime, datetime]:
    """Return when week ``number`` starts and ends; week 1 starts at ``start``, week 0 is the one before."""
    if start.tzinfo is None:
        raise ValueError("the start of a feed needs a time zone, found none: pass an aware datetime")
    starts_at = start + (number - 1) * WEEK
    return starts_at, starts_at + WEEK


def play_feed(seed: int, start: datetime, *, rates: FeedRates | None = None, stock: Stock | None = None) -> Feed:
    """Write the messages of the history and of every week.

    Args:
        seed: decides everything; the same seed and start give the same feed.
        start: when week 1 starts, with a time zone.
        rates: how much of what; the defaults are those of ``FeedRates``.
        stock: the sentences; Larkfield's by default.

    Returns:
        A feed with ``rates.history`` messages in week 0 and ``rates.weekly`` in each of ``rates.weeks`` weeks.
    """
    rates, stock = rates or FeedRates(), stock or load_stock()
    played = [_play_week(seed, start, number, rates, stock) for number in range(rates.weeks + 1)]
    return Feed(history=played[0], weeks=tuple(played[1:]))


def _play_week(seed: int, start: datetime, number: int, rates: FeedRates, stock: Stock) -> Week:
    starts_at, ends_at = week_bounds(start, number)
    wanted = rates.weekly if number else rates.history
    messages = (
        message
        for conversation in count(1)
        for message in _Conversation(
            conversation, week=number, starts_at=starts_at, seed=seed, rates=rates, stock=stock
        ).turns()
    )
    chosen = sorted(islice(messages, wanted), key=lambda message: (message.occurred_at, message.interaction_id))
    return Week(number, starts_at, ends_at, tuple(chosen))


class _Conversation:
    """One customer's turns, and the company's replies in between."""

    def __init__(
        self, number: int, *, week: int, starts_at: datetime, seed: int, rates: FeedRates, stock: Stock
    ) -> None:
        self.conversation_id = f"lf-{week}-{number:05d}"
        self.week, self.rates, self.stock = week, rates, stock
        self.rng = chance(seed, "conversation", self.conversation_id)
        self.customer_id = f"C-{int(self.rng.integers(rates.customers)):04d}"
        surroundings = stock.surroundings
        self.segment = _draw(chance(seed, "customer", self.customer_id), surroundings.segments)
        self.channel = _draw(self.rng, {name: channel.share for name, channel in surroundings.channels.items()})
        self.mood = self._draw_mood()
        self.intents = {name: held.volume for name, held in stock.intents.items() if held.first_week <= week}
        self.opened_at = draw_opening(self.rng, starts_at)

    def turns(self) -> Iterator[Message]:
        intent = self._draw_subject()
        earlier: list[Turn] = []
        at = self.opened_at
        for turn in (1, 3, 5):
            meant = intent if turn == 1 else self._draw_next(intent)
            text = self._write(meant, opens=turn == 1, changed=turn > 1 and meant not in (intent, NONE_OF_THESE))
            yield self._message(turn, at, text, meant, tuple(earlier))
            if self.rng.random() >= self.rates.later_turn:
                return
            intent = intent if meant == NONE_OF_THESE else meant
            earlier += [Turn("customer", text), self._reply(intent)]
            at += timedelta(seconds=int(self.rng.integers(60, 1500)))

    def _message(self, turn: int, at: datetime, text: str, meant: str, earlier: tuple[Turn, ...]) -> Message:
        stepped_in = turn > 1 and self.rng.random() < self.rates.agent_in_later_turn
        event = {
            "interaction_id": f"{self.conversation_id}-{turn}",
            "conversation_id": self.conversation_id,
            "turn": turn,
            "occurred_at": at.isoformat(),
            "channel": self.channel,
            "language": "en",
            "customer_id": self.customer_id,
            "segment": self.segment,
            "text": text,
            "handled_by": "agent" if self.week == 0 or stepped_in else "ai",
        }
        return Message(event=event, truth={"intent": meant, "sentiment": self.mood}, earlier=earlier)

    def _write(self, meant: str, *, opens: bool, changed: bool) -> str:
        core = self._phrase(meant, opens=opens)
        if changed:
            core = f"{pick(self.rng, self.stock.surroundings.pivots)} {core}"
        asks_more = meant != NONE_OF_THESE and self.rng.random() < self.rates.wording.second_request
        second = self._phrase(self._draw_intent(besides=meant), opens=opens) if asks_more else None
        return compose(
            core,
            sentiment=self.mood,
            channel=self.channel,
            opens=opens,
            second=second,
            stock=self.stock,
            rates=self.rates.wording,
            rng=self.rng,
        )

    def _phrase(self, meant: str, *, opens: bool) -> str:
        beyond = self.stock.out_of_scope
        if meant != NONE_OF_THESE:
            phrasings = self.stock.intents[meant].phrasings
        else:
            phrasings = beyond.messages if opens else beyond.acknowledgements
        return pick(self.rng, phrasings, self.rates.wording.phrasing_habit)

    def _draw_subject(self) -> str:
        return NONE_OF_THESE if self.rng.random() < self.rates.out_of_scope else self._draw_intent()

    def _draw_next(self, intent: str) -> str:
        """Return what a later turn means, and set its mood."""
        if self.rng.random() >= self.rates.keeping_mood:
            self.mood = self._draw_mood()
        chosen = self.rng.random()
        if intent == NONE_OF_THESE or chosen < self.rates.acknowledging:
            return NONE_OF_THESE
        changes = chosen < self.rates.acknowledging + self.rates.changing_subject
        return self._draw_intent(besides=intent) if changes else intent

    def _draw_intent(self, besides: str = "") -> str:
        return _draw(self.rng, {name: volume for name, volume in self.intents.items() if name != besides})

    def _draw_mood(self) -> str:
        return _draw(self.rng, {name: mood.share for name, mood in self.stock.moods.by_label.items()})

    def _reply(self, intent: str) -> Turn:
        domain = self.stock.domain_of.get(intent, "General")
        author = "agent" if self.week == 0 else "ai"
        return Turn(author, fill(pick(self.rng, self.stock.replies.by_domain[domain]), self.stock, self.rng))


def _draw(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    """Return one of the names, as likely as its weight."""
    shares = np.fromiter(weights.values(), dtype=float)
    return list(weights)[int(rng.choice(len(shares), p=shares / shares.sum()))]


def draw_opening(rng: np.random.Generator, starts_at: datetime) -> datetime:
    """Return when a conversation opens: any day of the week, by the hours in which people write.

    It opens at least six hours before the week ends, so that what people do about it falls into the week.
    """
    hour = int(rng.choice(24, p=_HOURS / _HOURS.sum()))
    since_start = timedelta(
        days=int(rng.integers(7)), hours=(hour - starts_at.hour) % 24, seconds=int(rng.integers(3600))
    )
    if since_start >= WEEK - _LAST_OPENING:
        since_start -= timedelta(days=1)
    return starts_at + since_start
