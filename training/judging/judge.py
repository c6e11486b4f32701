"""Gates: may this challenger replace the champion? Answered on the same cases, with what the cases can show.

docs/judging.md says what each gate asks and why.
"""

import numpy as np
import polars as pl

from labeling.vocabulary import NONE_OF_THESE
from training.judging.answers import Paired, has_model, read_answers
from training.judging.evidence import Evidence
from training.judging.gates import GatePolicy, GateResult, Verdict, conclude
from training.judging.guards import (
    judge_behaviour,
    judge_calibration,
    judge_fairness,
    judge_latency,
    judge_out_of_scope,
    judge_parity,
    judge_personal_data,
    judge_promise,
)
from training.judging.overall import judge_better, judge_first, judge_not_worse, judge_reference, judge_size
from training.judging.slices import count_slices, judge_floors, judge_protected, judge_slices


def judge(answers: pl.DataFrame, evidence: Evidence, policy: GatePolicy, *, rng: np.random.Generator) -> Verdict:
    """Judge a challenger on cases of one task that no model trained on.

    Beside a champion, cases of labels that are new since the champion are left out, and those labels are judged by
    themselves. A first champion must be shown better than always giving the commonest answer. Fewer cases than
    ``policy.min_cases`` decide nothing: the gates that need none are all that is said beside.

    Args:
        answers: an answers frame (``pair_answers``).
        evidence: what else is known.
        policy: where the lines are.
        rng: the only source of chance.
    """
    has_champion = has_model(answers, "champion")
    everything = known = read_answers(answers)
    if has_champion and evidence.new_labels:
        known = read_answers(answers.filter(~pl.col("truth").is_in(list(evidence.new_labels))))
    gates = [judge_size(known.cases, policy)]
    if gates[0].verdict == "passed":
        gates += _beside(known, evidence, policy, rng) if has_champion else _alone(everything, evidence, policy)
    if has_champion:
        new = [("label", label) for label in sorted(evidence.new_labels)]
        gates += judge_floors(everything, new, evidence, policy)
    gates += [
        *judge_promise(evidence, policy),
        *judge_latency(evidence, policy),
        *judge_behaviour(evidence, policy),
    ]
    return conclude([*gates, judge_personal_data(evidence), judge_parity(evidence)])


def _beside(answers: Paired, evidence: Evidence, policy: GatePolicy, rng: np.random.Generator) -> list[GateResult]:
    table = count_slices(answers)
    outside = (answers.frame["truth"] == NONE_OF_THESE).to_numpy()
    return [
        *([judge_better(answers, evidence, policy)] if evidence.request == "improve" else []),
        judge_not_worse(answers, evidence, policy),
        *([judge_reference(answers, evidence, policy)] if "reference" in answers.right else []),
        *judge_slices(table, policy),
        *judge_protected(table, evidence, policy),
        *judge_calibration(answers, policy, rng),
        *judge_out_of_scope(answers, outside, policy),
        *judge_fairness(table, evidence, policy),
    ]


def _alone(answers: Paired, evidence: Evidence, policy: GatePolicy) -> list[GateResult]:
    protected = policy.protected_in(evidence.task)
    return [judge_first(answers, evidence), *judge_floors(answers, protected, evidence, policy)]
