"""Judge a release on the sealed test: scorecards, gates, and the words that a reviewer reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from assets.resources import Loop
from assets.training import settled_labels
from labeling import tables as t
from labeling.sources.redaction import redact_texts
from serving.release import Release, open_champion
from training.judging.answers import DIMENSIONS, has_model, pair_answers, read_answers
from training.judging.evidence import Evidence, Request
from training.judging.gates import GateResult, Verdict, join_verdicts
from training.judging.judge import judge
from training.judging.scorecard import Scorecard, score_answers
from training.judging.sequence import spend_alpha
from training.registry.registry import ModelRegistry
from training.scoring import Scorer, Scores
from training.translated import translate_scores


@dataclass(frozen=True)
class Judged:
    """What the gates said of a release, and why.

    ``metrics`` are the scorecards' figures by task; ``documents`` the scorecards and the gates as JSON and text;
    ``summary`` the gates as a Markdown table, ``gates`` the same as results named ``<task>.<gate>``.
    """

    verdict: str
    metrics: dict[str, float]
    documents: dict[str, str]
    summary: str
    gates: tuple[GateResult, ...]


@dataclass(frozen=True)
class Asked:
    """What a judging is asked: whether the release shall be better, and the how many-th of the champion's reign it is.

    ``parity`` is whether the release answers the same after reloading from the registry, None where not checked.
    """

    request: Request = "improve"
    look: int = 1
    parity: bool | None = None


def judge_release(loop: Loop, release: Release, registry: ModelRegistry, asked: Asked) -> Judged:
    """Judge ``release`` against the live champion, on the settled labels of the audit lot's test part."""
    champion = open_champion(registry)
    return judge_against(loop, release, champion.release if champion else None, asked)


def judge_against(loop: Loop, release: Release, champion: Release | None, asked: Asked) -> Judged:
    """Judge ``release`` against ``champion`` (None before the first one), task by task, on the sealed test.

    Truth and both models' answers are held against each other in the labels of today's taxonomy, whichever each model
    was trained on.
    """
    frames: dict[str, pl.DataFrame] = {}
    cards: dict[str, Scorecard] = {}
    labels: dict[str, tuple[str, ...]] = {}
    new: dict[str, frozenset[str]] = {}
    for task, scorer in release.scorers.items():
        cases = _test_cases(loop, task)
        texts, truth = cases["text"].to_list(), cases["label"].to_list()
        scores = _score(loop, task, scorer, texts)
        live = champion.scorers.get(task) if champion else None
        before = _score(loop, task, live, texts) if live else None
        frames[task] = pair_answers(cases, scores, before)
        labels[task] = scores.labels
        new[task] = frozenset(scores.labels) - frozenset(before.labels) if before else frozenset()
        if truth:
            cards[task] = score_answers(truth, scores)
    verdicts = _judge_tasks(loop, frames, labels, new, asked)
    joined = join_verdicts(verdicts)
    summary = describe_gates(joined)
    return Judged(
        verdict=joined.name,
        metrics={f"{task}_{name}": value for task, card in cards.items() for name, value in card.metrics().items()},
        documents={
            "gates.md": summary,
            **{f"scorecard_{task}.json": card.to_json() for task, card in cards.items()},
        },
        summary=summary,
        gates=joined.gates,
    )


def _judge_tasks(
    loop: Loop,
    frames: Mapping[str, pl.DataFrame],
    labels: Mapping[str, Sequence[str]],
    new: Mapping[str, frozenset[str]],
    asked: Asked,
) -> dict[str, Verdict]:
    """Judge each task; where one that is better is enough, those that changed share the look's level."""
    policy = loop.settings.gates
    changed = sum(has_model(frame, "champion") and not read_answers(frame).is_same() for frame in frames.values())
    alpha = spend_alpha(policy.alpha, asked.look, tasks=max(1, changed) if asked.request == "improve" else 1)
    return {
        task: judge(
            frame,
            Evidence(
                task=task,
                alpha=alpha,
                request=asked.request,
                personal_data=_count_personal_data(loop, labels[task]),
                parity=asked.parity,
                new_labels=new[task],
            ),
            policy,
            rng=np.random.default_rng(0),
        )
        for task, frame in frames.items()
    }


def _test_cases(loop: Loop, task: str) -> pl.DataFrame:
    cases = settled_labels(loop, task, lot="audit", part="test")
    where = pl.col("interaction_id").is_in(cases["interaction_id"].implode())
    about = loop.tables.read(t.INTERACTIONS, columns=["interaction_id", *DIMENSIONS], where=where)
    return cases.join(about, on="interaction_id", how="left", maintain_order="left")


def _count_personal_data(loop: Loop, labels: Sequence[str]) -> int:
    """Return how many names of labels the redaction rules would change."""
    names = pl.Series("names", list(labels), dtype=pl.String)
    return int((redact_texts(names, loop.settings.redaction) != names).sum())


def _score(loop: Loop, task: str, scorer: Scorer, texts: Sequence[str]) -> Scores:
    return translate_scores(scorer.score(texts), loop.settings.taxonomy, task)


def describe_gates(verdict: Verdict) -> str:
    """Return the gates as a Markdown table, each with what was measured, what was needed and what would help."""
    rows = [[_full_name(gate), gate.verdict, gate.measured, gate.needed, gate.remedy] for gate in verdict.gates]
    head = "| gate | verdict | measured | needed | what would help |\n|---|---|---|---|---|\n"
    return head + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _full_name(gate: GateResult) -> str:
    return gate.name if gate.slice is None else f"{gate.name} ({' '.join(gate.slice)})"
