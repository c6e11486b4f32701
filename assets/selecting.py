"""The review queue: which cases a person should read next."""

from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from assets.pool import read_asked, read_labelled, read_waiting
from assets.resources import Loop
from assets.review import features, features_of, labels, predictions
from labeling import tables as t
from labeling.digests import keyed_digest
from labeling.selection.budget import Budget, count_people, measure_budget
from labeling.selection.choosing import Selection, select_for_review
from labeling.selection.pool import Pool
from labeling.selection.stale import stale_cases, withdrawn_cases
from training.registry.standing import read_standing


@dg.asset(
    group_name="review",
    kinds={"deltalake"},
    deps=[features, predictions, "corrections", "escalations", labels, "disagreements"],
)
def review_queue(loop: Loop) -> dg.MaterializeResult:
    """The cases that a person should read next, each with its reason."""
    standing, now = read_standing(loop.open_ledger().entries()), loop.now()
    champion = standing.champion
    stale = _stale(loop, champion)
    budget = _measure_budget(loop, stale, champion)
    pool = _read_pool(loop, champion, standing.previous_champion)
    chosen = select_for_review(
        pool,
        policy=loop.settings.selection,
        budget=budget.cases,
        round=now.date().isoformat(),
        champion=champion,
        now=now,
        rng=_chance(loop.folder.key(), pool.waiting["interaction_id"]),
    )
    loop.tables.merge(t.REVIEW_QUEUE, chosen.queue)
    return dg.MaterializeResult(metadata=_describe(chosen, budget, stale.len()))


def _stale(loop: Loop, champion: str | None) -> pl.Series:
    return stale_cases(
        loop.tables.read(t.REVIEW_QUEUE),
        loop.tables.read(t.REVIEW_TASKS, columns=["case_id", "state"]),
        loop.tables.read(t.REVIEWS, columns=["interaction_id", "case_id"]),
        champion=champion,
    )


def _measure_budget(loop: Loop, stale: pl.Series, champion: str | None) -> Budget:
    answers = loop.tables.read(t.REVIEWS, columns=["annotator_id", "label", "answered_at"])
    return measure_budget(
        loop.tables.read(t.REVIEW_QUEUE),
        policy=loop.settings.selection,
        people=count_people(answers, now=loop.now()),
        stale=stale,
        withdrawn=withdrawn_cases(loop.tables.read(t.REVIEW_TASKS, columns=["case_id", "state"]))["case_id"],
        champion=champion,
        now=loop.now(),
    )


def _read_pool(loop: Loop, champion: str | None, previous: str | None) -> Pool:
    """Join the tables and the features of their texts; the caps and the labels are those of the first task."""
    taxonomy = loop.settings.taxonomy
    waiting, needed = read_waiting(loop.tables, taxonomy=taxonomy, champion=champion, previous=previous)
    labelled = read_labelled(loop.tables, taxonomy=taxonomy)
    return Pool(
        waiting.drop("text"),
        features_of(loop, waiting["text"]),
        labelled.drop("text"),
        features_of(loop, labelled["text"]),
        features_of(loop, read_asked(loop.tables, labelled=labelled)),
        classes=len(taxonomy.tasks[0].labels),
        needed=needed,
    )


def _chance(key: bytes, names: pl.Series) -> np.random.Generator:
    """Return the chance of one selection: from what it chooses, not from when, so that a repetition chooses alike."""
    return np.random.default_rng(int(keyed_digest(key, "selection", "\n".join(names))[:32], 16))


def _describe(chosen: Selection, budget: Budget, stale: int) -> dict[str, Any]:
    """Return the metadata: what was picked for which reason and from how many, and what bounded it."""
    reasons = chosen.queue["reason"].value_counts().sort("reason")
    return {
        "pool": sum(chosen.frames[name] for name in ("audit", "open")),
        "picked": chosen.queue.height,
        **dict(reasons.iter_rows()),
        **{f"frame_{name}": size for name, size in chosen.frames.items()},
        "budget": budget.cases,
        "people": budget.people,
        "capped_by_people": budget.is_capped,
        "capped_by_intent": chosen.capped,
        "near_duplicates": chosen.duplicates,
        "stale": stale,
        "given_out_again": budget.given_back,
    }
