"""What people answered since the last time, as rows: new and changed answers, skips, and what was deleted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, cast

import polars as pl

from labeling import tables as t
from labeling.delta import Tables
from labeling.desk.cases import review_rows
from labeling.desk.desk import Answer, ReviewDesk
from labeling.taxonomy import Taxonomy

WITHDRAWN: Final = "withdrawn"
_OVERLAP: Final = timedelta(minutes=5)
"""How far a fetch reaches back before the newest answer, for answers that were saved out of order."""

TICK: Final = timedelta(microseconds=1)
_IS_STANDING: Final = pl.col("case_id").is_not_null() & (pl.col("unanswered").fill_null("") != WITHDRAWN)


@dataclass(frozen=True)
class Fetched:
    """What one fetch brought: REVIEWS ``rows``, and how many answers were skips, were refused in part, are gone."""

    rows: pl.DataFrame
    skipped: int
    refused: int
    withdrawn: int


def fetch_answers(
    tables: Tables, desk: ReviewDesk, *, taxonomy: Taxonomy, redact: Callable[[str], str] | None
) -> Fetched:
    """Return what was answered, changed or deleted at the ``desk``, whose project is open, and is not stored yet.

    The cursor is the newest stored answer that came from the desk, in the desk's own time: what was fetched but not
    stored is fetched again, and rows taken in from files do not move it.
    """
    since = newest_answer(tables)
    since = since - _OVERLAP if since else None
    answers = desk.fetch(since)
    rows = review_rows(answers, tasks=taxonomy.task_names, redact=redact)
    standing = desk.list_answers(since) if since else {}
    gone = _gone(tables, standing)
    taken_back = _taken_back(tables, answers, rows)
    return Fetched(
        rows=pl.concat([rows, gone, taken_back]),
        skipped=sum(answer.is_skipped for answer in answers),
        refused=sum(len(answer.refused) for answer in answers),
        withdrawn=gone["review_id"].n_unique(),
    )


def newest_answer(tables: Tables) -> datetime | None:
    """Return when the newest answer was given that was fetched from the desk, None where none was."""
    fetched = tables.read(t.REVIEWS, columns=["answered_at"], where=_IS_STANDING)
    return cast("datetime | None", fetched["answered_at"].max())


def _gone(tables: Tables, standing: Mapping[str, frozenset[str]]) -> pl.DataFrame:
    """Return rows that withdraw the stored answers to the cases of ``standing`` that are not among their answers."""
    stored = tables.read(t.REVIEWS, where=_IS_STANDING & pl.col("case_id").is_in(list(standing)))
    here = [answer for answers in standing.values() for answer in answers]
    gone = stored.filter(~pl.col("review_id").is_in(here))
    return withdraw(gone, pl.col("answered_at") + TICK)


def _taken_back(tables: Tables, answers: Sequence[Answer], rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows that withdraw what changed answers say no more: a task that they now leave out.

    A label that is refused stays as it was given: it was known when it was, and the taxonomy has changed since.
    """
    at = {answer.answer_id: answer.answered_at for answer in answers}
    kept = {f"{answer.answer_id}/{task}" for answer in answers for task in answer.refused}
    stored = tables.read(t.REVIEWS, where=_IS_STANDING & pl.col("review_id").is_in(list(at)))
    left_out = stored.join(rows, on=["review_id", "task"], how="anti").filter(
        ~pl.concat_str("review_id", "task", separator="/").is_in(sorted(kept))
    )
    if left_out.is_empty():
        return left_out
    changed_at = pl.col("review_id").replace_strict(at, return_dtype=t.TIME)
    return withdraw(left_out.filter(pl.col("answered_at") < changed_at), changed_at)


def withdraw(rows: pl.DataFrame, at: pl.Expr) -> pl.DataFrame:
    """Return REVIEWS ``rows`` as answers that were taken back ``at`` a time later than theirs."""
    nothing = pl.lit(None, pl.String)
    return rows.with_columns(
        label=nothing, second_label=nothing, note=nothing, unanswered=pl.lit(WITHDRAWN), answered_at=at
    )
