"""The model card of a release, in the form that Hugging Face cards use: YAML front matter, then Markdown.

The sections are those of Mitchell et al. (2019); the front matter's ``model-index`` is Hugging Face's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import yaml

from training.judging.data_change import DataChange
from training.judging.scorecard import Scorecard

_METRICS: Final = {
    "accuracy": "Accuracy", "macro_f1": "Macro F1", "nll": "Negative log-likelihood (nats)", "brier": "Brier score",
    "ece": "Expected calibration error", "aurc": "Area under the risk-coverage curve",
    "oos_auroc": "AUROC of out-of-scope messages",
}  # fmt: skip
_TYPES: Final = {"macro_f1": "f1", "oos_auroc": "roc_auc", "brier": "brier_score"}
"""What Hugging Face calls a metric, where it is not what we do."""

_WEAKEST: Final = 5


@dataclass(frozen=True)
class CardFacts:
    """What a card says.

    Attributes:
        name: the release's id; ``version`` its registered version.
        base_models: the encoders, by their public names.
        languages: ISO 639 codes of the messages that it was judged on; may be empty.
        tasks: task to the labels that it answers.
        cards: task to its scorecard.
        data: task to what it learnt from.
        handoff: when it steps aside, in a sentence.
        judged_at: when; ``verdict`` which (promote, hold, inconclusive).
    """

    name: str
    version: str
    base_models: Sequence[str]
    languages: Sequence[str]
    tasks: Mapping[str, Sequence[str]]
    cards: Mapping[str, Scorecard]
    data: Mapping[str, DataChange]
    handoff: str
    judged_at: datetime
    verdict: str


def write_model_card(facts: CardFacts) -> str:
    """Return the card as Markdown with YAML front matter."""
    front = yaml.safe_dump(_front_matter(facts), sort_keys=False, allow_unicode=True)
    return (
        f"---\n{front}---\n\n"
        + "\n\n".join(
            [
                f"# {facts.name}",
                _details(facts),
                _uses(facts),
                *(_evaluation(task, card) for task, card in facts.cards.items()),
                *(_training(task, data) for task, data in facts.data.items()),
                _limitations(facts),
            ]
        )
        + "\n"
    )


def _front_matter(facts: CardFacts) -> dict[str, Any]:
    results = [_result(task, card) for task, card in facts.cards.items()]
    front: dict[str, Any] = {"language": list(facts.languages)} if facts.languages else {}
    return front | {
        "library_name": "peft",
        "base_model": list(facts.base_models),
        "base_model_relation": "adapter",
        "pipeline_tag": "text-classification",
        "tags": ["customer-service", "lora", "cxloop", *facts.tasks],
        "model-index": [{"name": facts.name, "results": results}],
    }


def _result(task: str, card: Scorecard) -> dict[str, Any]:
    figures = card.metrics()
    return {
        "task": {"type": "text-classification", "name": task},
        "dataset": {"type": "private", "name": "sealed test of the audit lot", "split": "test"},
        "metrics": [
            {"type": _TYPES.get(name, name), "name": title, "value": round(figures[name], 4)}
            for name, title in _METRICS.items()
            if name in figures
        ],
    }


def _details(facts: CardFacts) -> str:
    tasks = "\n".join(f"- {task}: one of {len(labels)} labels" for task, labels in facts.tasks.items())
    return (
        "## Model details\n\n"
        f"Version {facts.version}, made by cxloop from {', '.join(facts.base_models)} with LoRA adapters and a linear "
        f"head for each task. It answers each customer message with\n\n{tasks}"
    )


def _uses(facts: CardFacts) -> str:
    return (
        "## Uses\n\n"
        "To route and answer customer messages of the kinds above, in the channels and languages that it was judged on "
        f"(see below), with people behind it. {facts.handoff} It is not meant to judge people, nor to act on a message "
        "that it should hand over."
    )


def _evaluation(task: str, card: Scorecard) -> str:
    figures = card.metrics()
    rows = "".join(f"| {title} | {figures[name]:.4f} |\n" for name, title in _METRICS.items() if name in figures)
    interval = f"95% interval of accuracy: {card.accuracy_low:.1%} to {card.accuracy_high:.1%}."
    slices = "".join(
        f"| {dimension}: {value} | {score.cases} | {score.accuracy:.1%} ({score.low:.1%} to {score.high:.1%}) |\n"
        for dimension, values in card.slices.items()
        for value, score in values.items()
    )
    told = f"\n\n| slice | cases | accuracy (95%) |\n|---|---|---|\n{slices.rstrip()}" if slices else ""
    return (
        f"## Evaluation: {task}\n\nOn {card.cases:,} messages that were drawn at random, read by people and never "
        f"trained on.\n\n| measure | value |\n|---|---|\n{rows}\n{interval}{told}"
    )


def _training(task: str, data: DataChange) -> str:
    sources = ", ".join(f"{count:,} by {source}" for source, count in data.sources.items()) or "none"
    return (
        f"## Training data: {task}\n\nTraining set `{data.training_set_id}`: {data.rows:,} messages of {data.classes} "
        f"labels, personal data replaced by placeholders. New since the champion: {data.added:,} ({sources}); gone: "
        f"{data.removed:,}."
    )


def _limitations(facts: CardFacts) -> str:
    weak = [line for task, card in facts.cards.items() for line in _weakest(task, card)]
    listed = "\n".join(weak) or "- no label has a test case"
    return (
        "## Bias, risks and limitations\n\n"
        f"Judged on {facts.judged_at:%Y-%m-%d}: {facts.verdict}. Messages unlike those of the test may be answered "
        f"worse than the figures say. Labels found least often:\n\n{listed}"
    )


def _weakest(task: str, card: Scorecard) -> list[str]:
    found = [(score.recall, name, score) for name, score in card.labels.items() if score.recall is not None]
    return [
        f"- {task} `{name}`: {recall:.0%} of {score.support} found (95% interval {score.recall_low:.0%} to "
        f"{score.recall_high:.0%})"
        for recall, name, score in sorted(found, key=lambda one: one[:2])[:_WEAKEST]
    ]
