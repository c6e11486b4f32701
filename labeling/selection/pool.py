"""What a selection chooses from."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

WAITING: Final = {
    "interaction_id": pl.String,
    "lot": pl.String,
    "copy_key": pl.UInt64,
    "predicted": pl.String,
    "margin": pl.Float64,
    "disagreement": pl.Float64,
    "handoff": pl.Float64,
    "request": pl.Int32,
    "withdrawn": pl.Int32,
}
"""``copy_key`` is the same for equal texts; ``predicted`` is the champion's label of the first task, null where it said
nothing; ``margin`` in [0, 1] its least sure answer's; ``disagreement`` and ``handoff`` in (0, 1] say how strongly a row
has that reason, null not at all; ``request`` is the place of the gate request that the row serves; ``withdrawn`` counts
the row's cases that were withdrawn unanswered."""

LABELLED: Final = {
    "interaction_id": pl.String,
    "target": pl.Int32,
    "suspicion": pl.Float64,
    "is_gold": pl.Boolean,
    "gold_asked": pl.Int32,
}
"""``target`` is the number of the label in the first task, -1 for "none of these"; ``suspicion`` in [0, 1] is null
where unknown or where the label was asked for again; ``gold_asked`` counts the gold cases so far."""


@dataclass(frozen=True)
class Pool:
    """The interactions that nobody was asked about, and what people labelled.

    Attributes:
        waiting: n rows of the columns ``WAITING``; others are ignored.
        features: (n, d) float32, normalised, row by row as ``waiting``.
        labelled: m rows of the columns ``LABELLED``, of the open lot.
        known: (m, d) float32, normalised, row by row as ``labelled``.
        asked: (k, d) float32, normalised: texts of the open lot that somebody was asked about and nobody has labelled.
        classes: how many labels the first task has, without "none of these" (>= 2).
        needed: how many cases each gate request still lacks, by its place.
    """

    waiting: pl.DataFrame
    features: np.ndarray
    labelled: pl.DataFrame
    known: np.ndarray
    asked: np.ndarray
    classes: int
    needed: tuple[int, ...] = ()

    @property
    def targets(self) -> np.ndarray:
        """Return the label numbers of what is labelled, (m,)."""
        return self.labelled["target"].to_numpy()
