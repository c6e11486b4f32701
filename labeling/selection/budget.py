"""How many open-lot cases may be picked now."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from labeling.selection.policy import AUDIT, SelectionPolicy
from labeling.tables import TIME

_DAY: Final = timedelta(days=1)
_LATELY: Final = timedelta(days=7)


@dataclass(frozen=True)
class Budget:
    """What is left to pick.

    Attributes:
        cases: how many may be picked now (>= 0).
        people: how many answered in the last seven days, at least one.
        is_capped: whether ``cap_per_person`` made the day's budget smaller.
        given_back: how many of ``cases`` come from stale cases of earlier days.
    """

    cases: int
    people: int
    is_capped: bool
    given_back: int


def count_people(reviews: pl.DataFrame, *, now: datetime) -> int:
    """Return how many annotators gave a label in the last seven days, at least one."""
    lately = reviews.filter(pl.col("label").is_not_null(), pl.col("answered_at") > now - _LATELY)
    return max(1, lately["annotator_id"].n_unique())


def measure_budget(
    queue: pl.DataFrame,
    *,
    policy: SelectionPolicy,
    people: int,
    stale: pl.Series,
    withdrawn: pl.Series,
    champion: str | None,
    now: datetime,
) -> Budget:
    """Return the day's budget less what was picked in the last 24 hours.

    What was picked today and is stale or withdrawn frees its place. Stale cases of earlier days are given out again on
    top, with the first selection under the new champion and never with a later one, so that a run that was killed
    between picking and withdrawing does not give them out twice.

    Args:
        queue: REVIEW_QUEUE table.
        policy: ``budget`` and ``cap_per_person``.
        people: who is there to answer (>= 1).
        stale: cases that are to be withdrawn (``stale_cases``).
        withdrawn: cases that were.
        champion: the live version.
        now: when the selection is made.
    """
    opened = queue.filter(pl.col("reason") != AUDIT)
    gone = pl.concat([stale, withdrawn]).unique()
    lately = opened.filter(pl.col("picked_at") > now - _DAY, ~pl.col("case_id").is_in(gone.implode()))
    out_of_date = opened.filter(pl.col("case_id").is_in(stale.implode()))
    mine = opened.filter(pl.col("champion") == (champion or ""))
    newest = pl.lit(out_of_date["picked_at"].max(), TIME)
    begun = mine.filter(pl.col("picked_at") > newest)
    given_back = 0 if begun.height else out_of_date.filter(pl.col("picked_at") <= now - _DAY).height
    day = min(policy.budget, policy.cap_per_person * people)
    return Budget(
        cases=max(0, day - lately.height) + given_back,
        people=people,
        is_capped=day < policy.budget,
        given_back=given_back,
    )
