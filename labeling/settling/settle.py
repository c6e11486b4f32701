"""What all answers settle to now, and which labels that changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from labeling.settling.agreement import measure_agreement
from labeling.settling.annotators import measure_annotators, measure_precision
from labeling.settling.consensus import PAIR, Consensus, find_consensus
from labeling.settling.gold import calibrate_confidences
from labeling.settling.influence import limit_influence
from labeling.settling.observation import measure_rates, settle_seen, usable_silence
from labeling.settling.seen import gather_seen
from labeling.tables import ANNOTATORS, LABELS
from labeling.taxonomy import Taxonomy
from labeling.vocabulary import CANNOT_TELL, SILENCE

_CONTENT: Final = ("label", "confidence", "source", "answer_ids")
_MEASURED: Final = ("answers", "overlapping", "gold_seen", "skill", "low", "high")


@dataclass(frozen=True)
class Answers:
    """Everything that labels are made of: the tables as stored.

    All of ``reviews`` and ``corrections`` are needed, because every answer says something of who gave it. Of ``queue``
    the columns ``case_id`` and ``gold`` are used.
    """

    reviews: pl.DataFrame
    corrections: pl.DataFrame
    interactions: pl.DataFrame
    predictions: pl.DataFrame
    escalations: pl.DataFrame
    queue: pl.DataFrame


@dataclass(frozen=True)
class Settlement:
    """What settling found.

    ``labels``: LABELS table as it should be, all of it (``suspicion`` null); ``annotators``: ANNOTATORS table,
    likewise. ``capped``: the number of labels whose confidence somebody's influence lowered. ``agreement``: by task,
    Krippendorff's alpha of the reviews.
    """

    labels: pl.DataFrame
    annotators: pl.DataFrame
    capped: int
    agreement: Mapping[str, float]


def settle(answers: Answers, *, taxonomy: Taxonomy, now: datetime) -> Settlement:
    """Settle all answers.

    Reviews outrank corrections, and corrections outrank silence. A label of an older taxonomy is read as what it is
    called now. The order of rows is of no effect.

    Args:
        answers: the tables.
        taxonomy: names each task's labels, and those of older versions.
        now: when the labels are settled.
    """
    reviews, corrections = taxonomy.translate(answers.reviews), taxonomy.translate(answers.corrections)
    gold = answers.queue.filter(pl.col("gold").fill_null(value=False))["case_id"]
    consensus = find_consensus(reviews)
    calibrated = calibrate_confidences(consensus.verdicts, consensus.held_out, gold=gold)
    seen = gather_seen(
        interactions=answers.interactions,
        predictions=taxonomy.translate(answers.predictions),
        corrections=corrections,
        escalations=answers.escalations,
    )
    rows = pl.concat([calibrated.with_columns(source=pl.lit("review")), *_settle_agents(seen, calibrated, taxonomy)])
    limited = _limit(rows, consensus)
    return Settlement(
        labels=_as_labels(limited, now),
        annotators=measure_annotators(consensus.held_out, gold=gold, now=now),
        capped=int(limited["is_capped"].sum()),
        agreement=measure_agreement(reviews),
    )


def changed_labels(settled: pl.DataFrame, stored: pl.DataFrame, *, now: datetime) -> pl.DataFrame:
    """Return the LABELS rows to merge: those of ``settled`` that say anything else than ``stored``.

    A stored label that no answer bears any more (its annotator took it back) is replaced by "cannot tell", which is
    never trained on. Each row is newer than the stored one that it replaces, even where the clock stood still or went
    back. A null ``suspicion`` of ``settled`` says nothing and keeps what is stored, while the label stays.
    """
    fresh = keep_standing(pl.concat([settled, _withdrawn(stored, settled, now)]), stored)
    return _newer_rows(fresh, stored, content=(*_CONTENT, "suspicion"), time="settled_at", key=PAIR)


def keep_standing(settled: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Return ``settled`` with what still stands: the suspicion of the same label, the time of the same content."""
    doubted = stored.select(*PAIR, "label", _suspicion="suspicion")
    same = _unchanged(settled, stored, PAIR, _CONTENT).join(stored.select(*PAIR, _time="settled_at"), on=PAIR)
    joined = settled.join(doubted, on=[*PAIR, "label"], how="left", maintain_order="left").join(
        same.select(*PAIR, "_time"), on=PAIR, how="left", maintain_order="left"
    )
    kept = {"suspicion": pl.coalesce("suspicion", "_suspicion"), "settled_at": pl.coalesce("_time", "settled_at")}
    return joined.with_columns(**kept).select(list(LABELS.schema))


def changed_annotators(measured: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Return the ANNOTATORS rows to merge, each newer than the stored one that it replaces."""
    return _newer_rows(measured, stored, content=_MEASURED, time="measured_at", key=ANNOTATORS.key)


def _settle_agents(seen: pl.DataFrame, reviewed: pl.DataFrame, taxonomy: Taxonomy) -> list[pl.DataFrame]:
    """Settle corrections and silence over the open lot, where no review has settled the same."""
    parts = []
    for task in taxonomy.tasks:
        mine = seen.filter(
            (pl.col("task") == task.name)
            & (pl.col("given").is_null() | pl.col("given").is_in(task.trainable))
            & (pl.col("shown").is_null() | pl.col("shown").is_in(task.trainable))
        )
        of_task = reviewed.filter(pl.col("task") == task.name)
        rates = measure_rates(mine, of_task, labels=task.trainable)
        waiting = mine.filter(pl.col("lot") == "open").join(of_task, on=PAIR, how="anti")
        settled = settle_seen(waiting, rates)
        corrected = settled.filter(pl.col("given").is_not_null()).with_columns(source=pl.lit("correction"))
        silent = usable_silence(settled, rates).with_columns(source=pl.lit(SILENCE))
        parts += [corrected, silent]
    return [_as_verdicts(part) for part in parts]


def _as_verdicts(rows: pl.DataFrame) -> pl.DataFrame:
    nobody = pl.lit([], dtype=pl.List(pl.String))
    return rows.select(
        *PAIR,
        "label",
        "confidence",
        answer_ids=pl.when(pl.col("given").is_null()).then(nobody).otherwise(pl.concat_list("correction_id")),
        supporters=pl.when(pl.col("label").eq_missing(pl.col("given")) & pl.col("agent_id").is_not_null())
        .then(pl.concat_list("agent_id"))
        .otherwise(nobody),
        source="source",
    )


def _limit(rows: pl.DataFrame, consensus: Consensus) -> pl.DataFrame:
    """Limit the influence of everybody whose word a label is; silence is nobody's word."""
    spoken = limit_influence(rows.filter(pl.col("source") != SILENCE), measure_precision(consensus.held_out))
    silent = rows.filter(pl.col("source") == SILENCE).with_columns(is_capped=pl.lit(value=False))
    return pl.concat([spoken, silent])


def _as_labels(rows: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Confidence has two places, so that it does not flicker with each new answer."""
    made = rows.with_columns(
        confidence=pl.col("confidence").round(2).clip(0.01, 1.0),
        settled_at=pl.lit(now),
        suspicion=pl.lit(None, pl.Float64),
    )
    return made.select(list(LABELS.schema)).cast(pl.Schema(LABELS.schema)).sort(PAIR)


def _withdrawn(stored: pl.DataFrame, settled: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Return a "cannot tell" for each stored label that nothing settles to any more."""
    return stored.join(settled, on=PAIR, how="anti").with_columns(
        label=pl.lit(CANNOT_TELL),
        confidence=pl.lit(1.0),
        answer_ids=pl.lit([], dtype=pl.List(pl.String)),
        settled_at=pl.lit(now, dtype=pl.Datetime("us", "UTC")),
        suspicion=pl.lit(None, pl.Float64),
    )


def _newer_rows(
    fresh: pl.DataFrame, stored: pl.DataFrame, *, content: tuple[str, ...], time: str, key: tuple[str, ...]
) -> pl.DataFrame:
    """Return the rows of ``fresh`` whose ``content`` differs from ``stored``, each with a later ``time`` than there."""
    unchanged = _unchanged(fresh, stored, key, content)
    changed = fresh.join(unchanged, on=key, how="anti").join(stored.select(*key, _stored=time), on=key, how="left")
    newer = pl.max_horizontal(time, pl.col("_stored") + timedelta(microseconds=1))
    return changed.with_columns(newer.alias(time)).select(fresh.columns).sort(key)


def _unchanged(
    fresh: pl.DataFrame, stored: pl.DataFrame, key: tuple[str, ...], content: tuple[str, ...]
) -> pl.DataFrame:
    """Return the ``key`` of the rows whose ``content`` is the same in both."""
    both = _comparable(fresh, key, content), _comparable(stored, key, content)
    return both[0].join(both[1], on=[*key, *content], nulls_equal=True).select(key)


def _comparable(rows: pl.DataFrame, key: tuple[str, ...], content: tuple[str, ...]) -> pl.DataFrame:
    lists = [column for column in content if rows.schema[column] == pl.List(pl.String)]
    return rows.select(*key, *content).with_columns(pl.col(column).list.join("\n") for column in lists)
