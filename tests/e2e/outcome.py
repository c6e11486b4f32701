"""What a play came to: every table, decision and version, but for times and for what names a home."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs

from assets.resources import Loop
from assets.training import PACE_TAG
from labeling import tables as t
from labeling.home import Home
from training.registry.registry import ANCHOR_TAG, CASE_FILE_TAG

COMPARED = (
    t.INTERACTIONS,
    t.PREDICTIONS,
    t.CORRECTIONS,
    t.ESCALATIONS,
    t.REVIEWS,
    t.REVIEW_QUEUE,
    t.REVIEW_TASKS,
    t.LABELS,
    t.TRAINING_SETS,
    t.QUARANTINE,
)
_ANSWER_DIGITS = 6


def read_rows(home: Path, table: t.Table) -> list[dict[str, Any]]:
    """Return the rows of ``table``, without times and the dates made of them, ordered by key.

    The desk counts its answers, and counts on where it was asked to take one twice: an answer is named by who answered
    what instead.
    """
    rows = Home(home).tables.read(table)
    if table == t.REVIEWS:
        rows = rows.with_columns(_named_answers())
    if table == t.LABELS:
        reviews = Home(home).tables.read(t.REVIEWS)
        names = dict(zip(reviews["review_id"], reviews.select(_named_answers()).to_series(), strict=True))
        named = [sorted(names.get(answer, answer) for answer in answers) for answers in rows["answer_ids"]]
        rows = rows.with_columns(answer_ids=pl.Series(named, dtype=pl.List(pl.String)))
    rows = rows.sort(table.key)
    kept = rows.drop("round", strict=False).select(~cs.temporal())
    return kept.with_columns(cs.float().round(_ANSWER_DIGITS)).to_dicts()


def _named_answers() -> pl.Expr:
    return pl.format("{} on {}", "annotator_id", "interaction_id").alias("review_id")


def read_ledger(home: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return kind and body of every decision and of what it moved, without times, and digests of what holds times.

    An alias that was put right before its move was noted is noted in its own entry: where that happened is a matter of
    the instant, so the entries about aliases are left out, and the aliases themselves compared.
    """
    entries = Loop(home=str(home)).open_ledger().entries()
    timed = ("at", "case_file")
    named = [(entry.kind, entry.body) for entry in entries if not entry.kind.startswith("alias")]
    return [(kind, {key: value for key, value in body.items() if key not in timed}) for kind, body in named]


_TIMED = (ANCHOR_TAG, CASE_FILE_TAG, PACE_TAG)


def read_registry(home: Path, names: Iterable[str] = ("cxloop-intent", "cxloop-sentiment", "cxloop-triage")) -> Any:
    """Return name to its aliases and its versions' tags; of those that hold a time, that they stand there is enough."""
    registry = Loop(home=str(home)).open_registry()
    return {
        name: (
            registry.aliases(name),
            [
                {key: "" if key in _TIMED else _plain(value) for key, value in version.tags.items()}
                for version in registry.versions(name)
            ],
        )
        for name in names
    }


def _plain(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value
