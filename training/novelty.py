"""How little a message is like anything that a model was trained on: what tells it to step aside outside its labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from labeling.errors import ModelError

_STEPS: Final = 127
"""A feature is kept in 8 bits a number, of [-1, 1]: three digits less move no distance that matters."""

_WEIGHT: Final = 2.0
"""How much the distance counts beside the doubt; chosen on development draws (docs/training.md)."""


@dataclass(frozen=True)
class Novelty:
    """What is kept of a model's training features, to compare new ones with.

    Attributes:
        exemplars: training features in steps of 1/127, (m, d) int8, sorted by label.
        starts: where the exemplars of each label start, and the end of the last, (labels + 1,) int64.
        spread: the usual distance of a training text to its nearest neighbour of the same label, (1,) float32, > 0.
    """

    exemplars: np.ndarray
    starts: np.ndarray
    spread: np.ndarray

    def measure(self, features: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """Return the novelty of each text, (n,) float32; higher is less like anything trained.

        It is the doubt about the answer, -log p (Hendrycks and Gimpel, 2017), plus the cosine distance to the nearest
        training text of that very answer (after Sun et al., 2022), in units of what is usual in training.

        Args:
            features: of the texts, (n, d), each of length 1, by the model that the exemplars are of.
            logits: what its head says of them, (n, labels), before any temperature.
        """
        from scipy.special import log_softmax

        answers = logits.argmax(axis=1)
        doubt = -log_softmax(logits.astype(np.float64), axis=1).max(axis=1)
        distance = np.empty(len(features), dtype=np.float64)
        for answer in np.unique(answers):
            rows = answers == answer
            known = self.exemplars[self.starts[answer] : self.starts[answer + 1]].astype(np.float32) / _STEPS
            distance[rows] = 1 - (features[rows] @ known.T).max(axis=1)
        return (doubt + _WEIGHT * distance / self.spread[0]).astype(np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything, to be stored."""
        return {"exemplars": self.exemplars, "starts": self.starts, "spread": self.spread}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Novelty":
        """Return what ``arrays()`` was taken of.

        Raises:
            ModelError: the arrays are not those of a novelty, or do not fit each other.
        """
        try:
            found = cls(arrays["exemplars"], arrays["starts"], arrays["spread"])
        except KeyError as error:
            raise ModelError(f"novelty statistics need an array {error}, found none: train again") from None
        if found.exemplars.ndim != 2 or found.starts[-1] != len(found.exemplars) or found.spread.shape != (1,):
            raise ModelError("novelty statistics need arrays that fit each other, found others: train again")
        return found


def fit_novelty(features: np.ndarray, targets: np.ndarray) -> Novelty:
    """Return what is to be kept of the features that a model was trained on.

    Args:
        features: of the training texts, by the trained model, (n, d), each of length 1.
        targets: the label of each as a number, (n,) int; each of 0..labels-1 at least once.
    """
    order = np.argsort(targets, kind="stable")
    kept = features[order]
    starts = np.concatenate([[0], np.cumsum(np.bincount(targets))])
    nearest = [_nearest(kept[start:end]) for start, end in zip(starts[:-1], starts[1:], strict=True)]
    spread = max(float(np.mean(np.concatenate(nearest))), 1e-3)
    return Novelty(np.rint(kept * _STEPS).astype(np.int8), starts, np.array([spread], dtype=np.float32))


def _nearest(features: np.ndarray) -> np.ndarray:
    """Return the distance of each row to the nearest other one; of a single row, none."""
    if len(features) < 2:
        return np.zeros(0)
    alike = features @ features.T
    np.fill_diagonal(alike, -1.0)
    return 1 - alike.max(axis=1)
