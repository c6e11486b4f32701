"""What a judging found, as the files of a case file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import polars as pl
import yaml

from training.judging.answers import MODELS
from training.judging.case_frames import ANSWERS, CONFUSION, TRAINING_ROWS, write_frame, write_lines
from training.judging.curves import draw_curves
from training.judging.data_change import DataChange
from training.judging.gates import GateResult
from training.judging.next_week import NextWeek
from training.judging.scorecard import Scorecard


@dataclass(frozen=True)
class TaskEvidence:
    """What is known of one task.

    Attributes:
        answers: the answers frame of the test with ``text_digest`` (keyed), at least one row.
        challenger, champion: their scorecards; None where there is no champion.
        data: what the challenger learnt from.
        training_set: TRAINING_SETS rows of its set.
        recipe: its recipe, as JSON would hold it.
        disagreements: the sampled fresh cases on which the two differ, an answers frame with null truth where nobody
            has answered; None where none were drawn.
    """

    answers: pl.DataFrame
    challenger: Scorecard
    champion: Scorecard | None
    data: DataChange
    training_set: pl.DataFrame
    recipe: Mapping[str, Any]
    disagreements: pl.DataFrame | None = None


@dataclass(frozen=True)
class Grounds:
    """What a verdict rests on: the part of a case file that is known before there is one.

    Attributes:
        tasks: evidence by task.
        policy: gates.yaml as text.
        handoff: the fitted handoff policy, as JSON would hold it.
        environment: the installed packages, each ``name==version``.
        model_digests: SHA-256 of each member model's folder, by task.
        plots: SVG by name (``judging_plots``).
    """

    tasks: Mapping[str, TaskEvidence]
    policy: str
    handoff: Mapping[str, Any]
    environment: Sequence[str]
    model_digests: Mapping[str, str]
    plots: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def documents(self) -> dict[str, str]:
        """The files that say it, content by path."""
        return {
            "gates.yaml": self.policy,
            "handoff.json": _as_json(self.handoff),
            "environment.txt": "".join(f"{line}\n" for line in sorted(self.environment)),
            "model_digests.json": _as_json(self.model_digests),
            **{f"plots/{name}.svg": svg for name, svg in self.plots.items()},
            **{
                path: text
                for task, evidence in self.tasks.items()
                for path, text in _task_documents(task, evidence).items()
            },
        }


@dataclass(frozen=True)
class CaseContents:
    """All that goes into a case file beside its description.

    Attributes:
        grounds: what was known before the verdict.
        gates: (task, gate) in order; ``""`` for a gate of the release as a whole.
        next_week: what it would be like.
        model_card: Markdown with YAML front matter (``model_card``).
    """

    grounds: Grounds
    gates: Sequence[tuple[str, GateResult]]
    next_week: NextWeek
    model_card: str

    def documents(self) -> dict[str, str]:
        """Return the files of the case file, content by path."""
        return {
            "gates.json": _as_json([{"task": task} | asdict(gate) for task, gate in self.gates]),
            "next_week.json": _as_json(self.next_week.to_document()),
            "model_card.md": self.model_card,
            **self.grounds.documents,
        }


def count_confusion(answers: pl.DataFrame) -> pl.DataFrame:
    """Return ``truth, answered, champion, challenger``: how often each gave each wrong answer, the most changed first.

    Args:
        answers: answers frame.
    """
    wrong = [
        answers.filter(pl.col(who) != pl.col("truth")).select("truth", answered=who, who=pl.lit(who))
        for who in ("champion", "challenger")
    ]
    return (
        pl.concat(wrong)
        .group_by("truth", "answered")
        .agg(champion=(pl.col("who") == "champion").sum(), challenger=(pl.col("who") == "challenger").sum())
        .cast(pl.Schema(CONFUSION))
        .sort((pl.col("challenger") - pl.col("champion")).abs(), "truth", "answered", descending=[True, False, False])
    )


def _task_documents(task: str, evidence: TaskEvidence) -> dict[str, str]:
    cards = {"challenger": evidence.challenger, "champion": evidence.champion}
    curves = {who: asdict(draw_curves(evidence.answers, who)) for who in MODELS if _has_answered(evidence.answers, who)}
    documents = {
        f"scorecards/{task}.json": _as_json({who: card and asdict(card) for who, card in cards.items()}),
        f"curves/{task}.json": _as_json(curves),
        f"confusion/{task}.json": write_frame(count_confusion(evidence.answers), CONFUSION),
        f"answers/{task}.json": write_frame(evidence.answers.sort("interaction_id"), ANSWERS),
        f"data/{task}.json": _as_json(evidence.data.to_document()),
        f"recipes/{task}.yaml": yaml.safe_dump(dict(evidence.recipe), sort_keys=True, allow_unicode=True),
        f"training_sets/{task}.jsonl": "".join(
            f"{line}\n" for line in write_lines(evidence.training_set.sort("interaction_id"), TRAINING_ROWS)
        ),
    }
    if evidence.disagreements is not None:
        rows = evidence.disagreements.sort("interaction_id")
        documents[f"disagreements/{task}.json"] = write_frame(rows, ANSWERS)
    return documents


def _has_answered(answers: pl.DataFrame, who: str) -> bool:
    return who in answers.columns and answers[who].null_count() == 0


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
