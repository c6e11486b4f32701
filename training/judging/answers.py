"""The answers frame: what each model said of each test case of one task, beside the truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from training.scoring import Scores

MODELS: Final = ("challenger", "champion", "reference")
"""Whose answers stand in the frame; those of the latter two are null where there is none."""

DIMENSIONS: Final = ("language", "channel", "segment")
"""The columns by which cases are told apart, beside their label."""

_ABOUT: Final = ("interaction_id", "truth", *DIMENSIONS)
_SAID: Final = {
    "": pl.String, "_confidence": pl.Float64, "_truth_chance": pl.Float64, "_brier": pl.Float64, "_novelty": pl.Float64
}  # fmt: skip


def pair_answers(
    cases: pl.DataFrame, challenger: Scores, champion: Scores | None = None, reference: Scores | None = None
) -> pl.DataFrame:
    """Put each model's answer beside the truth, one row a case.

    Args:
        cases: ``interaction_id``, ``label`` (the settled one, maybe "none of these"), ``language``, ``channel`` and
            ``segment`` (each may be null), in the order of the scores.
        challenger: what it says of each case.
        champion: the same of the champion, None before the first one.
        reference: the same of the fixed reference release, None where there is none or the champion is it.

    Returns:
        ``interaction_id``, ``truth``, ``language``, ``channel``, ``segment``, and of each model ``<model>`` (its
        label), ``<model>_confidence`` in [0, 1], ``<model>_truth_chance`` (its probability of the truth, null where it
        lacks that label), ``<model>_brier`` in [0, 2] and ``<model>_novelty`` (null where it has no statistics or
        its first reader answered).

    Raises:
        ValueError: some model's scores are not one a case.
    """
    about = (
        cases.select("interaction_id", *DIMENSIONS, truth="label").select(_ABOUT).cast(dict.fromkeys(_ABOUT, pl.String))
    )
    columns = list(about.iter_columns())
    for name, scores in zip(MODELS, (challenger, champion, reference), strict=True):
        columns += _describe(name, scores, cases["label"].to_list())
    return pl.DataFrame(columns)


def _describe(name: str, scores: Scores | None, truth: Sequence[str]) -> list[pl.Series]:
    if scores is None:
        return [pl.Series(f"{name}{part}", [None] * len(truth), dtype=kind) for part, kind in _SAID.items()]
    if len(scores.probabilities) != len(truth):
        raise ValueError(
            f"one answer of the {name} a case is needed, found {len(scores.probabilities)} of {len(truth)}"
        )
    said = scores.frame()
    place = {label: column for column, label in enumerate(scores.labels)}
    columns = np.array([place.get(label, -1) for label in truth], dtype=np.int64)
    probabilities = scores.probabilities.astype(np.float64)
    known = columns >= 0
    chance = np.where(known, probabilities[np.arange(len(truth)), columns], 0.0)
    brier = np.square(probabilities).sum(axis=1) - 2 * chance + 1
    found = {
        "": said["label"],
        "_confidence": said["confidence"],
        "_truth_chance": pl.Series(np.where(known, chance, np.nan)).fill_nan(None),
        "_brier": pl.Series(brier),
        "_novelty": said["novelty"],
    }
    return [series.cast(_SAID[part]).alias(f"{name}{part}") for part, series in found.items()]


@dataclass(frozen=True)
class Paired:
    """An answers frame read into arrays of n cases, for gates that count.

    Attributes:
        frame: the answers frame.
        right: by model that answered, which cases it has right, (n,) bool.
        names: by slice (``label`` and ``DIMENSIONS``), the values that occur.
        places: by slice, the place in ``names`` of each case, (n,) int; -1 where it has no value.
    """

    frame: pl.DataFrame
    right: dict[str, np.ndarray]
    names: dict[str, list[str]]
    places: dict[str, np.ndarray]

    @property
    def cases(self) -> int:
        """How many there are."""
        return self.frame.height

    def count(self, beside: str = "champion") -> tuple[int, int]:
        """Return how many cases the challenger loses to the model called ``beside``, and how many it wins."""
        lost, won = self.differences(beside)
        return int(lost.sum()), int(won.sum())

    def differences(self, beside: str = "champion") -> tuple[np.ndarray, np.ndarray]:
        """Return which cases the challenger loses to the model called ``beside``, and which it wins, each (n,) bool."""
        now, was = self.right["challenger"], self.right[beside]
        return was & ~now, now & ~was

    def is_same(self, beside: str = "champion") -> bool:
        """Return whether the challenger says of every case what the other says, as surely: then it is that model."""
        said, sure = self.frame["challenger"], self.frame["challenger_confidence"]
        return bool((said == self.frame[beside]).all() and (sure == self.frame[f"{beside}_confidence"]).all())


def has_model(answers: pl.DataFrame, name: str) -> bool:
    """Return whether the frame holds answers of the model called ``name`` (of ``MODELS``)."""
    return answers.height > 0 and answers[name].null_count() == 0


def read_answers(answers: pl.DataFrame) -> Paired:
    """Read an answers frame into arrays."""
    truth = answers["truth"]
    right = {name: (answers[name] == truth).to_numpy() for name in MODELS if has_model(answers, name)}
    names: dict[str, list[str]] = {}
    places: dict[str, np.ndarray] = {}
    for name, column in (("label", "truth"), *((one, one) for one in DIMENSIONS)):
        values = answers[column].to_list()
        names[name] = [value for value in dict.fromkeys(values) if value is not None]
        place = {None: -1} | {value: row for row, value in enumerate(names[name])}
        places[name] = np.fromiter(map(place.__getitem__, values), dtype=np.int64, count=len(values))
    return Paired(answers, right, names, places)
