"""Cases without a model: confidences, labels and moods as a test wants them."""

import numpy as np

from serving.handoff.cases import GROUPS, Answers, Cases
from serving.handoff.fitting import Outcomes
from serving.sentiment_path import TurnSentiment
from training.scoring import Scores

LABELS = ("refund", "delivery", "fraud", "none_of_these")


def answers_of(confidences, labels=None, novelty=None) -> Answers:
    """Return answers with these confidences; the rest of each probability lies evenly on the other labels."""
    confidences = np.asarray(confidences, dtype=np.float64)
    columns = [LABELS.index(label) for label in labels or ["refund"] * len(confidences)]
    rest = ((1 - confidences) / (len(LABELS) - 1))[:, None]
    probabilities = np.repeat(rest, len(LABELS), axis=1).astype(np.float32)
    probabilities[np.arange(len(columns)), columns] = confidences
    scores = Scores(LABELS, probabilities, None if novelty is None else np.asarray(novelty, dtype=np.float32))
    return Answers([LABELS[column] for column in columns], confidences, scores)


def cases_of(intent: Answers, *, moods=(), wishes=None, repetition=None, texts=None, groups=None, **others) -> Cases:
    """Return cases of the task ``intent`` and of ``others``; ``moods`` are scores by turn."""
    count = len(intent.labels)
    paths = [tuple(TurnSentiment("mood", score) for score in path) for path in moods] or [()] * count
    return Cases(
        texts=texts or ["hello"] * count,
        answers={"intent": intent, **others},
        changed=[""] * count,
        moods=paths,
        wishes=np.zeros(count, dtype=bool) if wishes is None else np.array(wishes, dtype=bool),
        repetition=np.zeros(count) if repetition is None else np.array(repetition, dtype=float),
        groups=dict.fromkeys(GROUPS, [None] * count) | (groups or {}),
    )


def draw(rng, count: int, *, sharpness: float = 1.0, **about) -> tuple[Cases, Outcomes]:
    """Return cases whose chance of being right is their confidence to the power of ``sharpness``."""
    confidences = rng.uniform(0.26, 1.0, count)
    right = rng.uniform(size=count) < confidences**sharpness
    truth = ["refund" if one else "delivery" for one in right]
    return cases_of(answers_of(confidences), **about), Outcomes({"intent": truth}, np.zeros(count, dtype=bool))
