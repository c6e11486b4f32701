"""What releases say of conversations, as it is answered and recorded; champion and challenger share one reading."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.conversation import Conversation
from serving.handoff.cases import take_turns
from serving.release import Champion
from serving.triage import Answer, Triage, triage
from training.scoring import JointScorer, Scores


@dataclass(frozen=True)
class Said:
    """What one release says of one conversation, and the release's registered ``version``."""

    version: str
    triage: Triage

    def answer(self) -> dict[str, Any]:
        """Return what is answered, as JSON."""
        return {**self.triage.to_json(), "version": self.version}

    def recorded(self) -> dict[str, Any]:
        """Return what the log keeps for the table of predictions."""
        predictions = {task: _prediction(answer) for task, answer in self.triage.answers.items()}
        return {"version": self.version, "handoff": self.triage.handoff, "predictions": predictions}


def _prediction(answer: Answer) -> dict[str, Any]:
    second = max((sure for label, sure in answer.alternatives if label != answer.label), default=0.0)
    return {"label": answer.label, "confidence": answer.confidence, "margin": max(0.0, answer.confidence - second)}


def decide(release: Champion, conversations: Sequence[Conversation], *, rng: np.random.Generator | None) -> list[Said]:
    """Return what ``release`` says of each of ``conversations``; ``rng`` is the source of chance near the threshold."""
    return [Said(release.version, found) for found in triage(release.release, conversations, rng)]


class Pair:
    """Champion and challenger, whose models read a message once together as far as their layers are the same.

    Where their policies follow the customer's mood over different numbers of turns, each reads by itself.
    """

    def __init__(self, champion: Champion, challenger: Champion) -> None:
        self.champion = champion
        self.challenger = challenger
        self._members = {"champion": champion.release, "challenger": challenger.release}
        self._joint = JointScorer(
            {f"{name}/{task}": scorer for name, of in self._members.items() for task, scorer in of.scorers.items()}
        )
        policies = [release.about.handoff.sentiment for release in self._members.values()]
        self._sentiment = policies[0]
        self._reads_alike = len({sentiment.turns if sentiment else 1 for sentiment in policies}) == 1

    def decide(
        self, conversations: Sequence[Conversation], *, rng: np.random.Generator | None
    ) -> tuple[list[Said], list[Said]]:
        """Return what the champion says of ``conversations``, and what the challenger would; it is shown to nobody."""
        own = self._read(conversations) if self._reads_alike else {}
        found = {
            name: triage(of, conversations, rng if name == "champion" else None, own=own.get(name))
            for name, of in self._members.items()
        }
        return (
            [Said(self.champion.version, each) for each in found["champion"]],
            [Said(self.challenger.version, each) for each in found["challenger"]],
        )

    def _read(self, conversations: Sequence[Conversation]) -> Mapping[str, Mapping[str, Scores]]:
        scores = self._joint.score(take_turns(conversations, self._sentiment).texts)
        return {name: {task: scores[f"{name}/{task}"] for task in of.scorers} for name, of in self._members.items()}
