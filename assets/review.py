"""The review group: what the champion says, who reads which case, and what the answers settle to."""

from datetime import datetime, timedelta
from typing import cast

import dagster as dg
import numpy as np
import polars as pl

from assets.feedback import collected, take_in
from assets.pool import review_pool
from assets.resources import Loop
from labeling import tables as t
from labeling.desk.cases import build_cases, review_rows
from labeling.digests import keyed_digest
from labeling.selection.novelty import measure_novelty
from labeling.selection.policy import remaining_budget, select_for_review
from labeling.settling.settle import settle
from training.registry.standing import read_standing

_OVERLAP = timedelta(minutes=5)
"""How far a fetch reaches back before the newest answer, for answers that were saved out of order."""


@dg.asset(group_name="review", kinds={"deltalake"}, deps=["interactions"])
def features(loop: Loop) -> dg.MaterializeResult:
    """One vector per text from the frozen encoder, computed once per text."""
    texts = loop.tables.read(t.INTERACTIONS, columns=["text"])["text"].unique(maintain_order=True)
    before = loop.tables.read(t.FEATURES, columns=["text_digest"]).height
    features_of(loop, texts)
    stored = loop.tables.read(t.FEATURES, columns=["text_digest"]).height
    return dg.MaterializeResult(metadata={"texts": texts.len(), "new": stored - before})


@dg.asset(group_name="review", kinds={"deltalake"}, deps=["interactions"])
def predictions(loop: Loop) -> dg.MaterializeResult:
    """What the champion says of every interaction that is new, or still waits for a person."""
    from serving.release import open_champion

    champion = open_champion(loop.open_registry())
    if champion is None:
        return dg.MaterializeResult(metadata={"new": 0, "champion": "none yet"})
    waiting = _unpredicted(loop, champion.version)
    if not waiting.is_empty():
        said = champion.predict(waiting["interaction_id"], waiting["text"])
        seen = loop.tables.read(t.PREDICTIONS, columns=["interaction_id"])["interaction_id"].unique()
        rows = said.with_columns(
            model_version=pl.lit(champion.version),
            shown=~pl.col("handoff") & ~pl.col("interaction_id").is_in(seen.implode()),
            predicted_at=pl.lit(loop.now()),
        )
        loop.tables.merge(t.PREDICTIONS, rows)
    return dg.MaterializeResult(metadata={"new": waiting.height, "champion": champion.version})


def _unpredicted(loop: Loop, champion: str) -> pl.DataFrame:
    """Return interactions that this champion has said nothing of, and that no person has read."""
    mine = loop.tables.read(t.PREDICTIONS, columns=["interaction_id"], where=pl.col("model_version") == champion)
    read = loop.tables.read(t.LABELS, columns=["interaction_id"], where=pl.col("source") == "review")
    texts = loop.tables.read(t.INTERACTIONS, columns=["interaction_id", "text"])
    return texts.join(mine, on="interaction_id", how="anti").join(read, on="interaction_id", how="anti")


@dg.asset(group_name="review", kinds={"deltalake"}, deps=["interactions"])
def reviews(loop: Loop) -> dg.MaterializeResult:
    """Answers that people gave: fetched from the desk since the last time, and taken in from files."""
    imported = take_in(loop, t.REVIEWS)
    from_files = collected(imported.tables[t.REVIEWS.name], imported.unread)
    sent = loop.tables.read(t.REVIEW_TASKS, columns=["interaction_id"])
    if sent.is_empty():
        return dg.MaterializeResult(metadata=from_files)
    known = loop.tables.read(t.REVIEWS, columns=["interaction_id", "answered_at"])
    newest = cast("datetime | None", known.join(sent, on="interaction_id", how="semi")["answered_at"].max())
    desk = loop.open_desk()
    desk.open_project(loop.settings.taxonomy)
    answers = desk.fetch(newest - _OVERLAP if newest is not None else None)
    fetched = review_rows(answers)
    merged = loop.tables.merge(t.REVIEWS, fetched)
    skipped = sum(answer.is_skipped for answer in answers)
    refused = sum(len(answer.refused) for answer in answers)
    return dg.MaterializeResult(
        metadata={
            **from_files,
            "answers": merged.inserted,
            "amended": merged.updated,
            "skipped": skipped,
            "refused": refused,
        }
    )


@dg.asset(group_name="review", kinds={"deltalake"}, deps=[reviews, "corrections", "interactions"])
def labels(loop: Loop) -> dg.MaterializeResult:
    """What the answers settle to, with a confidence and the answers that made each label."""
    changed = settle(
        reviews=loop.tables.read(t.REVIEWS),
        corrections=loop.tables.read(t.CORRECTIONS),
        interactions=loop.tables.read(t.INTERACTIONS),
        labels=loop.tables.read(t.LABELS),
        now=loop.now(),
    )
    merged = loop.tables.merge(t.LABELS, changed)
    return dg.MaterializeResult(metadata={"new": merged.inserted, "changed": merged.updated})


@dg.asset(group_name="review", kinds={"deltalake"}, deps=[features, predictions, "corrections", "escalations", labels])
def review_queue(loop: Loop) -> dg.MaterializeResult:
    """The cases that a person should read next, each with its reason."""
    policy, now = loop.settings.selection, loop.now()
    pool = review_pool(loop.tables, key=loop.folder.key(), champion=_champion(loop))
    vectors = features_of(loop, pool["text"])
    picked = select_for_review(
        pool.with_columns(nearest_labelled=measure_novelty(vectors, features_of(loop, _labelled_texts(loop)))),
        vectors,
        policy=policy,
        budget=remaining_budget(loop.tables.read(t.REVIEW_QUEUE), policy=policy, now=now),
        round=now.date().isoformat(),
        now=now,
        rng=_chance(loop.folder.key(), pool),
    )
    loop.tables.merge(t.REVIEW_QUEUE, picked)
    reasons = picked["reason"].value_counts().sort("reason")
    return dg.MaterializeResult(metadata={"pool": pool.height, "picked": picked.height, **dict(reasons.iter_rows())})


def _chance(key: bytes, pool: pl.DataFrame) -> np.random.Generator:
    """Return the chance of one selection: from what it chooses, not from when, so that a repetition chooses alike."""
    return np.random.default_rng(int(keyed_digest(key, "selection", *pool["interaction_id"])[:32], 16))


def _champion(loop: Loop) -> str | None:
    """Return the version of the live release, None where there is none."""
    return read_standing(loop.open_ledger().entries()).champion


def _labelled_texts(loop: Loop) -> pl.Series:
    read = loop.tables.read(t.LABELS, columns=["interaction_id"], where=pl.col("source") == "review").unique()
    texts = loop.tables.read(t.INTERACTIONS, columns=["interaction_id", "text"])
    return texts.join(read, on="interaction_id", how="semi")["text"].unique(maintain_order=True)


def features_of(loop: Loop, texts: pl.Series) -> np.ndarray:
    """Return the frozen encoder's features of ``texts``, (n, d) float32, kept from before where they can be."""
    from training.encoder import load_encoder
    from training.features import cached_features

    encoder = load_encoder(loop.settings.recipe.encoder)
    return cached_features(texts.to_list(), encoder=encoder, tables=loop.tables, key=loop.folder.key())


@dg.asset(group_name="review", kinds={"deltalake", "labelstudio"}, deps=[review_queue])
def review_tasks(loop: Loop) -> dg.MaterializeResult:
    """Where each case stands at the desk."""
    if loop.tables.read(t.REVIEW_QUEUE, columns=["case_id"]).is_empty():
        return dg.MaterializeResult(metadata={"sent": 0})
    desk = loop.open_desk()
    cases = build_cases(loop.tables, project=desk.open_project(loop.settings.taxonomy), champion=_champion(loop))
    sent = [
        {
            "case_id": done.case_id,
            "interaction_id": case.interaction_id,
            "project_id": done.project_id,
            "desk_task_id": done.desk_task_id,
            "sent_at": loop.now(),
        }
        for case, done in zip(cases, desk.send(cases), strict=True)
    ]
    loop.tables.merge(t.REVIEW_TASKS, t.REVIEW_TASKS.frame(sent))
    return dg.MaterializeResult(metadata={"sent": len(sent), "waiting": desk.count_waiting()})
