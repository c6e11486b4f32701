"""The review group: what the champion says of every message, and what people's answers settle to."""

from typing import Final

import dagster as dg
import numpy as np
import polars as pl

from assets.resources import Loop
from assets.suspicion import rate_labels
from labeling import tables as t
from labeling.settling.label_errors import SUSPICIOUS
from labeling.settling.settle import Answers, changed_annotators, changed_labels, keep_standing, settle
from training.registry.standing import read_standing

_PART: Final = 50_000
"""Messages are answered and their predictions kept so many at a time: memory stays bounded, a killed run goes on."""


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
    from serving.handoff.cases import GROUPS
    from serving.release import open_champion

    champion = open_champion(loop.open_registry(), loop.settings.taxonomy)
    if champion is None:
        return dg.MaterializeResult(metadata={"new": 0, "champion": "none yet"})
    waiting = _unpredicted(loop, champion.version)
    seen = loop.tables.read(t.PREDICTIONS, columns=["interaction_id"])["interaction_id"].unique()
    for start in range(0, waiting.len(), _PART):
        mine = pl.col("interaction_id").is_in(waiting.slice(start, _PART).implode())
        part = loop.tables.read(t.INTERACTIONS, columns=["interaction_id", "text", *GROUPS], where=mine)
        rows = champion.predict(part["interaction_id"], part["text"], part.select(GROUPS)).with_columns(
            model_version=pl.lit(champion.version),
            shown=~pl.col("handoff") & ~pl.col("interaction_id").is_in(seen.implode()),
            predicted_at=pl.lit(loop.now()),
        )
        loop.tables.merge(t.PREDICTIONS, rows)
    return dg.MaterializeResult(metadata={"new": waiting.len(), "champion": champion.version})


def _unpredicted(loop: Loop, champion: str) -> pl.Series:
    """Return the ids of interactions that this champion has said nothing of, and that no person has read."""
    mine = loop.tables.read(t.PREDICTIONS, columns=["interaction_id"], where=pl.col("model_version") == champion)
    read = loop.tables.read(t.LABELS, columns=["interaction_id"], where=pl.col("source") == "review")
    known = loop.tables.read(t.INTERACTIONS, columns=["interaction_id"])
    waiting = known.join(mine, on="interaction_id", how="anti").join(read, on="interaction_id", how="anti")
    return waiting["interaction_id"].sort()


@dg.asset(
    group_name="review",
    kinds={"deltalake"},
    deps=["reviews", "corrections", "escalations", "interactions", features, predictions],
)
def labels(loop: Loop) -> dg.MaterializeResult:
    """What the answers settle to, with a confidence and the answers that made each label; and whom to believe."""
    now, stored = loop.now(), loop.tables.read(t.LABELS)
    settled = settle(_answers(loop), taxonomy=loop.settings.taxonomy, now=now)
    changed = changed_labels(settled.labels, stored, now=now)
    if not changed.is_empty():
        standing = keep_standing(settled.labels, stored)
        changed = changed_labels(rate_labels(loop, standing, features_of=features_of), stored, now=now)
    merged = loop.tables.merge(t.LABELS, changed)
    measured = changed_annotators(settled.annotators, loop.tables.read(t.ANNOTATORS))
    loop.tables.merge(t.ANNOTATORS, measured)
    return dg.MaterializeResult(
        metadata={
            "new": merged.inserted,
            "changed": merged.updated,
            "influence_capped": settled.capped,
            "suspicious": loop.tables.read(t.LABELS, where=pl.col("suspicion") >= SUSPICIOUS).height,
            **{
                f"from_{source}": count
                for source, count in settled.labels["source"].value_counts().sort("source").rows()
            },
            **{f"agreement_{task}": round(alpha, 3) for task, alpha in settled.agreement.items()},
        }
    )


def _answers(loop: Loop) -> Answers:
    return Answers(
        reviews=loop.tables.read(t.REVIEWS),
        corrections=loop.tables.read(t.CORRECTIONS),
        interactions=loop.tables.read(
            t.INTERACTIONS, columns=["interaction_id", "conversation_id", "lot", "handled_by"]
        ),
        predictions=loop.tables.read(
            t.PREDICTIONS,
            columns=["interaction_id", "task", "label", "confidence", "model_version", "shown", "predicted_at"],
        ),
        escalations=loop.tables.read(t.ESCALATIONS, columns=["conversation_id", "interaction_id"]),
        queue=loop.tables.read(t.REVIEW_QUEUE, columns=["case_id", "gold"]),
    )


def live_champion(loop: Loop) -> str | None:
    """Return the version of the live release, None where there is none."""
    return read_standing(loop.open_ledger().entries()).champion


def features_of(loop: Loop, texts: pl.Series) -> np.ndarray:
    """Return the frozen encoder's features of ``texts``, (n, d) float32, kept from before where they can be."""
    from training.encoder import load_encoder
    from training.features import cached_features

    encoder = load_encoder(loop.settings.recipe.encoder)
    return cached_features(texts.to_list(), encoder=encoder, tables=loop.tables, key=loop.folder.key())
