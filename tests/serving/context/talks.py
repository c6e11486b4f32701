"""Conversations, triages and closed cases for the tests of the context package."""

import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from labeling import tables as t
from labeling.delta import Tables
from labeling.taxonomy import Taxonomy
from serving.conversation import Conversation, Turn

NOW = datetime(2026, 3, 9, 9, tzinfo=UTC)
TAXONOMY = Taxonomy.model_validate(
    {
        "schema_version": 1,
        "version": 2,
        "tasks": [
            {
                "name": "intent",
                "question": "Why?",
                "labels": [
                    {"name": "unknown_charge", "title": "Unknown charge"},
                    {"name": "card_lost", "title": "Card lost"},
                ],
            },
        ],
        "migrations": [{"version": 2, "tasks": {"intent": {"rename": {"lost_card": "card_lost"}}}}],
    }
)


def talk(*said: str, **known) -> Conversation:
    """A conversation of ``said``, each "customer: ...", "agent: ..." or "assistant: ..."."""
    parts = [one.partition(": ") for one in said]
    return Conversation(tuple(Turn(role, text) for role, _, text in parts), **known)  # pyright: ignore


CHARGED_TWICE = talk(
    "customer: Hello, my name is Alexis and I was charged twice for order AB-1234 on May 3rd.",
    "assistant: I am sorry to hear that. Which e-mail address is the account under?",
    "customer: <EMAIL>",
    "assistant: Refunds take 3 to 5 working days.",
    "customer: No, you took $20.50 twice. <script>alert(1)</script> Can you give it back?",
    "assistant: Which e-mail address is the account under, please?",
    "customer: I have told you already! I want to talk to a person.",
    channel="chat",
)

TRIAGE = {
    "release": "3f2a9c81d0aa77",
    "answers": {
        "intent": {
            "label": "unknown_charge",
            "confidence": 0.62,
            "alternatives": [
                {"label": "unknown_charge", "confidence": 0.62},
                {"label": "card_lost", "confidence": 0.21},
            ],
            "novelty": 0.1,
        },
        "sentiment": {
            "label": "negative",
            "confidence": 0.9,
            "alternatives": [{"label": "negative", "confidence": 0.9}],
            "novelty": None,
        },
    },
    "sentiment": {
        "turns": [
            {"label": "neutral", "score": -0.1},
            {"label": "neutral", "score": 0.0},
            {"label": "negative", "score": -0.9},
            {"label": "negative", "score": -0.7},
        ],
        "trend": -0.27,
        "low": -0.9,
        "alarm": True,
    },
    "in_scope": True,
    "handoff": True,
    "risk": 0.37,
    "reasons": [{"signal": "wish_for_person", "value": 1, "why": "The customer asked for a person."}],
}


def embed(texts: Sequence[str]) -> np.ndarray:
    """Bags of words, hashed: texts with the same words lie together."""
    features = np.zeros((len(texts), 256), dtype=np.float32)
    for row, text in enumerate(texts):
        for word in text.lower().split():
            features[row, zlib.crc32(word.encode()) % 256] += 1
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def put(tables: Tables, table: t.Table, *rows: dict, **common) -> None:
    plain = {name: NOW for name, kind in table.schema.items() if kind == t.TIME}
    tables.merge(table, table.frame([plain | common | row for row in rows]))


def close_case(tables: Tables, name: str, text: str, *, days_ago: int = 1, customer: str = "ben", **ended) -> None:
    """Store one message of ``customer`` and the escalation that it led to."""
    at = NOW - timedelta(days=days_ago)
    said = {"interaction_id": name, "conversation_id": f"of-{name}", "customer_key": customer, "channel": "chat"}
    put(tables, t.INTERACTIONS, said | {"turn": 1, "text": text, "occurred_at": at})
    escalated = {"escalation_id": f"e-{name}", "conversation_id": f"of-{name}", "interaction_id": name}
    put(tables, t.ESCALATIONS, escalated | {"resolved": True, "escalated_at": at, "closed_at": at} | ended)
