"""How far the suggestion on the page moves people: measured, because some cases go out without it."""

from typing import Final

import polars as pl

from labeling.settling.consensus import PAIR
from labeling.vocabulary import CANNOT_TELL, JUDGING

_NOT_SELECTED: Final = ("audit", JUDGING)
_Z: Final = 1.959964

_SCHEMA: Final = {
    "task": pl.String,
    "shown": pl.Int64,
    "hidden": pl.Int64,
    "agreed_shown": pl.Float64,
    "agreed_hidden": pl.Float64,
    "effect": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
}


def measure_anchoring(reviews: pl.DataFrame, predictions: pl.DataFrame, queue: pl.DataFrame) -> pl.DataFrame:
    """Compare agreement with the suggestion where it was shown with agreement where it was hidden.

    Which cases go out blind is drawn at random among those that are selected, so the difference is what the
    suggestion does. Audit and judging cases (all blind, and not selected) and gold cases are left out. What would have
    been suggested for a hidden case is what the champion that ranked it said.

    Args:
        reviews: REVIEWS table, with ``case_id``.
        predictions: PREDICTIONS table.
        queue: REVIEW_QUEUE table.

    Returns:
        One row a task with answers of both kinds: ``shown`` and ``hidden`` (answers), ``agreed_shown`` and
        ``agreed_hidden`` (shares), ``effect`` (their difference, in [-1, 1]) and its 95% interval ``low`` to ``high``
        (Newcombe, 1998: from two Wilson intervals).
    """
    compared = _compare(reviews, predictions, queue)
    sides = [
        compared.filter(pl.col("blind") == blind)
        .group_by("task")
        .agg(agreed=pl.col("agrees").mean(), count=pl.len().cast(pl.Int64))
        for blind in (False, True)
    ]
    rows = [
        _effect(task, share, count, hidden_share, hidden_count)
        for task, share, count, hidden_share, hidden_count in sides[0]
        .join(sides[1], on="task")
        .sort("task")
        .iter_rows()
    ]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _compare(reviews: pl.DataFrame, predictions: pl.DataFrame, queue: pl.DataFrame) -> pl.DataFrame:
    cases = queue.filter(~pl.col("reason").is_in(_NOT_SELECTED) & ~pl.col("gold").fill_null(value=False))
    would_be = predictions.select(*PAIR, champion="model_version", would_be="label")
    return (
        reviews.filter(pl.col("label").is_not_null() & (pl.col("label") != CANNOT_TELL))
        .drop("blind")
        .join(cases.select("case_id", "blind", "champion"), on="case_id")
        .join(would_be, on=[*PAIR, "champion"], how="left")
        .with_columns(suggested=pl.when("blind").then("would_be").otherwise(pl.coalesce("suggestion", "would_be")))
        .filter(pl.col("suggested").is_not_null())
        .with_columns(agrees=pl.col("label") == pl.col("suggested"))
    )


def _effect(task: str, shown: float, shown_count: int, hidden: float, hidden_count: int) -> tuple:
    (low_1, high_1), (low_2, high_2) = _wilson(shown, shown_count), _wilson(hidden, hidden_count)
    effect = shown - hidden
    low = effect - ((shown - low_1) ** 2 + (high_2 - hidden) ** 2) ** 0.5
    high = effect + ((high_1 - shown) ** 2 + (hidden - low_2) ** 2) ** 0.5
    return task, shown_count, hidden_count, shown, hidden, effect, low, high


def _wilson(share: float, count: int) -> tuple[float, float]:
    middle = share + _Z**2 / (2 * count)
    reach = _Z * (share * (1 - share) / count + _Z**2 / (4 * count**2)) ** 0.5
    return (middle - reach) / (1 + _Z**2 / count), (middle + reach) / (1 + _Z**2 / count)
