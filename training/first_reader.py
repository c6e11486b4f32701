"""A first, cheap reading of a text by its words and letters: where it is sure, no encoder needs to run.

A cascade (Viola and Jones, 2001) of two stages. The first is a linear support vector machine on hashed words, pairs of
words and letter sequences; it reads 20,000 texts a second on one core. Which texts it may keep is fitted on held-out
cases, so that its answers are those that the whole model would have given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from labeling.errors import ModelError
from training.calibration import fit_temperature

MOST_DIFFERENT: Final = 0.01
"""The largest share of all texts that may get another answer than the whole model's; held with 95% confidence."""

_THRESHOLDS: Final = tuple(step / 200 for step in range(199, 179, -1))
"""What is tried, strictest first, until one fails; fixed before any case is seen: the confidence rests on that.

None below 0.9: a text of unknown words is then left to the whole model, whatever the cases say of known ones."""

_WEIGHTS: Final = 2**22
"""At most so many for letters, and half as many for words, whatever the number of labels."""


@dataclass(frozen=True)
class FirstReader:
    """What a first reading is made with.

    Attributes:
        idf: of each hashed word (the first third) and letter sequence, (f,) float32.
        weight: (f, labels) float32.
        bias: (labels,) float32.
        temperature: of its answers on held-out texts, (1,) float32, > 0.
        threshold: it keeps texts of at least this confidence, (1,) float32, in [0, 1].
    """

    idf: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    temperature: np.ndarray
    threshold: np.ndarray

    def read(self, texts: Sequence[str]) -> np.ndarray:
        """Return the probabilities of each text, (n, labels) float32."""
        from scipy.special import softmax

        if not texts:
            return np.empty((0, len(self.bias)), dtype=np.float32)
        decisions = np.asarray(_weigh(_count(texts, len(self.idf)), self.idf) @ self.weight) + self.bias
        return softmax(decisions / self.temperature[0], axis=1).astype(np.float32)

    def is_sure(self, probabilities: np.ndarray) -> np.ndarray:
        """Return which texts it keeps, by what ``read`` said of them, (n,) bool."""
        return probabilities.max(axis=1) >= self.threshold[0]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything, to be stored; the weights in float16."""
        return {**vars(self), "weight": self.weight.astype(np.float16)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "FirstReader":
        """Return what ``arrays()`` was taken of.

        Raises:
            ModelError: an array is missing.
        """
        try:
            found = {name: arrays[name].astype(np.float32) for name in cls.__dataclass_fields__}
        except KeyError as error:
            raise ModelError(f"a first reader needs an array {error}, found none: train again") from None
        return cls(**found)


def fit_first_reader(
    texts: Sequence[str], targets: np.ndarray, *, held_out: Sequence[str], answers: np.ndarray, truth: np.ndarray
) -> FirstReader | None:
    """Fit a first reader, and the confidence from which on it may answer in the whole model's place.

    Args:
        texts: to learn from.
        targets: the label of each as a number, (n,) int; each of 0..labels-1 at least once.
        held_out: texts that neither learnt from.
        answers: what the whole model says of those, (m,) int.
        truth: their true labels, (m,) int.

    Returns:
        None where no threshold could be shown to change at most ``MOST_DIFFERENT`` of all answers; 300 held-out cases
        are the fewest that can show it.
    """
    from sklearn.svm import LinearSVC

    labels = int(targets.max()) + 1
    width = 3 * 2 ** min(14, int(np.log2(_WEIGHTS / 2 / labels)))
    counts = _count(texts, width)
    seen = np.bincount(counts.indices, minlength=width)
    idf = (1 + np.log((1 + len(texts)) / (1 + seen))).astype(np.float32)
    model = LinearSVC(C=1.0).fit(_weigh(counts, idf), targets)
    weight, bias = np.asarray(model.coef_).T, np.asarray(model.intercept_)
    if labels == 2:  # one column for two labels: how much the second is preferred
        weight, bias = np.hstack([-weight, weight]), np.concatenate([-bias, bias])
    one, scale = np.ones(1, dtype=np.float32), 0.1  # margins are near 1: the softmax of them as they are says nothing
    parts = weight.astype(np.float32) / np.float32(scale), bias.astype(np.float32) / np.float32(scale)
    plain = FirstReader(idf, *parts, one, 0 * one)
    return _calibrate(plain, np.log(plain.read(held_out) + 1e-12), answers, truth)


def _calibrate(reader: FirstReader, logits: np.ndarray, answers: np.ndarray, truth: np.ndarray) -> FirstReader | None:
    """Set the temperature and the lowest threshold that keeps the promise with 95% confidence (Clopper, Pearson)."""
    from scipy.special import softmax
    from statsmodels.stats.proportion import proportion_confint

    temperature = fit_temperature(logits, truth)
    said = softmax(logits / temperature, axis=1)
    lowest = None
    for threshold in _THRESHOLDS:
        kept = said.max(axis=1) >= threshold
        different = int((said.argmax(axis=1) != answers)[kept].sum())
        bound = proportion_confint(different, len(answers), alpha=0.1, method="beta")[1]
        if float(bound) > MOST_DIFFERENT:  # pyright: ignore[reportArgumentType]
            break
        lowest = threshold
    if lowest is None:
        return None
    found = np.array([temperature], dtype=np.float32), np.array([lowest], dtype=np.float32)
    return FirstReader(reader.idf, reader.weight, reader.bias, *found)


def _count(texts: Sequence[str], width: int) -> Any:
    """Return how often each hashed word, pair of words and letter sequence stands in each text, (n, width) sparse."""
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import HashingVectorizer

    plain = {"alternate_sign": False, "norm": None, "dtype": np.float32}
    words = HashingVectorizer(ngram_range=(1, 2), n_features=width // 3, **plain)
    letters = HashingVectorizer(analyzer="char_wb", ngram_range=(3, 5), n_features=width // 3 * 2, **plain)
    return hstack([words.transform(texts), letters.transform(texts)], format="csr")


def _weigh(counts: Any, idf: np.ndarray) -> Any:
    """Return log counts times ``idf``, each text of length 1 (Salton and Buckley, 1988)."""
    from sklearn.preprocessing import normalize

    weighed = counts.copy()
    weighed.data = (1 + np.log(weighed.data)) * idf[weighed.indices]
    return normalize(weighed, copy=False)
