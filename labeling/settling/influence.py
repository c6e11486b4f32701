"""Nobody moves an intent alone, and no two together: what one person's word may weigh among an intent's labels.

The attack that this is for: a person of the team answers truthfully but for one intent, whose messages they always file
under another. Where others answered the same messages, consensus sees it. Most messages have one answer, so three
limits hold for labels that rest on one person alone (or on the same two):

1. such a label is never surer than ``ALONE_AT_MOST``;
2. where its person is clearly less often right with that label than believed (``measure_precision``), it is only as
   sure as that;
3. where one person's own labels weigh more, in sum, than their due share of an intent's labels (half, or, where that is
   more, their share of all labels of the task), they need a second opinion; so do two people's over two thirds. Until
   then they are scaled down to the due share, but not below ``SCALED_AT_LEAST`` of what they were, because honest
   people specialise too. A few labels (``FREE_LABELS``) are free, so that a new intent can start.

A label that somebody else bears out rests on nobody alone any more, and is free of all three.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final

import polars as pl

ALONE_AT_MOST: Final = 0.95
CLEARLY_LESS: Final = 0.85
"""Limit 2 holds where a person's precision with a label is below this many times what the label is believed: two
disagreements of two, not one of one."""
DUE_SHARES: Final = {1: 1 / 2, 2: 2 / 3}
FREE_LABELS: Final = 5.0
SCALED_AT_LEAST: Final = 0.5
_CANDIDATES: Final = 6
"""Pairs are sought among the so many people with the most weight in an intent."""


def limit_influence(verdicts: pl.DataFrame, precision: pl.DataFrame) -> pl.DataFrame:
    """Return ``verdicts`` with each ``confidence`` as far as its supporters may carry it, and ``is_capped``.

    Args:
        verdicts: ``interaction_id``, ``task``, ``label``, ``confidence`` and ``supporters`` (ids of the people whose
            answer the label is).
        precision: of ``measure_precision``; people and labels that it does not name are limited by 1 and 3 only.

    Returns:
        The same rows in the same order; ``is_capped`` says that limit 2 or 3 lowered the confidence.
    """
    numbered = verdicts.with_row_index("row")
    alone = _limit_alone(numbered, precision)
    parts = [_limit_labels(part) for part in alone.partition_by("task", maintain_order=True)]
    limited = pl.concat(parts).sort("row") if parts else alone.with_columns(is_capped=pl.lit(value=False))
    return limited.select(*verdicts.columns, "is_capped")


def _limit_alone(verdicts: pl.DataFrame, precision: pl.DataFrame) -> pl.DataFrame:
    """Apply limits 1 and 2: what rests on one person is only as sure as that person is."""
    known = precision.select("task", "precision", _one="annotator_id", label="said")
    one = pl.when(pl.col("supporters").list.len() == 1).then(pl.col("supporters").list.first())
    joined = verdicts.with_columns(_one=one).join(
        known, on=["task", "label", "_one"], how="left", maintain_order="left"
    )
    lone = pl.min_horizontal("confidence", pl.lit(ALONE_AT_MOST))
    doubted = (pl.col("precision") < CLEARLY_LESS * lone).fill_null(value=False)
    limited = pl.when(doubted).then("precision").when(pl.col("_one").is_not_null()).then(lone).otherwise("confidence")
    return joined.with_columns(confidence=limited, is_capped=doubted).drop("_one", "precision")


def _limit_labels(of_task: pl.DataFrame) -> pl.DataFrame:
    """Apply limit 3 to each label of one task, first to single people, then to pairs."""
    counted = of_task["supporters"].explode(empty_as_null=False, keep_nulls=False).value_counts()
    shares = {name: count / of_task.height for name, count in counted.iter_rows()}
    who = pl.when(pl.col("supporters").list.len().is_between(1, 2)).then(
        pl.col("supporters").list.sort().list.join("\n")
    )
    parts = [
        _limit_group(_limit_group(part, shares, 1), shares, 2)
        for part in of_task.with_columns(_who=who, _before="confidence").partition_by("label", maintain_order=True)
    ]
    return pl.concat(parts).drop("_who", "_before")


def _limit_group(part: pl.DataFrame, shares: Mapping[str, float], size: int) -> pl.DataFrame:
    """Scale down what rests on the ``size`` people with the most weight of their own in one label."""
    found = _heaviest(part, size)
    if found is None:
        return part
    group, own = found
    due = max(DUE_SHARES[size], sum(shares[name] for name in group))
    others = float(part["confidence"].sum()) - own
    allowed = max(FREE_LABELS, due / (1 - due) * others) if due < 1 else own
    if allowed >= own * 0.995:
        return part
    rests = pl.col("_who").is_in(_words_of(group)).fill_null(value=False)
    least = SCALED_AT_LEAST * pl.col("_before")
    scaled = (
        pl.when(rests).then(pl.max_horizontal(pl.col("confidence") * (allowed / own), least)).otherwise("confidence")
    )
    return part.with_columns(confidence=scaled, is_capped=pl.col("is_capped") | rests)


def _heaviest(part: pl.DataFrame, size: int) -> tuple[tuple[str, ...], float] | None:
    """Return the group of ``size`` people whose own labels weigh most, and that weight; None where there is none."""
    held = part.filter(pl.col("_who").is_not_null()).group_by("_who").agg(pl.col("confidence").sum()).sort("_who")
    weights = dict(held.iter_rows())
    of_one: dict[str, float] = {}
    for who, weight in weights.items():
        for name in who.split("\n"):
            of_one[name] = of_one.get(name, 0.0) + weight
    people = sorted(sorted(of_one), key=lambda name: -of_one[name])[:_CANDIDATES]
    own = {group: sum(weights.get(who, 0.0) for who in _words_of(group)) for group in combinations(people, size)}
    return max(own.items(), key=lambda item: item[1], default=None)


def _words_of(group: Sequence[str]) -> list[str]:
    """Return the ``_who`` of every label that rests on nobody but these one or two people."""
    return [*group, "\n".join(sorted(group))] if len(group) > 1 else list(group)
