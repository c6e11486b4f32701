"""BANKING77's 77 intents as a taxonomy of eight domains, for the tests of the page."""

import os
from pathlib import Path

import polars as pl

from labeling.taxonomy import Label, Task, Taxonomy

FILE = Path(os.environ.get("CXLOOP_DATA", Path(__file__).parents[4] / "shared" / "data")) / "banking77.csv"

_DOMAINS = (
    ("Top-up", ("top_up", "topping")),
    ("Identity", ("identity", "source_of", "age_", "passcode", "personal", "terminate")),
    ("Cash", ("cash", "atm", "swallow")),
    ("Exchange", ("exchange", "fiat", "countr", "currenc")),
    ("Transfers", ("transfer", "beneficiary", "receiving")),
    (
        "Getting a card",
        ("order", "get_", "getting", "arriv", "deliver", "activate", "link", "expire", "visa", "accept"),
    ),
    ("Payments", ("payment", "charge", "refund", "debit", "contactless")),
    ("Trouble with a card", ("",)),
)
_FEELINGS = ("negative", "neutral", "positive")


def read_banking77() -> Taxonomy:
    """Return the taxonomy: intents in groups of at most twelve, and a sentiment."""
    names = sorted(pl.read_csv(FILE, columns=["label"])["label"].str.to_lowercase().str.strip_chars("?").unique())
    labels = [Label(name=name, title=name.replace("_", " ").capitalize(), domain=_domain(name)) for name in names]
    order = [domain for domain, _ in _DOMAINS]
    return Taxonomy(
        schema_version=1,
        version=1,
        tasks=(
            Task(
                name="intent",
                question="What does the customer want?",
                rejects=True,
                labels=tuple(sorted(labels, key=lambda label: order.index(label.domain))),
            ),
            Task(
                name="sentiment",
                question="How does the customer feel?",
                labels=tuple(Label(name=name, title=name.title()) for name in _FEELINGS),
            ),
        ),
    )


def _domain(name: str) -> str:
    return next(domain for domain, parts in _DOMAINS if any(part in name for part in parts))
