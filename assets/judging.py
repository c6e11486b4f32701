"""Judge a release on the sealed test: scorecards, gates, and the words that a reviewer reads."""

from dataclasses import dataclass

from assets.resources import Loop
from assets.training import settled_labels
from serving.release import Release, open_champion
from training.judging.gates import Verdict, join_verdicts, judge
from training.judging.scorecard import Scorecard, score_answers
from training.registry.registry import ModelRegistry


@dataclass(frozen=True)
class Judged:
    """What the gates said of a release, and why.

    ``metrics`` are the scorecards' figures by task; ``documents`` the scorecards and the gates as JSON and text;
    ``summary`` the gates as a Markdown table.
    """

    verdict: str
    metrics: dict[str, float]
    documents: dict[str, str]
    summary: str


def judge_release(loop: Loop, release: Release, registry: ModelRegistry) -> Judged:
    """Judge ``release`` against the champion, task by task, on the settled labels of the audit lot's test part."""
    champion = open_champion(registry)
    verdicts: dict[str, Verdict] = {}
    cards: dict[str, Scorecard] = {}
    for task, scorer in release.scorers.items():
        cases = settled_labels(loop, task, lot="audit", part="test")
        texts, truth = cases["text"].to_list(), cases["label"].to_list()
        scores = scorer.score(texts)
        live = champion.release.scorers.get(task) if champion else None
        before = live.score(texts).frame()["label"].to_list() if live else None
        verdicts[task] = judge(truth, before, scores.frame()["label"].to_list(), loop.settings.gates)
        if truth:
            cards[task] = score_answers(truth, scores)
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
    )


def describe_gates(verdict: Verdict) -> str:
    """Return the gates as a Markdown table, each with what was measured, what was needed and what would help."""
    rows = [[gate.name, gate.verdict, gate.measured, gate.needed, gate.remedy] for gate in verdict.gates]
    head = "| gate | verdict | measured | needed | what would help |\n|---|---|---|---|---|\n"
    return head + "".join(f"| {' | '.join(row)} |\n" for row in rows)
