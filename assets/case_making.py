"""The case file of a judging: what was found, in the form that reviewers and auditors read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
import yaml

from assets.measuring import Questions
from assets.panel import Panel, Reading
from assets.promises import count_kept, describe_handoff, read_kept
from assets.resources import Loop
from labeling import tables as t
from serving.release import Release
from training.judging.case_contents import CaseContents, Grounds, TaskEvidence
from training.judging.case_file import CaseDescription, CaseFile, write_case_file
from training.judging.data_change import DataChange, compare_sets
from training.judging.evidence import Request
from training.judging.gates import GatePolicy, GateResult, Verdict
from training.judging.judging_plots import draw_plots
from training.judging.model_card import CardFacts, write_model_card
from training.judging.next_week import NextWeek, forecast_week
from training.judging.outcomes import Outcomes, measure_outcomes
from training.judging.personal_data import PersonalData, find_personal_data
from training.judging.provenance import find_code, list_packages
from training.judging.scorecard import Scorecard, score_model
from training.model_folder import read_documents
from training.registry.registry import MEMBERS_TAG, ModelVersion
from training.registry.standing import Standing


@dataclass(frozen=True)
class Findings:
    """All that one judging found before there is a verdict.

    Attributes:
        version: the registered release; ``panel`` it and those it was held against, loaded.
        standing: where the releases stood.
        frames: the answers frame of the test by task, with ``text_digest``.
        readings: by task and model, what each said of the test; empty where ``earlier`` answers stand for it.
        disagreements: by task, the fresh cases that people were asked about.
        questions: what challenger and champion were asked beside the test.
        request, authors, look, alpha: as of ``CaseDescription``.
        earlier: the case file whose answers were taken.
    """

    version: ModelVersion
    panel: Panel
    standing: Standing
    frames: Mapping[str, pl.DataFrame]
    readings: Mapping[str, Mapping[str, Reading]]
    disagreements: Mapping[str, pl.DataFrame]
    questions: Questions
    request: Request
    authors: tuple[str, ...]
    look: int
    alpha: float
    earlier: CaseFile | None


def describe_policy(policy: GatePolicy) -> str:
    """Return the gates' settings as a case file holds them."""
    return yaml.safe_dump(policy.model_dump(mode="json"), sort_keys=False)


def gather_grounds(loop: Loop, found: Findings, *, rng: np.random.Generator) -> Grounds:
    """Return what the verdict will rest on; of the tasks that have a test case."""
    policy = found.panel.challenger.about.handoff
    kept = read_kept(found.earlier) if found.earlier else count_kept(policy, found.frames, found.readings)
    tasks = {task: _task_evidence(loop, found, task, rng) for task, frame in found.frames.items() if frame.height}
    return Grounds(
        tasks=tasks,
        policy=describe_policy(loop.settings.gates),
        handoff=describe_handoff(policy, kept),
        environment=list_packages(),
        model_digests=found.panel.challenger.about.models,
        plots=draw_plots(tasks),
    )


def search_artifacts(loop: Loop, challenger: Release, grounds: Grounds) -> tuple[PersonalData, ...]:
    """Look for personal data in the member models' folders, label lists included, and in the grounds of the verdict.

    What a case file holds besides (gates, next week, model card) is worded by us, of names that stand in these.
    """
    of_models = {
        f"models/{task}/{path}": content
        for task, folder in challenger.folders.items()
        for path, content in read_documents(folder).items()
    }
    return find_personal_data(of_models | grounds.documents, loop.settings.redaction)


def write_case(loop: Loop, found: Findings, grounds: Grounds, verdict: Verdict) -> CaseFile:
    """Write the case file of a judging; the gates of ``verdict`` are named ``<task>.<gate>``."""
    contents = CaseContents(
        grounds=grounds,
        gates=[_by_task(gate) for gate in verdict.gates],
        next_week=_next_week(found, verdict),
        model_card=_model_card(loop, found, grounds.tasks, verdict),
    )
    about = CaseDescription(
        version=found.version.version,
        release_id=found.panel.challenger.about.release_id,
        members=_members(found.version),
        champion=found.standing.champion,
        reference=found.standing.champions[0] if "reference" in found.panel.interviews else None,
        request=found.request,
        judged_at=loop.now(),
        verdict=verdict.name,
        look=found.look,
        alpha=found.alpha,
        tasks=tuple(grounds.tasks),
        authors=found.authors,
        code=find_code(),
    )
    return write_case_file(loop.folder.case_files, about, contents.documents())


def _task_evidence(loop: Loop, found: Findings, task: str, rng: np.random.Generator) -> TaskEvidence:
    scorer, frame = found.panel.challenger.scorers[task], found.frames[task]
    has_champion = found.panel.model("champion", task) is not None
    rows = _training_rows(loop, scorer.about.training_set_id)
    return TaskEvidence(
        answers=frame,
        challenger=_scorecard(loop, found, task, "challenger", rng),
        champion=_scorecard(loop, found, task, "champion", rng) if has_champion else None,
        data=_data_change(loop, found, task, rows),
        training_set=rows,
        recipe=scorer.about.recipe,
        disagreements=found.disagreements.get(task),
    )


def _scorecard(loop: Loop, found: Findings, task: str, who: str, rng: np.random.Generator) -> Scorecard:
    interview = found.panel.interviews[who]
    return score_model(
        found.frames[task],
        who,
        rng=rng,
        seconds_per_text=interview.seconds_per_text,
        megabytes=interview.models[task].megabytes,
        outcomes=_outcomes(loop, found, task, who),
    )


def _outcomes(loop: Loop, found: Findings, task: str, who: str) -> Outcomes | None:
    """Return what escalations say of a model's answers in production; only a champion has any."""
    served = found.standing.champion if who == "champion" else found.version.version
    mine = (pl.col("model_version") == (served or "")) & (pl.col("task") == task)
    said = loop.tables.read(t.PREDICTIONS, columns=["interaction_id", "label", "handoff", "shown"], where=mine)
    return measure_outcomes(loop.tables.read(t.ESCALATIONS), said.unique("interaction_id", keep="first"))


def _training_rows(loop: Loop, training_set_id: str) -> pl.DataFrame:
    return loop.tables.read(t.TRAINING_SETS, where=pl.col("training_set_id") == training_set_id)


def _data_change(loop: Loop, found: Findings, task: str, rows: pl.DataFrame) -> DataChange:
    champion = found.panel.model("champion", task)
    return compare_sets(
        rows,
        _training_rows(loop, champion.training_set_id) if champion else None,
        labels=loop.settings.taxonomy.translate(loop.tables.read(t.LABELS, where=pl.col("task") == task)),
        reviews=loop.tables.read(t.REVIEWS, columns=["review_id", "annotator_id"]),
        corrections=loop.tables.read(t.CORRECTIONS, columns=["correction_id", "agent_id"]),
    )


def _next_week(found: Findings, verdict: Verdict) -> NextWeek:
    """Return what next week would bring; of a stored test, what was said when it was opened."""
    labels = sum(gate.lacking or 0 for gate in verdict.gates if gate.verdict == "undecided") or None
    if found.earlier is not None:
        before = found.earlier.next_week()
        return NextWeek(before.messages, before.handoffs, before.errors, labels)
    task = found.panel.challenger.tasks[0]
    who = [name for name in ("champion", "challenger") if name in found.readings[task]]
    test = found.frames[task].with_columns(
        pl.Series(f"{name}_handoff", found.readings[task][name].handoff, dtype=pl.Boolean) for name in who
    )
    if found.questions.traffic.is_empty():
        return NextWeek(0.0, {}, {}, labels)
    week = forecast_week(_read_traffic(found, task, who), test, who=who, labels_to_decide=labels)
    return week if found.questions.scale == 1 else _scale(week, found.questions.scale)


def _read_traffic(found: Findings, task: str, who: Sequence[str]) -> pl.DataFrame:
    """Return what each of ``who`` said of the messages that stand for next week's."""
    traffic = found.questions.traffic
    read = found.panel.read(traffic["text"].to_list())
    columns = [
        column
        for name in who
        for column in (
            pl.Series(f"{name}_handoff", read[name].handoff, dtype=pl.Boolean),
            read[name].scores[task].frame()["confidence"].alias(f"{name}_confidence"),
        )
    ]
    return traffic.select("occurred_at").with_columns(columns)


def _scale(week: NextWeek, scale: float) -> NextWeek:
    """Return the week of ``scale`` times as many messages."""

    def grown(expected: Mapping[str, tuple[float, float, float]]) -> dict[str, tuple[float, float, float]]:
        return {who: (scale * value, scale * low, scale * high) for who, (value, low, high) in expected.items()}

    return NextWeek(scale * week.messages, grown(week.handoffs), grown(week.errors), week.labels_to_decide)


def _model_card(loop: Loop, found: Findings, tasks: Mapping[str, TaskEvidence], verdict: Verdict) -> str:
    challenger = found.panel.challenger
    languages = {code for frame in found.frames.values() for code in frame["language"].drop_nulls()}
    return write_model_card(
        CardFacts(
            name=challenger.about.release_id,
            version=found.version.version,
            base_models=sorted({scorer.about.encoder.name for scorer in challenger.scorers.values()}),
            languages=sorted(languages),
            tasks={task: scorer.about.labels for task, scorer in challenger.scorers.items()},
            cards={task: evidence.challenger for task, evidence in tasks.items()},
            data={task: evidence.data for task, evidence in tasks.items()},
            handoff=challenger.about.handoff.tell(),
            judged_at=loop.now(),
            verdict=verdict.name,
        )
    )


def _by_task(gate: GateResult) -> tuple[str, GateResult]:
    task, _, name = gate.name.partition(".")
    return task, GateResult(**{**asdict(gate), "name": name})


def _members(found: ModelVersion) -> dict[str, str]:
    return json.loads(found.tags.get(MEMBERS_TAG, "{}"))
