"""Make one message out of hand-written sentences: greeting, mood, phrasing, asides, slots, typos."""

import re
from collections.abc import Callable, Mapping

import numpy as np
from pydantic import Field

from labeling.config import Config
from pipelines.replay.chance import pick
from pipelines.replay.stock import Channel, Share, Stock

_BRACES = re.compile(r"(\{\w+\})")
_WORD = re.compile(r"[A-Za-z]{4,}")
_NEXT_KEY: Mapping[str, str] = dict(zip("qwertyuiopasdfghjklzxcvbnm", "wertyuioplsdfghjklkxcvbnmn", strict=True))


class WordingRates(Config):
    """How often a sentence of each kind joins a message, each in [0, 1].

    ``phrasing_habit`` and ``mood_habit`` are exponents of Zipf's law: how much more often the first ways to say
    something are used than the last (0: all alike).
    ``neutral_words``: a neutral message says so in words; ``both_ends``: a mood stands before and after;
    ``second_request``: a message asks for something else as well; ``shouting``: a negative message is in capitals.
    """

    phrasing_habit: float = Field(default=1.4, ge=0)
    mood_habit: float = Field(default=1.2, ge=0)
    neutral_words: Share = 0.3
    both_ends: Share = 0.1
    aside: Share = 0.06
    identity: Share = 0.07
    second_request: Share = 0.01
    shouting: Share = 0.06


def compose(
    core: str,
    *,
    sentiment: str,
    channel: str,
    opens: bool,
    second: str | None,
    stock: Stock,
    rates: WordingRates,
    rng: np.random.Generator,
) -> str:
    """Write one message around ``core``.

    Args:
        core: the phrasing that carries the intent, slots unfilled.
        sentiment: negative, neutral or positive; decides the mood's words alone.
        channel: one of the stock's channels; decides greeting, closing and care.
        opens: whether the message opens its conversation; only those greet.
        second: another phrasing, asked for beside the first one, or None.
        stock: where every sentence comes from.
        rates: how often which sentence joins.
        rng: the only source of chance.

    Returns:
        The text, one line, slots filled; personal-data-like values are never mistyped.
    """
    habits = stock.surroundings.channels[channel]
    before, after = _mood_words(sentiment, stock, rates, rng)
    if sentiment == "negative" and rng.random() < rates.shouting:
        core = _outside_braces(core, str.upper)
    middle = [core, *_asides(stock, rates, rng)]
    if second is not None:
        middle.append(f"{pick(rng, stock.surroundings.second_thoughts)} {second}")
    greeting = _ended(pick(rng, stock.surroundings.greetings[channel]), ",") if rng.random() < habits.greets else ""
    closing = pick(rng, stock.surroundings.closings[channel]) if rng.random() < habits.closes else ""
    text = _join([greeting if opens else "", *before, *middle, *after, closing if opens else ""])
    return fill(_as_typed(text, habits, rng), stock, rng)


def fill(text: str, stock: Stock, rng: np.random.Generator) -> str:
    """Replace every {slot} in ``text`` by one of its values."""
    return re.sub(r"\{(\w+)\}", lambda found: pick(rng, stock.surroundings.slots[found[1]]), text)


def _mood_words(
    sentiment: str, stock: Stock, rates: WordingRates, rng: np.random.Generator
) -> tuple[list[str], list[str]]:
    mood = stock.moods.by_label[sentiment]
    before, after = (pick(rng, words, rates.mood_habit) for words in (mood.before, mood.after))
    silent, both, first = rng.random() >= rates.neutral_words, rng.random() < rates.both_ends, rng.random() < 0.5
    if sentiment == "neutral" and silent:
        return [], []
    if both:
        return [before], [after]
    return ([before], []) if first else ([], [after])


def _asides(stock: Stock, rates: WordingRates, rng: np.random.Generator) -> list[str]:
    aside, identity = pick(rng, stock.surroundings.asides), pick(rng, stock.surroundings.identities)
    said = [aside] if rng.random() < rates.aside else []
    return [*said, identity] if rng.random() < rates.identity else said


def _join(parts: list[str]) -> str:
    """Join sentences by a space, with a full stop after one that lacks its end."""
    said = [part for part in parts if part]
    return " ".join([*(_ended(part, ".") for part in said[:-1]), said[-1]])


def _ended(part: str, mark: str) -> str:
    return part if part[-1] in ".?!:," else part + mark


def _as_typed(text: str, habits: Channel, rng: np.random.Generator) -> str:
    """Return ``text`` as a hurried person types it in a channel: in small letters, unended, with slips."""
    if rng.random() < habits.lower:
        text = text.lower()
    if rng.random() < habits.lower:
        text = text.removesuffix(".")
    if rng.random() < habits.typos:
        for _ in range(int(rng.integers(1, 3))):
            text = _slip(text, rng)
    return text


def _slip(text: str, rng: np.random.Generator) -> str:
    """Mistype one word of four letters or more outside the braces; none where there is no such word."""
    pieces = _BRACES.split(text)
    places = [
        (number, word.start(), word.end())
        for number in range(0, len(pieces), 2)
        for word in _WORD.finditer(pieces[number])
    ]
    if not places:
        return text
    number, start, end = places[int(rng.integers(len(places)))]
    piece = pieces[number]
    pieces[number] = piece[:start] + _mistype(piece[start:end], rng) + piece[end:]
    return "".join(pieces)


def _mistype(word: str, rng: np.random.Generator) -> str:
    place = int(rng.integers(1, len(word) - 1))
    letter, following = word[place], word[place + 1]
    slips = (
        word[:place] + following + letter + word[place + 2 :],
        word[:place] + word[place + 1 :],
        word[:place] + letter + word[place:],
        word[:place] + _NEXT_KEY.get(letter.lower(), letter) + word[place + 1 :],
    )
    return slips[int(rng.integers(len(slips)))]


def _outside_braces(text: str, change: Callable[[str], str]) -> str:
    return "".join(piece if piece.startswith("{") else change(piece) for piece in _BRACES.split(text))
