"""How little a message is like anything that a model was trained on: what tells it to step aside outside its labels."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np

from labeling.errors import ModelError

_DIRECTIONS: Final = 128
_EXEMPLARS: Final = 10_000
_STEPS: Final = 127
_NEIGHBOURS: Final = 5
_BLOCK: Final = 512
_LEAST_SPREAD: Final = 0.05
"""The squared distance of a text from its label's mean is held to be no smaller than this, where few texts say so."""

_FEW_TEXTS: Final = 10
"""How much more the covariance is shrunk where texts are few; chosen on 2 to 30 texts a label (docs/training.md)."""

_WEIGHTS: Final = np.array([0.6, 0.6, -0.6, 0.25])
"""Of the four measures of ``_measure``, beside an entropy of weight 1; chosen on development draws of BANKING77's
training texts, of which 27 intents were held out, and steady over them (docs/training.md)."""

_LARGEST_LOGIT: Final = 0.4
"""How much a quadratic head's largest logit counts. Its scores are estimated label by label and need not add up to one:
where all are small nothing trained is near, which the entropy, whose chances do add up, cannot tell. A logistic
regression's says nothing more than its entropy (docs/training.md)."""


@dataclass(frozen=True)
class Novelty:
    """What is kept of a model's training features, to compare new ones with: about 1.6 MB at most for 384 dimensions.

    Of features of several layers, d is the width of the last one's part, which alone is compared.

    Attributes:
        centre: the mean training feature, (d,) float32.
        basis: the directions in which training features differ most, (d, r) float32, r at most 128.
        exemplars: training features less the centre along the basis, in steps, (m, r) int8, sorted by label; all of
            them up to 10,000, of more an even share of each label.
        step: the size of a step, (1,) float32.
        starts: where the exemplars of each label start, and the end of the last, (labels + 1,) int64.
        means: of each label's features along the basis, (labels, r) float32.
        whitener: turns features along the basis so that they vary alike within labels, (r, r) float32.
        usual: mean and standard deviation of each of the four measures over the exemplars, (2, 4) float32.
        largest: how much the largest logit counts, (1,) float32.
    """

    centre: np.ndarray
    basis: np.ndarray
    exemplars: np.ndarray
    step: np.ndarray
    starts: np.ndarray
    means: np.ndarray
    whitener: np.ndarray
    usual: np.ndarray
    largest: np.ndarray

    def measure(self, features: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """Return the novelty of each text, (n,) float32; higher is less like anything trained, 0 nothing remarkable.

        It is the entropy of the answer in nats, plus how far the text lies from the nearest trained ones (Sun et al.,
        2022) and from the centre, less its Mahalanobis distance to the answer's mean (Lee et al., 2018), each in
        standard deviations of the training texts: of two texts that far from their neighbours, the one nearer to
        the mean lies where texts were to be expected, and is the stranger (compare Ren et al., 2021). Of a quadratic
        head a part of its largest logit is taken off.

        Args:
            features: of the texts, (n, layers * d), each of length 1, by the model that this was fitted to.
            logits: what its head says of them, (n, labels), before any temperature.
        """
        from scipy.special import log_softmax

        logs = log_softmax(logits.astype(np.float64), axis=1)
        entropy = -(np.exp(logs) * logs).sum(axis=1)
        if not len(features):
            return np.zeros(0, dtype=np.float32)
        measured = self._measure(_last_layer(features, len(self.centre)), logits.argmax(axis=1))
        near = self.largest * logits.max(axis=1)
        return (entropy + (measured - self.usual[0]) / self.usual[1] @ _WEIGHTS - near).astype(np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything, to be stored."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Novelty":
        """Return what ``arrays()`` was taken of.

        Raises:
            ModelError: an array is missing, or they do not fit each other.
        """
        wanted = [field.name for field in fields(cls)]
        arrays = {"largest": np.zeros(1, dtype=np.float32), **arrays}  # models from before there were quadratic heads
        if missing := [name for name in wanted if name not in arrays]:
            raise ModelError(f"novelty statistics need arrays {', '.join(wanted)}, found no {missing[0]}: train again")
        found = cls(**{name: arrays[name] for name in wanted})
        directions, labels = found.basis.shape[-1], len(found.starts) - 1
        fitting = {
            "basis": (len(found.centre), directions),
            "exemplars": (int(found.starts[-1]), directions),
            "step": (1,),
            "means": (labels, directions),
            "whitener": (directions, directions),
            "usual": (2, 4),
            "largest": (1,),
        }
        for name, shape in fitting.items():
            if arrays[name].shape != shape:
                raise ModelError(
                    f"novelty statistics need {name} of shape {shape}, found {arrays[name].shape}: train again"
                )
        return found

    def _measure(self, features: np.ndarray, answers: np.ndarray, own: np.ndarray | None = None) -> np.ndarray:
        """Return the four measures of each text, (n, 4), all higher the farther away.

        Mean distance to the five nearest exemplars of the answer; distance to the nearest of any label; squared
        Mahalanobis distance to the answer's mean; cosine distance to the centre. ``own`` is the exemplar that each
        text is itself, left out of its neighbours.
        """
        known, halves = self._known
        along = (features - self.centre) @ self.basis
        measured = np.empty((len(features), 4))
        for start in range(0, len(features), _BLOCK):
            part = slice(start, start + _BLOCK)
            near = along[part] @ known.T - halves
            if own is not None:
                near[np.arange(len(near)), own[part]] = -np.inf
            measured[part, 1] = near.max(axis=1)
            for rows, exemplars in self._by_answer(answers[part]):
                measured[start + rows, 0] = _mean_largest(near[rows, exemplars])
        # Half the squared distance, which of features of length 1 is the cosine distance: |x|²/2 + |e|²/2 - x·e.
        measured[:, :2] = np.maximum(np.square(along).sum(axis=1)[:, None] / 2 - measured[:, :2], 0)
        measured[:, 2] = np.square((along - self.means[answers]) @ self.whitener).sum(axis=1)
        if own is not None:  # without it the mean would lie farther away
            counts = np.diff(self.starts)[answers]
            measured[:, 2] *= np.square(counts / np.maximum(counts - 1, 1))
        measured[:, 3] = 1 - features @ (self.centre / max(float(np.linalg.norm(self.centre)), 1e-9))
        return measured

    @cached_property
    def _known(self) -> tuple[np.ndarray, np.ndarray]:
        """The exemplars as numbers, (m, r) float32, and half the square of each one's length, (m,)."""
        known = self.exemplars.astype(np.float32) * self.step
        return known, np.square(known).sum(axis=1) / 2

    def _by_answer(self, answers: np.ndarray) -> Iterator[tuple[np.ndarray, slice]]:
        """Yield, by answer, the rows that give it and where its exemplars lie."""
        for answer in np.unique(answers):
            yield np.flatnonzero(answers == answer), slice(self.starts[answer], self.starts[answer + 1])


def fit_novelty(
    features: np.ndarray, targets: np.ndarray, *, pooled_layers: int = 1, is_quadratic: bool = False
) -> Novelty:
    """Return what is to be kept of the features that a model was trained on.

    Args:
        features: of the training texts, by the trained model, (n, pooled_layers * d), each of length 1.
        targets: the label of each as a number, (n,) int; each of 0..labels-1 at least once, labels >= 2.
        pooled_layers: of how many layers the features are.
        is_quadratic: whether the model's head is a quadratic one.
    """
    features = _last_layer(features, features.shape[1] // pooled_layers)
    centre = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    _, vectors = np.linalg.eigh(np.cov(features, rowvar=False))
    basis = np.ascontiguousarray(vectors[:, ::-1][:, :_DIRECTIONS], dtype=np.float32)
    along = (features - centre) @ basis
    means = np.stack([along[targets == label].mean(axis=0) for label in range(int(targets.max()) + 1)])
    kept = _spread_out(targets)
    step = max(float(np.abs(along).max()) / _STEPS, 1e-9)
    found = Novelty(
        centre=centre,
        basis=basis,
        exemplars=np.rint(along[kept] / step).astype(np.int8),
        step=np.array([step], dtype=np.float32),
        starts=np.concatenate([[0], np.cumsum(np.bincount(targets[kept]))]),
        means=means.astype(np.float32),
        whitener=_whiten(along - means[targets], freedom=len(targets) - len(means), dimension=features.shape[1]),
        usual=np.stack([np.zeros(4), np.ones(4)]).astype(np.float32),
        largest=np.array([_LARGEST_LOGIT if is_quadratic else 0.0], dtype=np.float32),
    )
    return replace(found, usual=_usual(found._measure(features[kept], targets[kept], own=np.arange(len(kept)))))


def _last_layer(features: np.ndarray, width: int) -> np.ndarray:
    """Return what the last layer says, (n, width), each of length 1, of what several say side by side."""
    return features if width == features.shape[1] else features[:, -width:] * np.sqrt(features.shape[1] / width)


def _usual(measured: np.ndarray) -> np.ndarray:
    """Return mean and deviation of each measure, (2, 4), over the texts that have a neighbour of their own label."""
    whole = measured[np.isfinite(measured).all(axis=1)]
    if len(whole) < 2:
        return np.stack([np.zeros(4), np.ones(4)]).astype(np.float32)
    return np.stack([whole.mean(axis=0), np.maximum(whole.std(axis=0), 1e-3)]).astype(np.float32)


def _spread_out(targets: np.ndarray) -> np.ndarray:
    """Return the rows to keep, by label: all, or of each label an even share of its rows, at least one."""
    share = min(1.0, _EXEMPLARS / len(targets))
    order = np.argsort(targets, kind="stable")
    ends = np.concatenate([[0], np.cumsum(np.bincount(targets))])
    counts = [max(1, int(share * (end - start))) for start, end in pairwise(ends)]
    places = [
        start + np.arange(count) * (end - start) // count
        for (start, end), count in zip(pairwise(ends), counts, strict=True)
    ]
    return order[np.concatenate(places)]


def _whiten(residuals: np.ndarray, *, freedom: int, dimension: int) -> np.ndarray:
    """Return the factor of the inverse covariance within labels, shrunk towards equal variance in all directions.

    By the mean variance of a feature's number, and by more where labels have few texts: directions in which a handful
    of texts happen not to differ would make everything new look far from its label's mean.
    """
    directions = residuals.shape[1]
    covariance = residuals.T.astype(np.float64) @ residuals / max(freedom, 1)
    variance = max(float(np.trace(covariance)), _LEAST_SPREAD) / dimension
    ridge = variance * (1 + _FEW_TEXTS * directions / max(freedom, 1))
    return np.linalg.cholesky(np.linalg.inv(covariance + ridge * np.eye(directions))).astype(np.float32)


def _mean_largest(near: np.ndarray) -> np.ndarray:
    """Return the mean of each row's five largest finite values, -infinite where there is none."""
    count = min(_NEIGHBOURS, near.shape[1])
    nearest = np.partition(near, -count, axis=1)[:, -count:]
    finite = np.isfinite(nearest)
    total = np.where(finite, nearest, 0).sum(axis=1)
    return np.where(finite.any(axis=1), total / np.maximum(finite.sum(axis=1), 1), -np.inf)
