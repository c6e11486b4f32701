"""Judge a release beside the champion: on the sealed test, and on fresh cases on which the two differ."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import polars as pl

from assets.case_making import Findings, describe_policy, gather_grounds, search_artifacts, write_case
from assets.measuring import Measured, draw_questions, measure_panel
from assets.panel import Panel, Reading, open_panel
from assets.promises import count_kept, read_kept
from assets.resources import Loop
from assets.training import settled_labels
from labeling.digests import digest
from serving.release import Policy, Release
from training.features import digest_text
from training.judging.answers import DIMENSIONS, MODELS, has_model, pair_answers, read_answers
from training.judging.case_file import DESCRIPTION, CaseFile
from training.judging.disagreements import DisagreementSample
from training.judging.evidence import Evidence, KeptAnswers, Request
from training.judging.gates import GateResult, Verdict, join_verdicts
from training.judging.judge import judge
from training.judging.personal_data import PersonalData
from training.judging.sequence import spend_alpha
from training.registry.judged import Judgement, look_at, read_waivers, record_judged
from training.registry.ledger import Entry
from training.registry.registry import PARITY_TAG, PASSED, ModelRegistry, ModelVersion
from training.registry.standing import read_standing

_CHANCE: Final = 20_240_607
"""Seeds what a judging draws (the bootstrap, the perturbed texts), so that it can be repeated."""


@dataclass(frozen=True)
class Sampled:
    """What people said of the disagreements drawn for one task, and these as an answers frame (truth may be null)."""

    sample: DisagreementSample
    rows: pl.DataFrame


@dataclass(frozen=True)
class Judging:
    """What is judged.

    Attributes:
        version: the registered release.
        release: the same, loaded.
        request: whether it must be better, or no worse.
        authors: who made it.
        earlier: a case file of this version beside the same champion: the answers stored there stand for the test,
            which is not opened again.
        sampled: by task, the disagreements that people were asked about.
    """

    version: ModelVersion
    release: Release
    request: Request = "improve"
    authors: tuple[str, ...] = ()
    earlier: CaseFile | None = None
    sampled: Mapping[str, Sampled] = field(default_factory=dict)


@dataclass(frozen=True)
class Judged:
    """What the gates said of a release: ``gates`` are named ``<task>.<gate>``, ``metrics`` are its scorecards'."""

    verdict: str
    case_file: CaseFile
    metrics: Mapping[str, float]
    gates: tuple[GateResult, ...]

    @property
    def summary(self) -> str:
        """The gates as a Markdown table."""
        return describe_gates(self.gates)

    def documents(self) -> dict[str, str]:
        """Return what goes to the run's artifacts: the gates as a table, and every file of the case file."""
        folder = f"case_files/{self.case_file.digest}"
        files = {f"{folder}/{path}": self.case_file.read_text(path) for path in self.case_file.about.files}
        about = (self.case_file.folder / DESCRIPTION).read_text(encoding="utf-8")
        return {"gates.md": self.summary, f"{folder}/{DESCRIPTION}": about, **files}


def judge_release(loop: Loop, judging: Judging, registry: ModelRegistry) -> Judged:
    """Judge a release against the live champion, write its case file, and put the judging on the ledger.

    Where the ledger holds just this judging (a run was killed after it, or a retrain found nothing new), that one is
    returned, and the test stays closed. Truth and all models' answers are held against each other in the labels of
    today's taxonomy, whichever each was trained on.

    Raises:
        DecisionRefused: the champion changed meanwhile: judge again.
        CaseFileError: the case file cannot be written, or the earlier one was changed.
    """
    entries = loop.open_ledger().entries()
    standing = read_standing(entries)
    cases = {} if judging.earlier else _test_cases(loop, judging.release)
    known = None if judging.earlier else standing.judged.get(judging.version.version)
    if known and (stands := _find_standing(loop, known, judging, cases, standing.champion)):
        record_judged(Judgement(**known.body), at=known.at, ledger=loop.open_ledger(), registry=registry)
        return _as_judged(stands)
    questions = draw_questions(loop, rng=np.random.default_rng(_CHANCE))
    tested = [text for frame in cases.values() for text in frame["text"]]
    panel = open_panel(
        loop, judging.release, standing, registry, tested=tested, others=questions.texts, timed=questions.timed
    )
    test = _stored_test(judging.earlier) if judging.earlier else _open_test(loop, panel, cases)
    measured = measure_panel(loop, panel, questions)
    look = look_at(entries, judging.version.version)
    tasks = _count_changed(test.frames.values()) if judging.request == "improve" else 1
    alpha = spend_alpha(loop.settings.gates.alpha, look, tasks=tasks)
    findings = Findings(
        version=judging.version,
        panel=panel,
        standing=standing,
        frames=test.frames,
        readings=test.readings,
        disagreements={task: one.rows for task, one in judging.sampled.items()},
        questions=questions,
        request=judging.request,
        authors=judging.authors,
        look=look,
        alpha=alpha,
        earlier=judging.earlier,
    )
    grounds = gather_grounds(loop, findings, rng=np.random.default_rng(_CHANCE))
    searched = search_artifacts(loop, panel.challenger, grounds)
    verdict = _judge_tasks(loop, judging, test, measured, searched, alpha=alpha, entries=entries)
    case_file = write_case(loop, findings, grounds, verdict)
    judgement = Judgement(
        version=judging.version.version,
        case_file=case_file.digest,
        verdict=verdict.name,
        champion=standing.champion,
        request=judging.request,
        test=None if judging.earlier else _digest_cases(cases),
        look=look,
        alpha=alpha,
    )
    record_judged(judgement, at=loop.now(), ledger=loop.open_ledger(), registry=registry)
    return _as_judged(case_file)


def _find_standing(
    loop: Loop, known: Entry, judging: Judging, cases: Mapping[str, pl.DataFrame], champion: str | None
) -> CaseFile | None:
    """Return the case file of a judging that says what this one would: the same champion, test, request and gates."""
    if (known.body["champion"], known.body["request"]) != (champion, judging.request):
        return None
    found = CaseFile.open(loop.folder.case_files / known.body["case_file"])
    is_same = _name_cases({task: found.answers(task) for task in found.about.tasks}) == _name_cases(cases)
    return found if is_same and found.read_text("gates.yaml") == describe_policy(loop.settings.gates) else None


def _as_judged(case_file: CaseFile) -> Judged:
    """Return what a case file says of a judging."""
    cards = {task: case_file.scorecards(task)["challenger"] for task in case_file.about.tasks}
    gates = [replace(gate, name=f"{task}.{gate.name}") for task, of_task in case_file.gates.items() for gate in of_task]
    metrics = {
        f"{task}_{name}": value for task, card in cards.items() if card for name, value in card.metrics().items()
    }
    return Judged(case_file.about.verdict, case_file, metrics, tuple(gates))


@dataclass(frozen=True)
class _Test:
    """The sealed test as all models answered it: an answers frame by task, with ``text_digest``.

    ``readings`` hold, by task and model, whether each case would have gone to a person; empty for a stored test.
    """

    frames: Mapping[str, pl.DataFrame]
    readings: Mapping[str, Mapping[str, Reading]] = field(default_factory=dict)

    def kept(self, policy: Policy) -> dict[str, KeptAnswers]:
        """Return, by task that ``policy`` promises something of, what it keeps of the challenger's answers."""
        return count_kept(policy, self.frames, self.readings)


def _test_cases(loop: Loop, release: Release) -> dict[str, pl.DataFrame]:
    return {task: settled_labels(loop, task, lot="audit", part="test") for task in release.tasks}


def _name_cases(cases: Mapping[str, pl.DataFrame]) -> dict[str, list[tuple]]:
    """Return the test's interactions by task, each with the slices that it is of."""
    return {task: frame.select("interaction_id", *DIMENSIONS).rows() for task, frame in cases.items() if frame.height}


def _digest_cases(cases: Mapping[str, pl.DataFrame]) -> str | None:
    """Return the digest of the test's interactions by task; None where it has none, and nothing is opened."""
    names = {task: frame["interaction_id"].to_list() for task, frame in cases.items() if frame.height}
    return digest(names) if names else None


def _open_test(loop: Loop, panel: Panel, cases: Mapping[str, pl.DataFrame]) -> _Test:
    """Return what every model said of the cases."""
    key, frames, readings = loop.folder.key(), {}, {}
    for task, frame in cases.items():
        texts = frame["text"].to_list()
        mine = {who: one.take(texts) for who, one in panel.interviews.items() if task in one.models}
        scores = [mine[who].scores[task] if who in mine else None for who in MODELS]
        assert scores[0] is not None  # noqa: S101  (the tasks are the challenger's)
        digests = pl.Series("text_digest", [digest_text(key, text) for text in texts], dtype=pl.String)
        frames[task], readings[task] = pair_answers(frame, scores[0], *scores[1:]).with_columns(digests), mine
    return _Test(frames, readings)


def _stored_test(case_file: CaseFile) -> _Test:
    case_file.verify()
    return _Test({task: case_file.answers(task) for task in case_file.about.tasks})


def _count_changed(frames: Iterable[pl.DataFrame]) -> int:
    """Return how many tasks have another model than the champion's: they share the chance of an error."""
    return max(1, sum(has_model(frame, "champion") and not read_answers(frame).is_same() for frame in frames))


def _judge_tasks(
    loop: Loop,
    judging: Judging,
    test: _Test,
    measured: Measured,
    searched: Sequence[PersonalData],
    *,
    alpha: float,
    entries: Sequence[Entry],
) -> Verdict:
    policy, verdicts = loop.settings.gates, {}
    kept = read_kept(judging.earlier) if judging.earlier else test.kept(judging.release.about.handoff)
    for task, frame in test.frames.items():
        sampled = judging.sampled.get(task)
        evidence = Evidence(
            task=task,
            alpha=alpha,
            request=judging.request,
            disagreements=sampled.sample if sampled else None,
            seconds_per_text=measured.seconds_per_text,
            behaviour=measured.behaviour.get(task, {}),
            personal_data=searched,
            kept=kept.get(task),
            parity=judging.version.tags.get(PARITY_TAG) == PASSED,
            new_labels=measured.new_labels.get(task, frozenset()),
            waivers=read_waivers(entries, judging.version.version, task),
        )
        verdicts[task] = judge(frame, evidence, policy, rng=np.random.default_rng(_CHANCE))
    return join_verdicts(verdicts)


def describe_gates(gates: Iterable[GateResult]) -> str:
    """Return the gates as a Markdown table, each with what was measured, what was needed and what would help."""
    rows = [[_full_name(gate), gate.verdict, gate.measured, gate.needed, gate.remedy] for gate in gates]
    head = "| gate | verdict | measured | needed | what would help |\n|---|---|---|---|---|\n"
    return head + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _full_name(gate: GateResult) -> str:
    return gate.name if gate.slice is None else f"{gate.name} ({' '.join(gate.slice)})"
