"""Fresh cases on which a challenger in doubt and the champion differ: asked of people, and judged by once answered.

The ledger holds what was drawn before anybody answers, so that nobody can choose a sample by its answers. One
challenger is in question at a time: the first that is not shown better, until its sample is answered or too old.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import dagster as dg
import numpy as np
import polars as pl

from assets.judging import Judging, Sampled
from assets.registry import judge_and_name
from assets.resources import Loop
from assets.review import labels, predictions
from labeling import tables as t
from labeling.digests import keyed_digest
from labeling.selection.naming import name_judging
from labeling.vocabulary import JUDGING
from serving.release import Champion as Answering
from serving.release import Release
from training.judging.case_file import CaseFile
from training.judging.disagreements import count_answers, draw_sample, find_disagreements, is_settled, plan_sample
from training.judging.gates import BETTER
from training.registry.ledger import Entry
from training.registry.registry import RELEASE, ModelRegistry
from training.registry.standing import Standing, read_standing

DRAWN: Final = "disagreements_drawn"
"""The kind of the ledger's entry that says which cases people were asked about."""

_PAIR: Final = ("challenger", "champion")


@dataclass(frozen=True)
class _Doubt:
    """A challenger that was judged beside today's champion and not shown better: the ledger's entry and case file."""

    entry: Entry
    case_file: CaseFile

    @property
    def version(self) -> str:
        return self.entry.body["version"]

    @property
    def champion(self) -> str:
        return self.entry.body["champion"]


@dg.asset(group_name="registry", kinds={"deltalake", "mlflow"}, deps=[predictions, labels])
def disagreements(loop: Loop) -> dg.MaterializeResult:
    """Fresh cases on which a challenger in doubt and the champion differ, which people are asked about."""
    ledger, registry = loop.open_ledger(), loop.open_registry()
    entries = ledger.entries()
    standing = read_standing(entries)
    waived = _find_waived(loop, entries, standing)
    if waived is not None:
        sampled = _count_drawn(loop, waived, entries)
        return dg.MaterializeResult(metadata=_judge(loop, waived, sampled, registry))
    doubt = _find_doubt(loop, entries, standing)
    if doubt is None:
        return dg.MaterializeResult(metadata={"version": "", "waits_for": "a challenger that is not shown better"})
    drawn = _find_drawn(entries, doubt)
    if drawn is None:
        return dg.MaterializeResult(metadata={"version": doubt.version, **_draw(loop, doubt, registry)})
    sampled = _count(loop, doubt, drawn)
    told = {f"{task}_answered": one.sample.answered for task, one in sampled.items()}
    if not _is_due(loop, drawn, sampled):
        return dg.MaterializeResult(metadata={"version": doubt.version, "waits_for": "answers", **told})
    return dg.MaterializeResult(metadata={**told, **_judge(loop, doubt, sampled, registry)})


def _in_question(entries: Sequence[Entry], standing: Standing) -> dict[str, Entry]:
    """Return the newest judging of each version that was held against today's champion and is not decided on."""
    if standing.champion is None:
        return {}
    known = standing.judged.items()
    return {
        version: entry
        for version, entry in known
        if entry.body["champion"] == standing.champion and version not in standing.decided
    }


def _find_waived(loop: Loop, entries: Sequence[Entry], standing: Standing) -> _Doubt | None:
    """Return a version of which a gate was waived since it was judged: it is judged again, without asking anybody."""
    mine = _in_question(entries, standing)
    for waiver in reversed(standing.waived):
        judged = mine.get(waiver.body["version"])
        if judged is not None and judged.number < waiver.number:
            return _open_doubt(loop, judged)
    return None


def _find_doubt(loop: Loop, entries: Sequence[Entry], standing: Standing) -> _Doubt | None:
    """Return the challenger in question: whose sample is out, else the first in doubt since the last sample was judged.

    In doubt is what was judged inconclusive because it is not shown better, and what a reviewer wants more evidence on.
    The first and not the newest, because a challenger a night would else begin the days for its messages anew.
    """
    mine = _in_question(entries, standing)
    drawn = {entry.body["version"]: entry for entry in entries if entry.kind == DRAWN}
    asked = [version for version in drawn if version in mine and drawn[version].body["champion"] == standing.champion]
    if out := [mine[version] for version in asked if mine[version].number < drawn[version].number]:
        return _open_doubt(loop, out[-1])
    last = max((mine[version].number for version in asked), default=0)
    for version, entry in sorted(mine.items(), key=lambda one: one[1].number):
        wish = standing.asked.get(version)
        is_wanted = wish is not None and wish.number > entry.number
        if version not in asked and (is_wanted or (entry.number > last and _is_unshown(loop, entry))):
            return _open_doubt(loop, entry)
    return None


def _is_unshown(loop: Loop, judged: Entry) -> bool:
    """Say whether a release was judged inconclusive, for one thing because no task is shown better."""
    if judged.body["verdict"] != "inconclusive":
        return False
    gates = _open_doubt(loop, judged).case_file.gates.values()
    return any(gate.name == BETTER and gate.verdict == "undecided" for of_task in gates for gate in of_task)


def _open_doubt(loop: Loop, judged: Entry) -> _Doubt:
    return _Doubt(judged, CaseFile.open(loop.folder.case_files / judged.body["case_file"]))


def _find_drawn(entries: Sequence[Entry], doubt: _Doubt) -> Entry | None:
    """Return the sample that people were asked about, None where none was drawn of this version in this reign."""
    found = [
        entry
        for entry in entries
        if entry.kind == DRAWN and (entry.body["version"], entry.body["champion"]) == (doubt.version, doubt.champion)
    ]
    return found[-1] if found else None


def _count_drawn(loop: Loop, doubt: _Doubt, entries: Sequence[Entry]) -> dict[str, Sampled]:
    drawn = _find_drawn(entries, doubt)
    return {} if drawn is None else _count(loop, doubt, drawn)


def _draw(loop: Loop, doubt: _Doubt, registry: ModelRegistry) -> dict[str, Any]:
    """Draw what people are asked, once there are enough disagreements or the days for it are over."""
    fresh, cut_offs = _read_fresh(loop, doubt, registry)
    if fresh.is_empty():
        return {"waits_for": "messages that came after both were trained"}
    policy = loop.settings.gates
    half = doubt.entry.body["alpha"] / 2
    is_old = fresh["occurred_at"].min() <= loop.now() - timedelta(days=policy.fresh_days)  # pyright: ignore
    drawn: dict[str, dict[str, Any]] = {}
    for task, answers in _by_task(loop, doubt, fresh).items():
        differing, count = find_disagreements(answers, cut_offs=cut_offs)
        size = plan_sample(count, differing.height, alpha=half, gain=policy.smallest_gain, power=policy.gain_power)
        if size is None:
            continue
        wanted = min(size, policy.most_disagreements)
        if differing.height <= wanted and not is_old:
            return {"waits_for": "more messages on which they differ", f"{task}_differing": differing.height}
        rng = np.random.default_rng(int(keyed_digest(loop.folder.key(), DRAWN, f"{task} {doubt.version}")[:32], 16))
        sample = draw_sample(differing, size=wanted, rng=rng)
        drawn[task] = {
            "fresh": count,
            "differing": differing.height,
            "sample": sample["interaction_id"].to_list(),
        }
    if not drawn:
        return {"waits_for": "messages on which they differ enough"}
    body = {"version": doubt.version, "champion": doubt.champion, "tasks": drawn}
    loop.open_ledger().append(DRAWN, body, at=loop.now())
    return {"asked": _ask(loop, doubt, drawn)}


def _read_fresh(loop: Loop, doubt: _Doubt, registry: ModelRegistry) -> tuple[pl.DataFrame, list[Any]]:
    """Return the messages that came after both trainings, the challenger's answers to them being kept; and when."""
    sets = [doubt.case_file.data(task).training_set_id for task in doubt.case_file.about.tasks]
    frozen = loop.tables.read(t.TRAINING_SETS, columns=["frozen_at"], where=pl.col("training_set_id").is_in(sets))
    cut_off = max([doubt.entry.at, *frozen["frozen_at"].to_list()])
    fresh = loop.tables.read(
        t.INTERACTIONS, columns=["interaction_id", "occurred_at", "text"], where=pl.col("occurred_at") > cut_off
    )
    said = loop.tables.read(t.PREDICTIONS, columns=["interaction_id"], where=pl.col("model_version") == doubt.version)
    new = fresh.join(said, on="interaction_id", how="anti").sort("interaction_id")
    if new.height:
        release = Release.load(registry.download(RELEASE, doubt.version), loop.settings.taxonomy)
        rows = Answering(doubt.version, release).predict(new["interaction_id"], new["text"])
        named = rows.with_columns(
            model_version=pl.lit(doubt.version), shown=pl.lit(value=False), predicted_at=pl.lit(loop.now())
        )
        loop.tables.merge(t.PREDICTIONS, named)
    return fresh.drop("text"), [cut_off]


def _by_task(loop: Loop, doubt: _Doubt, fresh: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return by task ``interaction_id, occurred_at, challenger, champion`` of the fresh messages."""
    versions = dict(zip(_PAIR, (doubt.version, doubt.champion), strict=True))
    said = loop.tables.read(
        t.PREDICTIONS,
        columns=["interaction_id", "task", "label", "confidence", "model_version"],
        where=pl.col("model_version").is_in(list(versions.values())),
    )
    told = loop.settings.taxonomy.translate(said)
    found = {}
    for task in doubt.case_file.about.tasks:
        answers = fresh
        for who, version in versions.items():
            mine = told.filter(pl.col("task") == task, pl.col("model_version") == version)
            named = mine.select("interaction_id", **{who: "label", f"{who}_confidence": "confidence"})
            answers = answers.join(named.unique("interaction_id"), on="interaction_id", how="left")
        found[task] = answers
    return found


def _ask(loop: Loop, doubt: _Doubt, drawn: Mapping[str, Mapping[str, Any]]) -> int:
    """Put the drawn cases into the review queue, blind; a case that people settled already is not asked again."""
    known = loop.tables.read(t.LABELS, columns=["interaction_id", "task"], where=pl.col("source") == "review")
    settled = set(known.rows())
    wanted = {(name, task) for task, one in drawn.items() for name in one["sample"]}
    asked = sorted({name for name, _ in wanted - settled})
    rows = [
        {
            "case_id": name_judging(name, doubt.version),
            "interaction_id": name,
            "round": loop.now().date().isoformat(),
            "reason": JUDGING,
            "frame": doubt.version,
            "frame_size": max(one["differing"] for one in drawn.values()),
            "champion": doubt.champion,
            "blind": True,
            "gold": False,
            "overlap": 1,
            "picked_at": loop.now(),
        }
        for name in asked
    ]
    loop.tables.merge(t.REVIEW_QUEUE, t.REVIEW_QUEUE.frame(rows))
    return len(asked)


def _count(loop: Loop, doubt: _Doubt, drawn: Entry) -> dict[str, Sampled]:
    """Return what people said so far, by task."""
    columns = ["interaction_id", "language", "channel", "segment", "occurred_at"]
    about = loop.tables.read(t.INTERACTIONS, columns=columns)
    answers = _by_task(loop, doubt, about)
    settled = loop.settings.taxonomy.translate(
        loop.tables.read(t.LABELS, columns=["interaction_id", "task", "label"], where=pl.col("source") == "review")
    )
    second = loop.tables.read(
        t.REVIEWS, columns=["interaction_id", "task", "second_label"], where=pl.col("second_label").is_not_null()
    )
    found = {}
    for task, one in drawn.body["tasks"].items():
        mine, theirs = (
            frame.filter(pl.col("task") == task).unique("interaction_id").drop("task") for frame in (settled, second)
        )
        rows = (
            answers[task]
            .filter(pl.col("interaction_id").is_in(one["sample"]))
            .join(mine.rename({"label": "truth"}), on="interaction_id", how="left")
            .join(theirs.rename({"second_label": "second"}), on="interaction_id", how="left")
        )
        sample = count_answers(rows, fresh=one["fresh"], differing=one["differing"])
        found[task] = Sampled(sample, rows.drop("occurred_at", "second"))
    return found


def _is_due(loop: Loop, drawn: Entry, sampled: Mapping[str, Sampled]) -> bool:
    """Say whether to judge by the sample now: hardly an answer is missing, or the days for answers are over."""
    policy = loop.settings.gates
    is_answered = all(is_settled(one.sample, most_missing=policy.max_unanswered_share) for one in sampled.values())
    return is_answered or loop.now() >= drawn.at + timedelta(days=policy.fresh_days)


def _judge(loop: Loop, doubt: _Doubt, sampled: Mapping[str, Sampled], registry: ModelRegistry) -> dict[str, Any]:
    """Judge the release again, by the sample and by what was stored when the test was open."""
    judging = Judging(
        registry.version(RELEASE, doubt.version),
        Release.load(registry.download(RELEASE, doubt.version)),
        request=doubt.entry.body["request"],
        authors=doubt.case_file.about.authors,
        earlier=doubt.case_file,
        sampled=sampled,
    )
    return judge_and_name(loop, judging, registry, tasks=list(doubt.case_file.about.tasks))
