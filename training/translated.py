"""What a model of an older taxonomy says, in the labels of today."""

from dataclasses import replace

import numpy as np

from labeling.taxonomy import Taxonomy
from labeling.vocabulary import CANNOT_TELL
from training.scoring import Scores


def translate_scores(scores: Scores, taxonomy: Taxonomy, task: str) -> Scores:
    """Return ``scores`` of ``task`` over the labels that the taxonomy has now.

    The probability of a merged label is the sum of its parts'. A retired label is no answer any more; what the model
    gave it is left out and not shared among the others, because a message of that kind is none of them: the rows then
    sum to less than 1, and such messages get a low confidence.

    Args:
        scores: what a model said, whatever taxonomy it was trained on.
        taxonomy: today's.
        task: the model's task.

    Returns:
        The same rows; labels in the order of the model's. "cannot tell" with probability 0 where all were retired.
    """
    former = taxonomy.former(task)
    if not former.keys() & set(scores.labels):
        return scores
    today = [former.get(label, label) for label in scores.labels]
    names = tuple(dict.fromkeys(name for name in today if name is not None))
    if not names:
        nothing = np.zeros((len(scores.probabilities), 1), dtype=np.float32)
        return replace(scores, labels=(CANNOT_TELL,), probabilities=nothing)
    joins = np.array([[was == name for name in names] for was in today], dtype=np.float32)
    return replace(scores, labels=names, probabilities=np.minimum(scores.probabilities @ joins, 1.0))
