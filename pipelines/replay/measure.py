"""What a replay came to: each week's champion on the sealed test, and the work that people had."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from labeling import tables as t
from labeling.vocabulary import CANNOT_TELL
from pipelines.replay.feed import Message, Week
from pipelines.replay.results import LivePrediction, Measured, WeekResult
from training.registry.registry import RELEASE, ModelRegistry

if TYPE_CHECKING:
    from labeling.delta import Tables
    from serving.release import Release


def sealed_messages(tables: "Tables", messages: Mapping[str, Message]) -> list[Message]:
    """Return the messages of the audit lot's test part, which train no model, in the order of their ids."""
    sealed = tables.read(t.INTERACTIONS, columns=["interaction_id"], where=pl.col("part") == "test")
    return [messages[name] for name in sealed["interaction_id"].sort() if name in messages]


def redacted_texts(tables: "Tables", messages: Sequence[Message]) -> list[str]:
    """Return the texts of ``messages`` as the models see them."""
    stored = tables.read(t.INTERACTIONS, columns=["interaction_id", "text"])
    texts = dict(stored.iter_rows())
    return [texts[message.interaction_id] for message in messages]


def measure_release(
    release: "Release", texts: Sequence[str], truth: Sequence[Mapping[str, str]]
) -> dict[str, Measured]:
    """Return, by task, how often ``release`` answers ``texts`` as ``truth`` has it, where there is a truth."""
    answer = release.answer(texts)
    found = {}
    for task in release.tasks:
        pairs = [
            (said, case[task])
            for said, case in zip(answer[task].to_list(), truth, strict=True)
            if case.get(task, CANNOT_TELL) != CANNOT_TELL
        ]
        if pairs:
            found[task] = _measured(sum(said == true for said, true in pairs), len(pairs))
    return found


def open_release(registry: ModelRegistry, version: str) -> "Release":
    """Load one registered release."""
    from serving.release import Release

    return Release.load(registry.download(RELEASE, version))


def measure_week(
    tables: "Tables", week: Week, *, champion: str, verdict: str, answers: int, accuracy: Mapping[str, Measured]
) -> WeekResult:
    """Count what happened in ``week``; put the ``answers`` given in it and its champion's ``accuracy`` beside it."""
    ids = pl.Series([message.interaction_id for message in week.messages], dtype=pl.String)
    mine = pl.col("interaction_id").is_in(ids.implode())
    first = (
        tables.read(t.PREDICTIONS, where=mine)
        .sort("predicted_at", "model_version")
        .unique("interaction_id", keep="first")
    )
    return WeekResult(
        week=week.number,
        champion=champion,
        accuracy=accuracy,
        messages=len(week.messages),
        corrections=tables.read(t.CORRECTIONS, columns=["correction_id"], where=mine).height,
        handoffs=int(first["handoff"].sum()) if week.number else 0,
        labels=answers,
        verdict=verdict,
    )


def predict_live(release: "Release", texts: Sequence[str]) -> list[LivePrediction]:
    """Ask ``release`` what it says of ``texts``."""
    rows = release.answer(texts).iter_rows(named=True)
    return [
        LivePrediction(
            text,
            {task: (row[task], row[f"{task}_confidence"]) for task in release.tasks},
            row["handoff"],
            row["handoff_reason"],
        )
        for text, row in zip(texts, rows, strict=True)
    ]


def _measured(right: int, cases: int) -> Measured:
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(right, cases, method="wilson")
    return Measured(right / cases, float(low), float(high))  # pyright: ignore[reportArgumentType]
