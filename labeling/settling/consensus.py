"""Reviews become labels: annotators are believed as far as they agree where more than one of them looked."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from labeling.settling.crowd_kit import Confusions, fit_confusions, weigh_labels
from labeling.vocabulary import CANNOT_TELL

PAIR: Final = ("interaction_id", "task")

_VERDICTS: Final = {
    "interaction_id": pl.String,
    "task": pl.String,
    "label": pl.String,
    "confidence": pl.Float64,
    "answer_ids": pl.List(pl.String),
    "supporters": pl.List(pl.String),
}
_HELD_OUT: Final = {
    "interaction_id": pl.String,
    "task": pl.String,
    "case_id": pl.String,
    "annotator_id": pl.String,
    "said": pl.String,
    "label": pl.String,
    "confidence": pl.Float64,
    "alone": pl.Float64,
}


@dataclass(frozen=True)
class Consensus:
    """What reviews settle to, before anyone's influence is limited.

    ``verdicts``: one row an interaction and task that somebody answered, with ``label``, its probability
    ``confidence`` in (0, 1], ``answer_ids``, and ``supporters``, the annotators who gave that label (perhaps none).
    ``held_out``: one row an answer: its ``case_id``, what was ``said``, how far it would be believed ``alone``, and
    ``label`` and ``confidence`` of what the other answers settle to without it, null where there is no other.
    """

    verdicts: pl.DataFrame
    held_out: pl.DataFrame


def find_consensus(reviews: pl.DataFrame) -> Consensus:
    """Settle every reviewed interaction of every task to its likeliest label.

    Of one annotator's answers to one interaction the newest counts. "Cannot tell", a skip and a withdrawn answer are no
    votes, and the latter two take nothing back that was answered elsewhere. The order of ``reviews`` is of no effect.

    Args:
        reviews: REVIEWS table, all of it, because every answer says something of its annotator.
    """
    answers = newest_answers(reviews)
    parts = [_settle_task(of_task) for of_task in answers.partition_by("task", maintain_order=True)]
    verdicts = [part.verdicts for part in parts] or [pl.DataFrame(schema=_VERDICTS)]
    held_out = [part.held_out for part in parts] or [pl.DataFrame(schema=_HELD_OUT)]
    return Consensus(pl.concat(verdicts).sort(PAIR), pl.concat(held_out).sort(*PAIR, "annotator_id"))


def newest_answers(reviews: pl.DataFrame) -> pl.DataFrame:
    """Return each annotator's newest answer to each interaction and task, in a fixed order, without "cannot tell"."""
    return (
        reviews.filter(pl.col("label").is_not_null() & pl.col("unanswered").is_null())
        .sort("answered_at", "review_id")
        .unique([*PAIR, "annotator_id"], keep="last", maintain_order=True)
        .filter(pl.col("label") != CANNOT_TELL)
        .sort(*PAIR, "annotator_id")
    )


@dataclass(frozen=True)
class _Coded:
    """Answers as numbers: of each the case, the annotator and the label that was said."""

    cases: np.ndarray
    annotators: np.ndarray
    said: np.ndarray
    names: list[str]

    @property
    def labels(self) -> int:
        return max(2, len(self.names))


def _settle_task(answers: pl.DataFrame) -> Consensus:
    coded = _code(answers)
    people = answers["annotator_id"].n_unique()
    confusions = fit_confusions(coded.cases, coded.annotators, coded.said, people=people, labels=coded.labels)
    weighed = _weigh_cases(coded, confusions)
    real = weighed[:, : len(coded.names)]
    label = pl.Series([coded.names[place] for place in real.argmax(axis=1)], dtype=pl.String)
    said = answers.with_columns(settled=label[coded.cases], confidence=pl.Series(real.max(axis=1))[coded.cases])
    supports = pl.col("label") == pl.col("settled")
    verdicts = said.group_by(PAIR, maintain_order=True).agg(
        label=pl.first("settled"),
        confidence=pl.first("confidence").clip(1e-6, 1 - 1e-6),
        answer_ids=pl.col("review_id").unique().sort(),
        supporters=pl.col("annotator_id").filter(supports).sort(),
    )
    return Consensus(verdicts.select(list(_VERDICTS)), _hold_out(answers, coded, confusions, weighed))


def _code(answers: pl.DataFrame) -> _Coded:
    names = sorted(answers["label"].unique())
    return _Coded(
        cases=(answers["interaction_id"].rank("dense") - 1).to_numpy(),
        annotators=(answers["annotator_id"].rank("dense") - 1).to_numpy(),
        said=answers["label"].replace_strict(names, range(len(names)), return_dtype=pl.Int64).to_numpy(),
        names=names,
    )


def _weigh_cases(coded: _Coded, confusions: Confusions) -> np.ndarray:
    """Return the probability of every label of every case; cases with the same answers are weighed once."""
    pairs = coded.annotators * coded.labels + coded.said
    frame = pl.DataFrame({"case": coded.cases, "pair": pairs}).group_by("case").agg(pl.col("pair").sort()).sort("case")
    alike = frame.group_by("pair", maintain_order=True).agg("case").with_row_index("pattern")
    spread = alike.explode("pair", empty_as_null=False, keep_nulls=False)
    weighed = weigh_labels(
        spread["pattern"].to_numpy(),
        spread["pair"].to_numpy() // coded.labels,
        spread["pair"].to_numpy() % coded.labels,
        confusions,
    )
    place = alike.select("pattern", "case").explode("case", empty_as_null=False, keep_nulls=False).sort("case")
    return weighed[place["pattern"].to_numpy()]


def _hold_out(answers: pl.DataFrame, coded: _Coded, confusions: Confusions, weighed: np.ndarray) -> pl.DataFrame:
    """Take each answer out of its case's posterior, where another one is left; and weigh it as if it stood alone."""
    likelihood = np.clip(confusions.matrices[coded.annotators, coded.said], 1e-10, 1.0)
    lone = likelihood * confusions.priors
    rest = np.clip(weighed[coded.cases], 1e-12, 1.0) / likelihood
    rest /= rest.sum(axis=1, keepdims=True)
    rows = np.arange(len(coded.said))
    names = np.array([*coded.names, *[""] * (coded.labels - len(coded.names))], dtype=object)
    overlaps = pl.Series(np.bincount(coded.cases)[coded.cases] > 1)
    return answers.select(
        *PAIR,
        "case_id",
        "annotator_id",
        said="label",
        label=pl.when(overlaps).then(pl.Series(names[rest.argmax(axis=1)].tolist(), dtype=pl.String)),
        confidence=pl.when(overlaps).then(pl.Series(rest.max(axis=1))),
        alone=pl.Series(lone[rows, coded.said] / lone.sum(axis=1)),
    )
