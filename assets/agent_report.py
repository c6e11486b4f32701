"""What became of an agent's corrections, and what the model learnt from them: for that agent alone."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from assets.quality_report import render, write_page
from assets.resources import Loop
from assets.review import live_champion
from labeling import tables as t
from labeling.delta import Tables
from labeling.digests import keyed_digest
from labeling.taxonomy import Taxonomy
from labeling.vocabulary import CANNOT_TELL
from training.features import digest_text

FOLDER: Final = "agents"
SIMILAR: Final = 0.8
"""The cosine of two texts' features from which one message is like another."""
_SHOWN: Final = 50
_PAIR: Final = ["interaction_id", "task"]
_ROWS: Final = 4096
"""Messages that are compared at a time: keeps the memory small."""


@dataclass(frozen=True)
class InTrainingSet:
    """How many of an agent's corrections one frozen set holds; ``version`` is its id's first twelve digits."""

    version: str
    task: str
    frozen_at: datetime
    corrections: int


@dataclass(frozen=True)
class AgentSummary:
    """Counts of one agent's corrections, the newest one of each message and question.

    ``made`` is the sum of ``confirmed`` (a review settled to the same label), ``overruled`` (to another), ``unsure``
    (reviewers could not tell) and ``waiting`` (no review). ``trained`` stand in some training set with the
    agent's label. Of ``similar`` messages that came after the correction and that the ``champion`` has answered, it
    answers ``answered_so`` as the agent said.
    """

    agent_id: str
    made: int
    confirmed: int
    overruled: int
    unsure: int
    waiting: int
    trained: int
    training_sets: tuple[InTrainingSet, ...]
    champion: str | None
    similar: int
    answered_so: int


def summarise_agent(
    tables: Tables, *, taxonomy: Taxonomy, agent_id: str, key: bytes, champion: str | None
) -> AgentSummary:
    """Count what became of one agent's corrections, all labels as they are called now.

    Args:
        tables: the loop's tables.
        taxonomy: names the labels, and those of older versions.
        agent_id: as in CORRECTIONS.
        key: the home's key; finds a text's features by its digest.
        champion: the live release, None before the first one.
    """
    corrections = _follow_corrections(tables, taxonomy, agent_id)
    fates = dict(corrections["fate"].value_counts().iter_rows())
    held = _find_trained(tables, taxonomy, corrections)
    similar = _find_similar(tables, taxonomy, corrections, key=key, champion=champion)
    sets = held.group_by("training_set_id", "task", "frozen_at").len().sort("frozen_at", "task", "training_set_id")
    return AgentSummary(
        agent_id=agent_id,
        made=corrections.height,
        confirmed=fates.get("confirmed", 0),
        overruled=fates.get("overruled", 0),
        unsure=fates.get("nobody could tell", 0),
        waiting=fates.get("not reviewed", 0),
        trained=held.select(_PAIR).unique().height,
        training_sets=tuple(InTrainingSet(name[:12], task, at, count) for name, task, at, count in sets.iter_rows()),
        champion=champion,
        similar=similar.height,
        answered_so=int(similar["as_said"].sum()),
    )


def render_agent_report(
    tables: Tables, *, taxonomy: Taxonomy, agent_id: str, key: bytes, champion: str | None, now: datetime
) -> str:
    """Return the page for one agent as HTML that needs nothing else; texts are redacted and escaped.

    Args:
        tables: the loop's tables.
        taxonomy: names the labels, and those of older versions.
        agent_id: as in CORRECTIONS; an unknown one has made no corrections.
        key: the home's key.
        champion: the live release, None before the first one.
        now: stands at the top.
    """
    summary = summarise_agent(tables, taxonomy=taxonomy, agent_id=agent_id, key=key, champion=champion)
    newest = (
        _follow_corrections(tables, taxonomy, agent_id)
        .sort("corrected_at", "interaction_id", descending=True)
        .head(_SHOWN)
    )
    rows = newest.join(_texts(tables, newest["interaction_id"]), on="interaction_id", how="left", maintain_order="left")
    title = f"Corrections of {agent_id}"
    return render("agent_report.html.j2", title=title, made_at=now, summary=summary, rows=rows.to_dicts())


def write_agent_report(loop: Loop, *, agent_id: str) -> Path:
    """Write the page for one agent into the home, readable by its owner alone; return its path.

    It stays as it is until it is written again, or an erasure removes it.
    """
    key = loop.folder.key()
    page = loop.folder.reports / FOLDER / f"{keyed_digest(key, 'agent', agent_id)[:16]}.html"
    page.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    champion = live_champion(loop)
    taxonomy, now = loop.settings.taxonomy, loop.now()
    said = render_agent_report(loop.tables, taxonomy=taxonomy, agent_id=agent_id, key=key, champion=champion, now=now)
    write_page(page, said)
    return page


def _follow_corrections(tables: Tables, taxonomy: Taxonomy, agent_id: str) -> pl.DataFrame:
    """Return the agent's newest correction of each message and question, with its ``fate``."""
    mine = taxonomy.translate(tables.read(t.CORRECTIONS, where=pl.col("agent_id") == agent_id))
    newest = mine.sort("corrected_at", "correction_id").unique(_PAIR, keep="last", maintain_order=True)
    names = newest["interaction_id"].unique().implode()
    is_asked = (pl.col("source") == "review") & pl.col("interaction_id").is_in(names)
    asked = taxonomy.translate(tables.read(t.LABELS, columns=[*_PAIR, "label"], where=is_asked))
    settled = asked.rename({"label": "settled"})
    fate = (
        pl.when(pl.col("settled").is_null())
        .then(pl.lit("not reviewed"))
        .when(pl.col("settled") == CANNOT_TELL)
        .then(pl.lit("nobody could tell"))
        .when(pl.col("settled") == pl.col("label"))
        .then(pl.lit("confirmed"))
        .otherwise(pl.lit("overruled"))
    )
    return newest.join(settled, on=_PAIR, how="left").with_columns(fate=fate)


def _find_trained(tables: Tables, taxonomy: Taxonomy, corrections: pl.DataFrame) -> pl.DataFrame:
    """Return the training rows that say of a corrected message what the agent said."""
    names = corrections["interaction_id"].unique().implode()
    is_learnt = (pl.col("split") == "train") & pl.col("interaction_id").is_in(names)
    held = taxonomy.translate(tables.read(t.TRAINING_SETS, where=is_learnt))
    return held.join(corrections.select(*_PAIR, "label"), on=[*_PAIR, "label"], how="semi")


def _find_similar(
    tables: Tables, taxonomy: Taxonomy, corrections: pl.DataFrame, *, key: bytes, champion: str | None
) -> pl.DataFrame:
    """Return ``as_said`` for each later message, of the champion's answers, that is like a corrected one.

    A message that is like several is compared with the one that it is most like.
    """
    none = pl.DataFrame(schema={"as_said": pl.Boolean})
    if champion is None or corrections.is_empty():
        return none
    since = corrections["corrected_at"].min()
    later = tables.read(
        t.INTERACTIONS, columns=["interaction_id", "occurred_at", "text"], where=pl.col("occurred_at") > since
    )
    about = pl.concat([later.select("interaction_id", "text"), _texts(tables, corrections["interaction_id"])]).unique()
    vectors = _vectors(tables, about, key)
    is_champions = pl.col("model_version") == champion
    said = taxonomy.translate(tables.read(t.PREDICTIONS, columns=[*_PAIR, "label"], where=is_champions))
    found = [none]
    for of_task in corrections.partition_by("task"):
        mine = of_task.select("interaction_id", "corrected_at", meant="label").join(vectors, on="interaction_id")
        answers = said.filter(pl.col("task") == of_task["task"][0]).join(later.drop("text"), on="interaction_id")
        others = answers.join(of_task, on="interaction_id", how="anti").join(vectors, on="interaction_id")
        found += [_compare(part, mine) for part in others.iter_slices(_ROWS)] if mine.height else []
    return pl.concat(found)


def _compare(others: pl.DataFrame, mine: pl.DataFrame) -> pl.DataFrame:
    likeness = np.stack(others["feature"].to_list()) @ np.stack(mine["feature"].to_list()).T
    earlier = mine["corrected_at"].to_numpy()[None, :] < others["occurred_at"].to_numpy()[:, None]
    likeness = np.where(earlier, likeness, -1.0)
    nearest = likeness.argmax(axis=1)
    as_said = others["label"] == mine["meant"][nearest]
    return pl.DataFrame({"as_said": as_said}).filter(pl.Series(likeness.max(axis=1) >= SIMILAR))


def _vectors(tables: Tables, about: pl.DataFrame, key: bytes) -> pl.DataFrame:
    """Return ``interaction_id`` and ``feature`` where it is stored, of the encoder that read the most of the texts."""
    digests = pl.Series([digest_text(key, text) for text in about["text"]], dtype=pl.String)
    named = about.select("interaction_id").with_columns(text_digest=digests)
    stored = tables.read(t.FEATURES, where=pl.col("text_digest").is_in(digests.unique().implode()))
    encoder = stored.group_by("encoder_digest").len().sort("len", "encoder_digest").tail(1)
    kept = stored.join(encoder, on="encoder_digest", how="semi").select("text_digest", "feature")
    return named.join(kept, on="text_digest").drop("text_digest")


def _texts(tables: Tables, names: pl.Series) -> pl.DataFrame:
    asked = pl.col("interaction_id").is_in(names.unique().implode())
    return tables.read(t.INTERACTIONS, columns=["interaction_id", "text"], where=asked)
