"""What a release knows of conversations when it decides on them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from serving.conversation import Conversation
from serving.handoff.config import SentimentSettings
from serving.handoff.wording import measure_repetition, wishes_for_person
from serving.sentiment_path import TurnSentiment
from training.scoring import Scores

GROUPS = ("channel", "segment", "language")
"""What a conversation says of its customer's side, and cases can be grouped by."""


@dataclass(frozen=True)
class Answers:
    """What one model says of n messages.

    Attributes:
        labels: its own, n of them; ``confidences`` (n,) in [0, 1] theirs.
        scores: the same messages in the labels of today.
    """

    labels: Sequence[str]
    confidences: np.ndarray
    scores: Scores

    @classmethod
    def of(cls, own: Scores, today: Scores) -> "Answers":
        """Return the answers of ``own``, which are ``today`` in today's labels."""
        top = own.probabilities.argmax(axis=1)
        sure = own.probabilities[np.arange(len(top)), top].astype(np.float64)
        return cls([own.labels[place] for place in top], sure, today)

    def take(self, rows: np.ndarray) -> "Answers":
        """Return the answers to ``rows`` (m,) int, in their order."""
        return Answers([self.labels[row] for row in map(int, rows)], self.confidences[rows], _take(self.scores, rows))

    def today(self) -> list[str]:
        """Return the answers in the labels of today."""
        return [self.scores.labels[place] for place in self.scores.probabilities.argmax(axis=1)]


@dataclass(frozen=True)
class Cases:
    """n conversations, each judged by its last customer turn and by what led there.

    Attributes:
        texts: the last customer turn of each, "" where there is none.
        answers: by task, what is said of these.
        changed: for each, the reason to step aside because its label is of no use any more, "" mostly.
        moods: of each, the customer turns that were read, in order; empty where no task reads mood.
        wishes: (n,) bool: whether a person is asked for.
        repetition: (n,) in [0, 1]: how much the last turn says what an earlier one said.
        groups: by kind (``GROUPS``), the group of each; None where unknown.
    """

    texts: Sequence[str]
    answers: Mapping[str, Answers]
    changed: Sequence[str]
    moods: Sequence[Sequence[TurnSentiment]]
    wishes: np.ndarray
    repetition: np.ndarray
    groups: Mapping[str, Sequence[str | None]]

    def __len__(self) -> int:
        """Return n."""
        return len(self.texts)

    def take(self, rows: np.ndarray) -> "Cases":
        """Return the cases of ``rows`` (m,) int, in their order."""
        return Cases(
            texts=[self.texts[row] for row in map(int, rows)],
            answers={task: said.take(rows) for task, said in self.answers.items()},
            changed=[self.changed[row] for row in map(int, rows)],
            moods=[self.moods[row] for row in map(int, rows)],
            wishes=self.wishes[rows],
            repetition=self.repetition[rows],
            groups={kind: [found[row] for row in map(int, rows)] for kind, found in self.groups.items()},
        )

    def mood_scores(self) -> list[np.ndarray]:
        """Return the mood of each one's turns as numbers in [-1, 1]."""
        return [np.array([turn.score for turn in turns]) for turns in self.moods]


@dataclass(frozen=True)
class Turns:
    """The customer turns of n conversations that are to be read, in one row: ``starts`` (n + 1,) where each begins."""

    texts: Sequence[str]
    starts: np.ndarray

    @property
    def last(self) -> np.ndarray:
        """The row of each conversation's last turn, (n,)."""
        return self.starts[1:] - 1


def take_turns(conversations: Sequence[Conversation], sentiment: SentimentSettings | None) -> Turns:
    """Return what must be read: the last customer turn of each, and as many before as mood is followed over.

    A conversation in which the customer said nothing has one empty turn.
    """
    most = sentiment.turns if sentiment else 1
    said = [list(conversation.customer_texts(last=most)) or [""] for conversation in conversations]
    starts = np.concatenate([[0], np.cumsum([len(texts) for texts in said], dtype=np.int64)]).astype(np.int64)
    return Turns([text for texts in said for text in texts], starts)


def make_cases(
    conversations: Sequence[Conversation],
    turns: Turns,
    own: Mapping[str, Scores],
    *,
    today: Callable[[str, Scores], Scores],
    changed: Callable[[str, Scores, Scores], Sequence[str]],
    tasks: Sequence[str],
    sentiment: SentimentSettings | None,
) -> Cases:
    """Return the cases of ``conversations``.

    Args:
        conversations: n of them.
        turns: ``take_turns`` of them.
        own: what the models say of ``turns``, by task, in their own labels.
        today: turns the scores of a task into the labels of today.
        changed: gives, of a task's scores and of these in today's labels, the reasons to step aside because of what
            became of labels.
        tasks: those that must be right; only their labels are looked at for changes.
        sentiment: how mood is followed, None where it is not.
    """
    last = {task: _take(scores, turns.last) for task, scores in own.items()}
    now = {task: today(task, scores) for task, scores in last.items()}
    reasons = [""] * len(conversations)
    for task in tasks:
        if task in last:
            told = changed(task, last[task], now[task])
            reasons = [reason or why for reason, why in zip(reasons, told, strict=True)]
    texts = [turns.texts[row] for row in map(int, turns.last)]
    read = [turns.texts[start:end] for start, end in zip(turns.starts[:-1], turns.starts[1:], strict=True)]
    return Cases(
        texts=texts,
        answers={task: Answers.of(scores, now[task]) for task, scores in last.items()},
        changed=reasons,
        moods=_read_moods(turns, own, today, sentiment),
        wishes=np.array([wishes_for_person(text) for text in texts], dtype=bool),
        repetition=np.array([measure_repetition(said) for said in read]),
        groups={kind: [getattr(one, kind) for one in conversations] for kind in GROUPS},
    )


def _read_moods(
    turns: Turns, own: Mapping[str, Scores], today: Callable[[str, Scores], Scores], sentiment: SentimentSettings | None
) -> list[tuple[TurnSentiment, ...]]:
    if sentiment is None or sentiment.task not in own:
        return [()] * (len(turns.starts) - 1)
    scores = today(sentiment.task, own[sentiment.task])
    ratings = np.array([sentiment.ratings.get(label, 0.0) for label in scores.labels])
    expected = np.clip(scores.probabilities.astype(np.float64) @ ratings, -1, 1)
    top = scores.probabilities.argmax(axis=1)
    spoken = np.array([bool(text.strip()) for text in turns.texts], dtype=bool)
    read = [
        TurnSentiment(scores.labels[place], float(score))
        for place, score in zip(top, np.where(spoken, expected, 0.0), strict=True)
    ]
    spans = list(zip(turns.starts[:-1], turns.starts[1:], strict=True))
    return [tuple(read[start:end]) if spoken[start:end].any() else () for start, end in spans]


def _take(scores: Scores, rows: np.ndarray) -> Scores:
    novelty = None if scores.novelty is None else scores.novelty[rows]
    return Scores(scores.labels, scores.probabilities[rows], novelty)
