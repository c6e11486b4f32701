"""How far each annotator is believed, measured against what others said of the same interactions."""

from datetime import datetime
from typing import Final

import polars as pl

from labeling.settling.crowd_kit import PRIOR_RIGHT, PRIOR_WRONG
from labeling.tables import ANNOTATORS

_TEAM_ANSWERS: Final = 4.0
"""A person starts as the team is, on the strength of this many answers: an interval needs somewhere to begin."""
_LABEL_ANSWERS: Final = 5.0
"""With one label, a person is taken to be as good as with all, on the strength of this many answers."""
_BY: Final = ("annotator_id", "task")


def measure_annotators(held_out: pl.DataFrame, *, gold: pl.Series, now: datetime) -> pl.DataFrame:
    """Measure every annotator's skill in every task, with an equal-tailed 95% interval.

    An answer is compared with what the other answers to its interaction settle to without it. Those can be wrong
    too: a person who is right with s agrees with chance + s * telling, which is undone for skill and interval alike.
    The interval is that of a Beta posterior of the agreement, with the team's mean as its prior.

    Args:
        held_out: of ``Consensus``.
        gold: the ids of cases whose label is known well and was asked again to measure people.
        now: when this is measured.

    Returns:
        ANNOTATORS table, everybody who answered; ``overlapping`` counts the answers that somebody else gave too.
    """
    from scipy.special import betaincinv

    rows = compare_answers(held_out).with_columns(
        is_gold=pl.col("case_id").is_in(gold.implode()).fill_null(value=False)
    )
    told = rows.group_by(_BY).agg(
        answers=pl.len(),
        overlapping=pl.col("label").count(),
        gold_seen=pl.col("is_gold").sum(),
        agreed=pl.col("agrees").sum(),
        telling=pl.col("telling").mean().fill_null(1.0),
        chance=pl.col("chance").mean().fill_null(0.0),
    )
    expected = pl.col("chance") + pl.col("team") * pl.col("telling")
    a = pl.col("agreed") + _TEAM_ANSWERS * expected
    b = pl.col("overlapping") - pl.col("agreed") + _TEAM_ANSWERS * (1 - expected)
    counted = told.join(_team(rows), on="task").with_columns(a=a, b=b)
    ends = [betaincinv(counted["a"].to_numpy(), counted["b"].to_numpy(), share) for share in (0.025, 0.975)]
    agreement = counted.with_columns(
        skill=pl.col("a") / (pl.col("a") + pl.col("b")),
        low=pl.Series(ends[0], dtype=pl.Float64),
        high=pl.Series(ends[1], dtype=pl.Float64),
    )
    undone = ((pl.col("skill", "low", "high") - pl.col("chance")) / pl.col("telling")).clip(0.001, 0.999).round(3)
    measured = agreement.with_columns(undone, measured_at=pl.lit(now))
    return measured.select(list(ANNOTATORS.schema)).cast(pl.Schema(ANNOTATORS.schema)).sort(_BY)


def compare_answers(held_out: pl.DataFrame) -> pl.DataFrame:
    """Compare each answer with what the others settle to.

    Returns:
        ``held_out`` with ``agrees`` (0 or 1); ``chance``, how often somebody who is wrong would agree; ``telling``, how
        much oftener somebody who is right does; and ``right`` in [0, 1], whose mean over a person's answers is how
        often they are right. All are null for an answer that nobody else gave.
    """
    labels = pl.max_horizontal(pl.col("said").n_unique().over("task"), 2)
    compared = held_out.with_columns(
        agrees=(pl.col("said") == pl.col("label")).cast(pl.Float64),
        chance=(1 - pl.col("confidence")) / (labels - 1),
    ).with_columns(telling=pl.col("confidence") - pl.col("chance"))
    agreed, chance, telling = (pl.col(name).mean().over(_BY) for name in ("agrees", "chance", "telling"))
    freed = ((agreed - chance) / telling).clip(0.0, 1.0) / agreed
    return compared.with_columns(right=pl.col("agrees") * pl.when(agreed > 0).then(freed).otherwise(1.0))


def measure_precision(held_out: pl.DataFrame) -> pl.DataFrame:
    """Measure how often each annotator is right when they give one label: ``annotator_id, task, said, precision``.

    Where a person has said a label to few interactions that others answered too, it is their skill over all labels.
    """
    rows = compare_answers(held_out)
    skills = (
        rows.group_by(_BY).agg(right=pl.col("right").sum(), seen=pl.col("right").count()).join(_team(rows), on="task")
    )
    skill = (pl.col("right") + _TEAM_ANSWERS * pl.col("team")) / (pl.col("seen") + _TEAM_ANSWERS)
    by_label = rows.group_by(*_BY, "said").agg(hits=pl.col("right").sum(), tries=pl.col("right").count())
    drawn = (pl.col("hits") + _LABEL_ANSWERS * pl.col("skill")) / (pl.col("tries") + _LABEL_ANSWERS)
    joined = by_label.join(skills.select(*_BY, skill=skill), on=_BY)
    return joined.select(*_BY, "said", precision=drawn.clip(0.0, 1.0)).sort(*_BY, "said")


def _team(rows: pl.DataFrame) -> pl.DataFrame:
    right, seen = pl.col("right").sum(), pl.col("right").count()
    team = (right + PRIOR_RIGHT) / (seen + PRIOR_RIGHT + PRIOR_WRONG)
    return rows.group_by("task").agg(team=team)
