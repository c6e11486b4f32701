"""The dialogues of STAR (Mosig, Mehri and Kober, 2020): what was said, by whom, and what the agent meant to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

import numpy as np
import polars as pl

from labeling.digests import digest
from serving.conversation import Conversation, Turn

ASKS: Final = "ask_"
_PART: Final = 4096
NO_FACT: Final = frozenset(
    (
        *("question", "next", "proceed", "confirm_booking", "search_more", "continue_searching", "more_questions"),
        *("change", "different_time"),
    )
)
"""What is asked without asking for a fact: to go on, to confirm, a quiz."""


@dataclass(frozen=True)
class Dialogue:
    """One dialogue; ``actions`` are the agent's by turn, "" where it is the customer's or a free text.

    ``happy`` says that its script foresaw no trouble. ``task`` is one, or several joined by ";".
    """

    name: str
    turns: tuple[Turn, ...]
    actions: tuple[str, ...]
    task: str
    happy: bool
    is_single: bool
    workers: frozenset[str]
    customer: str
    agent: str

    @property
    def is_held_out(self) -> bool:
        """Whether figures may be told of it: half of the dialogues; settings were chosen on the others."""
        return int(digest(self.name)[:8], 16) % 2 == 1

    @cached_property
    def asked(self) -> tuple[str, ...]:
        """The fact that each turn asks for, without its domain, "" where it asks for none."""
        facts = (action.partition(ASKS)[2] if ASKS in action else "" for action in self.actions)
        return tuple("" if fact in NO_FACT else fact for fact in facts)

    def before(self, turn: int) -> Conversation:
        """Return what was said before the turn at ``turn`` (from 0)."""
        return Conversation(self.turns[:turn])


def load_dialogues(data: Path) -> list[Dialogue]:
    """Return all dialogues, by name."""
    folder = data / "star"
    about = pl.read_csv(folder / "dialogues.csv.gz", infer_schema_length=None)
    parts = [pl.read_csv(folder / f"turns_part{part}.csv.gz", infer_schema_length=None) for part in (1, 2)]
    said = pl.concat(parts).sort("dialogue_id", "turn").with_columns(pl.col("label", "text").fill_null(""))
    turns = said.group_by("dialogue_id", maintain_order=True).agg("role", "text", "label")
    return [_read(row) for row in about.join(turns, on="dialogue_id").sort("dialogue_id").iter_rows(named=True)]


def _read(row: dict) -> Dialogue:
    role: Literal["customer", "agent"]
    turns = []
    for role, text in zip(row["role"], row["text"], strict=True):
        turns.append(Turn(role, text))
    return Dialogue(
        name=row["dialogue_id"],
        turns=tuple(turns),
        actions=tuple(row["label"]),
        task=row["tasks"],
        happy=bool(row["happy"]),
        is_single=not row["multitask"],
        workers=frozenset((row["user_worker"], row["wizard_worker"])),
        customer=row["user_worker"],
        agent=row["wizard_worker"],
    )


def embed_once(texts: Sequence[str], kept: Path | None) -> dict[str, np.ndarray]:
    """Return each text's feature by the packaged encoder; what the folder ``kept`` holds already is not made again."""
    from training.encoder import EncoderSpec, load_encoder
    from training.features import embed_texts

    path = kept / "star.npz" if kept else None
    known: dict[str, np.ndarray] = {}
    if path and path.exists():
        stored = np.load(path)
        known = dict(zip(stored["names"].tolist(), stored["features"], strict=True))
    named = {text: digest(text) for text in sorted(set(texts))}
    missing = [text for text, name in named.items() if name not in known]
    encoder = load_encoder(EncoderSpec())
    for start in range(0, len(missing), _PART):
        part = missing[start : start + _PART]
        known |= zip((named[text] for text in part), embed_texts(encoder, part), strict=True)
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, names=np.array(list(known)), features=np.stack(list(known.values())))
    return {text: known[name] for text, name in named.items()}
