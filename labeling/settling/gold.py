"""Label confidences held to gold: what is said to be right nine times in ten should be."""

from typing import Final

import numpy as np
import polars as pl

GOLD_NEEDED: Final = 60
"""Gold answers of a task, of which at least ``WRONG_NEEDED`` wrong: with fewer, confidences stay as they are."""
WRONG_NEEDED: Final = 6
_KNOWN: Final = 0.9
"""An answer to a gold case counts where the others leave less doubt than this."""
_PENALTY: Final = 4.0
"""The map is drawn to the identity, as if by so many answers' worth of evidence in each of its two numbers."""


def calibrate_confidences(verdicts: pl.DataFrame, held_out: pl.DataFrame, *, gold: pl.Series) -> pl.DataFrame:
    """Return ``verdicts`` with confidences on a scale on which gold answers were right as often as they were believed.

    Platt's (1999) scaling of log odds, by task: an answer to a gold case, as far as it would be believed alone, against
    whether it is what the others settled to. The answers that made a case gold do not count: they agree because that
    is how it was chosen. Two numbers, drawn to the identity, from few answers; no isotonic
    steps, which need thousands.

    Args:
        verdicts: of ``Consensus``.
        held_out: of ``Consensus``.
        gold: ids of gold cases.
    """
    known = held_out.filter(pl.col("case_id").is_in(gold.implode()) & (pl.col("confidence") >= _KNOWN))
    parts = []
    for of_task in verdicts.partition_by("task", maintain_order=True):
        seen = known.filter(pl.col("task") == of_task["task"][0])
        right = (seen["said"] == seen["label"]).to_numpy()
        if len(right) < GOLD_NEEDED or (~right).sum() < WRONG_NEEDED:
            parts.append(of_task)
            continue
        slope, shift = fit_platt(seen["alone"].to_numpy(), right)
        moved = _expit(slope * _logit(of_task["confidence"].to_numpy()) + shift)
        parts.append(of_task.with_columns(confidence=pl.Series(moved)))
    return pl.concat(parts) if parts else verdicts


def fit_platt(confidence: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Return slope and shift of log odds such that expit(slope * logit(confidence) + shift) is the share right.

    Args:
        confidence: (n,) in (0, 1).
        right: (n,) bool.
    """
    odds = _logit(confidence)
    design = np.stack([odds, np.ones_like(odds)], axis=1)
    start = np.array([1.0, 0.0])
    found = start.copy()
    for _ in range(50):
        said = _expit(design @ found)
        slope = design.T @ (said - right) + _PENALTY * (found - start)
        bend = (design * (said * (1 - said))[:, None]).T @ design + _PENALTY * np.eye(2)
        step = np.linalg.solve(bend, slope)
        found -= step
        if np.abs(step).max() < 1e-9:
            break
    return max(0.05, float(found[0])), float(found[1])


def _logit(share: np.ndarray) -> np.ndarray:
    kept = np.clip(share, 1e-6, 1 - 1e-6)
    return np.log(kept / (1 - kept))


def _expit(odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-odds))
