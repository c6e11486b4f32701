"""Judge a release on the sealed test: scorecards, gates, and the words that a reviewer reads."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assets.resources import Loop
from assets.training import settled_labels
from serving.release import Release, open_champion
from training.judging.gates import GateResult, Verdict, join_verdicts, judge
from training.judging.scorecard import Scorecard, score_answers
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


def judge_release(loop: Loop, release: Release, registry: ModelRegistry) -> Judged:
    """Judge ``release`` against the live champion, on the settled labels of the audit lot's test part."""
    champion = open_champion(registry)
    return judge_against(loop, release, champion.release if champion else None)


def judge_against(loop: Loop, release: Release, champion: Release | None) -> Judged:
    """Judge ``release`` against ``champion`` (None before the first one), task by task, on the sealed test.

    Truth and both models' answers are held against each other in the labels of today's taxonomy, whichever each model
    was trained on.
    """
    verdicts: dict[str, Verdict] = {}
    cards: dict[str, Scorecard] = {}
    for task, scorer in release.scorers.items():
        cases = settled_labels(loop, task, lot="audit", part="test")
        texts, truth = cases["text"].to_list(), cases["label"].to_list()
        scores = _score(loop, task, scorer, texts)
        live = champion.scorers.get(task) if champion else None
        before = _score(loop, task, live, texts).frame()["label"].to_list() if live else None
        verdicts[task] = judge(truth, before, scores.frame()["label"].to_list(), loop.settings.gates)
        if truth:
            cards[task] = score_answers(truth, scores, rng=np.random.default_rng(0))
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


def _score(loop: Loop, task: str, scorer: Scorer, texts: Sequence[str]) -> Scores:
    return translate_scores(scorer.score(texts), loop.settings.taxonomy, task)


def describe_gates(verdict: Verdict) -> str:
    """Return the gates as a Markdown table, each with what was measured, what was needed and what would help."""
    rows = [[gate.name, gate.verdict, gate.measured, gate.needed, gate.remedy] for gate in verdict.gates]
    head = "| gate | verdict | measured | needed | what would help |\n|---|---|---|---|---|\n"
    return head + "".join(f"| {' | '.join(row)} |\n" for row in rows)
