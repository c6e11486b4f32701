"""A real Label Studio for benchmarks, and cases to put on it."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labeling.desk.desk import Case, Suggestion, Turn
from labeling.desk.server import RunningServer, start_server
from labeling.taxonomy import Label, Task, Taxonomy

_INTENTS = ("card_lost", "card_blocked", "card_new", "fee_dispute", "fee_question", "transfer_failed")
_MOODS = ("negative", "neutral", "positive")


def _labels(names: tuple[str, ...]) -> tuple[Label, ...]:
    return tuple(Label(name=name, title=name.replace("_", " ").title()) for name in names)


TAXONOMY = Taxonomy(
    schema_version=1,
    version=1,
    tasks=(
        Task(name="intent", question="What does the customer want?", rejects=True, labels=_labels(_INTENTS)),
        Task(name="sentiment", question="How does the customer feel?", labels=_labels(_MOODS)),
    ),
)


def make_case(number: int) -> Case:
    """Return a case of three turns: every fifth one blind, every tenth one for two people."""
    words = f"Order {number} was due last week; where is it, and who pays?"
    return Case(
        case_id=f"case-{number:06d}",
        interaction_id=f"interaction-{number}",
        conversation=tuple(Turn("customer", f"{words} ({turn})") for turn in range(3)),
        suggestions={"intent": Suggestion(_INTENTS[number % 6], 0.71), "sentiment": Suggestion("neutral", 0.55)},
        context={"channel": "chat", "language": "en"},
        reason="uncertainty",
        blind=number % 5 == 0,
        overlap=2 if number % 10 == 1 else 1,
        history=("2026-05-01 chat: card_lost, resolved",),
        handed_off=False,
    )


@contextmanager
def start_label_studio(folder: Path, *, token: str = "") -> Iterator[RunningServer]:
    """Run a Label Studio over a folder in ``folder``; its first start prepares its database.

    Args:
        folder: where its own folder is, or is made.
        token: the one of its first start; "" at the first.
    """
    chosen, password = token or secrets.token_hex(20), secrets.token_hex(8)
    with start_server(folder / "label-studio", token=chosen, password=password, on_progress=print) as server:
        yield server
