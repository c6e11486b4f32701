"""What releases say of conversations, as it is answered and recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving.conversation import Conversation
from serving.release import Champion


@dataclass(frozen=True)
class Said:
    """What one release says of one conversation.

    Attributes:
        version: the release's registered version.
        answer: the decision and what it rests on, as JSON.
        predictions: task to label, confidence and margin: what the table of predictions keeps.
    """

    version: str
    answer: Mapping[str, Any]
    predictions: Mapping[str, Mapping[str, Any]]

    def recorded(self) -> dict[str, Any]:
        """Return what the log keeps for the table of predictions."""
        return {"version": self.version, "handoff": self.answer["handoff"], "predictions": dict(self.predictions)}


def decide(champion: Champion, conversations: Sequence[Conversation]) -> list[Said]:
    """Return what ``champion`` says of each of ``conversations``."""
    answer = champion.release.answer([conversation.last_customer_text() for conversation in conversations])
    said = []
    for row in answer.iter_rows(named=True):
        tasks = champion.release.tasks
        figures = ("confidence", "margin")
        predictions = {
            task: {"label": row[task], **{name: row[f"{task}_{name}"] for name in figures}} for task in tasks
        }
        reason = row["handoff_reason"]
        decision = {
            "handoff": row["handoff"],
            "reasons": [{"signal": reason, "value": None, "why": reason.replace("_", " ")}] if reason else [],
            "answers": {
                task: {
                    "label": row[task],
                    "confidence": row[f"{task}_confidence"],
                    "alternatives": [],
                    "novelty": row[f"{task}_novelty"],
                }
                for task in tasks
            },
            "sentiment": None,
            "in_scope": None,
            "risk": None,
            "threshold": None,
            "propensity": 1.0,
            "release": row["release"],
        }
        said.append(Said(champion.version, decision, predictions))
    return said
