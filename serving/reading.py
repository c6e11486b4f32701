"""The models of a release, reading conversations together: what each says of every message that counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labeling.taxonomy import Taxonomy
from labeling.vocabulary import NONE_OF_THESE
from serving.conversation import Conversation
from serving.handoff.cases import Cases, Turns, make_cases, take_turns
from serving.handoff.config import SentimentSettings
from serving.handoff.decisions import RETIRED_LABEL
from training.scoring import JointScorer, Scorer, Scores
from training.translated import translate_scores

if TYPE_CHECKING:
    from training.batches import Progress


@dataclass(frozen=True)
class Reading:
    """What the models say of conversations: ``own`` by task of each of ``turns``, in their own labels; ``cases``."""

    turns: Turns
    own: Mapping[str, Scores]
    cases: Cases


class Reader:
    """The models by task; with a ``taxonomy`` they answer in the labels of today, without in their own."""

    def __init__(self, scorers: Mapping[str, Scorer], taxonomy: Taxonomy | None) -> None:
        self._joint = JointScorer(scorers)
        self._taxonomy = taxonomy

    def score(self, texts: Sequence[str], on_progress: "Progress | None" = None) -> dict[str, Scores]:
        """Return what each model says of n texts, by task, in its own labels."""
        return self._joint.score(texts, on_progress)

    def read(
        self,
        conversations: Sequence[Conversation],
        *,
        tasks: Sequence[str],
        sentiment: SentimentSettings | None,
        own: Mapping[str, Scores] | None = None,
        on_progress: "Progress | None" = None,
    ) -> Reading:
        """Read n conversations in one pass.

        Args:
            conversations: n of them.
            tasks: those that must be right.
            sentiment: how mood is followed, None where it is not.
            own: what ``score`` said of their turns (``take_turns``), where that was asked before.
            on_progress: hears how far it is.
        """
        turns = take_turns(conversations, sentiment)
        said = self.score(turns.texts, on_progress) if own is None else own
        cases = make_cases(
            conversations, turns, said, today=self.today, changed=self._changed, tasks=tasks, sentiment=sentiment
        )
        return Reading(turns, said, cases)

    def today(self, task: str, scores: Scores) -> Scores:
        """Return ``scores`` in the labels of today."""
        return translate_scores(scores, self._taxonomy, task) if self._taxonomy else scores

    def _changed(self, task: str, own: Scores, today: Scores) -> list[str]:
        """Return why to step aside because of what became of labels since the models were trained, "" mostly."""
        former = self._taxonomy.former(task) if self._taxonomy else {}
        if not former:
            return [""] * len(own.probabilities)
        retired = {label for label, now in former.items() if now is None}
        outside, gone = f"{NONE_OF_THESE}:{task}", f"{RETIRED_LABEL}:{task}"
        return [
            gone if was in retired else outside if now == NONE_OF_THESE else ""
            for was, now in zip(own.frame()["label"], today.frame()["label"], strict=True)
        ]
