"""How likely each served answer is right, told from what was known when it was served."""

import hashlib
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_FOLDS: Final = 20
_NUMBERS: Final = ("confidence", "margin")
_NAMES: Final = ("label", "channel", "segment")
_STRENGTH: Final = 0.3
"""How much a label, channel or segment may say of its own beside the numbers: few cases bear each of them."""


def predict_correctness(served: pl.DataFrame) -> pl.Series | None:
    """Predict for every answer whether it is right, with a model that did not learn from it.

    A ridge-penalised logistic regression on confidence, margin, label, channel and segment, cross-fitted
    (Zrnic and Candès, 2024): the cases that people read are dealt into twenty folds by conversation, each fold is
    predicted by a model of the others, and what nobody read by the mean of the twenty. Nothing that came after the
    answer is used, as reviewed messages would differ in it from others.

    Args:
        served: ``served_answers``.

    Returns:
        (n,) ``chance`` in (0, 1); None where some nineteen folds hold no right or no wrong answer.
    """
    from sklearn.linear_model import LogisticRegression

    known = served["right"].is_not_null().to_numpy()
    right = served["right"].fill_null(value=False).to_numpy()
    folds = np.where(known, _deal(served["conversation_id"]), -1)
    features = _features(served)
    chance = np.zeros(served.height)
    for fold in range(_FOLDS):
        learnt = known & (folds != fold)
        if not 0 < right[learnt].sum() < learnt.sum():
            return None
        model = LogisticRegression(max_iter=500).fit(features[learnt], right[learnt])
        told = ~known | (folds == fold)
        chance[told] += model.predict_proba(features[told])[:, 1] / np.where(known[told], 1, _FOLDS)
    return pl.Series("chance", chance)


def _deal(conversations: pl.Series) -> np.ndarray:
    """Return the fold of each row, (n,) int: of its conversation alone, whatever else is there."""
    names = conversations.unique()
    folds = {name: hashlib.sha256(str(name).encode()).digest()[0] % _FOLDS for name in names}
    return np.array([folds[name] for name in conversations], dtype=np.int64)


def _features(served: pl.DataFrame) -> "csr_array":
    """Return (n, d) sparse: the numbers as log odds, scaled, and whether each is missing; the names one by one."""
    from scipy.sparse import csr_array, hstack

    odds = served.select(pl.col(*_NUMBERS).clip(1e-4, 1 - 1e-4)).to_numpy().astype(np.float64)
    odds = np.log(odds / (1 - odds))
    missing = np.isnan(odds)
    filled = np.where(missing, 0.0, odds / 2)
    coded = served.select(pl.col(_NAMES).cast(pl.String).fill_null("").rank("dense") - 1)
    blocks = [csr_array(filled), csr_array(missing.astype(np.float64))]
    rows = np.arange(served.height)
    for name in _NAMES:
        column = coded[name].to_numpy()
        shape = (served.height, int(column.max(initial=0)) + 1)
        blocks.append(csr_array((np.full(served.height, _STRENGTH), (rows, column)), shape=shape))
    return csr_array(hstack(blocks, format="csr"))
