"""The stock of hand-written sentences of Larkfield, the fictional company whose customers the demo plays."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from labeling.config import Config, load_config
from labeling.taxonomy import Name

_FOLDER = Path(__file__).parent / "company"

Share = Annotated[float, Field(ge=0, le=1)]
"""A part of a whole, in [0, 1]."""


class IntentStock(Config):
    """The ways to mean one intent.

    ``volume`` is how often it is meant against the other intents; ``first_week`` the first week in which it is heard
    (0 is the history).
    """

    volume: float = Field(gt=0)
    first_week: int = Field(default=0, ge=0)
    phrasings: tuple[str, ...] = Field(min_length=12)


class DomainStock(Config):
    """The intents of one domain, as one file holds them."""

    domain: str
    intents: dict[Name, IntentStock]


class OutOfScope(Config):
    """What no intent covers: ``messages`` open a conversation, ``acknowledgements`` come in a later turn."""

    messages: tuple[str, ...] = Field(min_length=40)
    acknowledgements: tuple[str, ...] = Field(min_length=10)


class Mood(Config):
    """How a sentiment is put into words, before or after what the message is about."""

    share: Share
    before: tuple[str, ...] = Field(min_length=1)
    after: tuple[str, ...] = Field(min_length=1)


class Moods(Config):
    """The moods by sentiment; their shares make 1."""

    negative: Mood
    neutral: Mood
    positive: Mood

    @model_validator(mode="after")
    def _check_shares(self) -> "Moods":
        total = sum(mood.share for mood in self.by_label.values())
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the shares of the moods must make 1, found {total:.3f}")
        return self

    @property
    def by_label(self) -> dict[str, Mood]:
        """The moods by the name of their sentiment."""
        return {"negative": self.negative, "neutral": self.neutral, "positive": self.positive}


class Channel(Config):
    """How people write in one channel: shares of messages that come through it, greet, close, are mistyped, ..."""

    share: Share
    greets: Share
    closes: Share
    typos: Share
    lower: Share


class Surroundings(Config):
    """What stands around a phrasing, and the values that fill its braces."""

    name: str
    channels: dict[str, Channel]
    segments: dict[str, Share]
    greetings: dict[str, tuple[str, ...]]
    closings: dict[str, tuple[str, ...]]
    asides: tuple[str, ...]
    identities: tuple[str, ...]
    second_thoughts: tuple[str, ...]
    pivots: tuple[str, ...]
    slots: dict[str, tuple[str, ...]]

    @model_validator(mode="after")
    def _check_channels(self) -> "Surroundings":
        for place, found in (("greetings", self.greetings), ("closings", self.closings)):
            if set(found) != set(self.channels):
                raise ValueError(f"{place} needs exactly the channels {', '.join(self.channels)}")
        return self


class Replies(Config):
    """What the company answers, by domain; ``General`` where no domain is known."""

    by_domain: Mapping[str, tuple[str, ...]]


class Stock(Config):
    """All that the feed can say."""

    domains: tuple[DomainStock, ...]
    out_of_scope: OutOfScope
    moods: Moods
    surroundings: Surroundings
    replies: Replies

    @cached_property
    def intents(self) -> dict[str, IntentStock]:
        """Every intent by name, in the order of the files."""
        return {name: intent for domain in self.domains for name, intent in domain.intents.items()}

    @cached_property
    def domain_of(self) -> dict[str, str]:
        """The domain of every intent."""
        return {name: domain.domain for domain in self.domains for name in domain.intents}


def load_stock(folder: Path = _FOLDER) -> Stock:
    """Read the company's sentences.

    Raises:
        ConfigError: a file is missing or does not fit; names the file and the place.
    """
    domains = tuple(load_config(path, DomainStock) for path in sorted(folder.glob("intents_*.yaml")))
    return Stock(
        domains=domains,
        out_of_scope=load_config(folder / "out_of_scope.yaml", OutOfScope),
        moods=load_config(folder / "moods.yaml", Moods),
        surroundings=load_config(folder / "surroundings.yaml", Surroundings),
        replies=load_config(folder / "replies.yaml", Replies),
    )
