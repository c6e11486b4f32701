import numpy as np
import pytest

from labeling.errors import TrainingError
from serving.handoff.cases import Answers
from serving.handoff.config import SentimentSettings
from serving.handoff.fitting import Outcomes, find_wrong, fit_handoff
from serving.handoff.policy import HandoffPolicy
from serving.handoff.signals import SIGNALS, WISHED
from tests.serving.handoff.parts import answers_of, cases_of, draw
from tests.serving.policies import config

MOOD = SentimentSettings(task="mood", ratings={"mood": 0.0}, turns=5, false_alarm_rate=0.05)


def fit(cases, outcomes, seed=1, **changes):
    return fit_handoff(cases, outcomes, config(**changes), rng=np.random.default_rng(seed))


def test_every_setting_of_the_promise_changes_the_fit():
    cases, outcomes = draw(np.random.default_rng(3), 900)
    base = fit(cases, outcomes).promise
    assert base.threshold is not None
    assert base.cases == 720
    assert base.error_bound <= 0.2
    assert fit(cases, outcomes, promised_error_share=0.15).promise.kept < base.kept
    assert fit(cases, outcomes, confidence=0.999).promise.kept < base.kept
    assert fit(cases, outcomes, min_cases=721).promise.threshold is None
    assert fit(cases, outcomes, shape_share=0.5).promise.cases == 450


def test_without_cases_nothing_is_kept():
    cases, outcomes = draw(np.random.default_rng(3), 0)
    policy = fit(cases, outcomes)
    assert (policy.promise.threshold, policy.promise.kept) == (None, 0)
    [decision] = policy.decide(cases_of(answers_of([0.99])))
    assert (decision.handoff, decision.reason) == (True, "no_guarantee")


def test_with_few_cases_the_risk_is_what_the_confidence_leaves():
    cases, outcomes = draw(np.random.default_rng(3), 240)
    policy = fit(cases, outcomes)
    assert (policy.risk.cases, policy.promise.cases) == (0, 240)
    np.testing.assert_allclose(policy.scores(cases), 1 - cases.answers["intent"].confidences, atol=1e-6)


def test_a_signal_that_tells_wrong_answers_counts_and_none_ever_counts_against():
    rng = np.random.default_rng(5)
    wishes = rng.random(1500) < 0.3
    confidences = np.full(1500, 0.8)
    wrong = rng.random(1500) < np.where(wishes, 0.6, 0.05)
    cases = cases_of(answers_of(confidences), wishes=wishes, repetition=1.0 - wishes)
    policy = fit(
        cases, Outcomes({"intent": np.where(wrong, "fraud", "refund").tolist()}, np.zeros(1500, bool)), always=()
    )
    weights = dict(zip(SIGNALS, policy.risk.weights, strict=True))
    assert weights[WISHED] > 1
    assert min(weights.values()) >= 0
    keeps = policy.keeps(cases)
    assert not keeps[wishes].any()
    assert keeps[~wishes].all()


def test_costs_choose_among_the_thresholds_that_keep_the_promise():
    cases, outcomes = draw(np.random.default_rng(3), 2000)
    laxest = fit(cases, outcomes, promised_error_share=0.3).promise
    kept = {}
    for ratio in (1.2, 5, 20):
        chosen = fit(cases, outcomes, promised_error_share=0.3, costs={"wrong_kept": ratio, "handoff": 1}).promise
        assert chosen.laxest == laxest.threshold
        assert chosen.threshold <= laxest.threshold
        kept[ratio] = chosen.kept
    assert kept[1.2] > kept[5] > kept[20] > 0


def test_a_dear_label_is_kept_at_a_smaller_risk():
    rng = np.random.default_rng(3)
    confidences = rng.uniform(0.3, 1.0, 3000)
    labels = ["fraud" if one else "refund" for one in rng.random(3000) < 0.4]
    right = rng.random(3000) < confidences
    truth = [label if one else "delivery" for label, one in zip(labels, right, strict=True)]
    cases = cases_of(answers_of(confidences, labels))
    costs = {"wrong_kept": 2, "handoff": 1, "by_label": {"fraud": {"wrong_kept": 20}}}
    policy = fit(cases, Outcomes({"intent": truth}, np.zeros(3000, bool)), promised_error_share=0.4, costs=costs)
    dear, cheap = (policy.decide(cases_of(answers_of([0.8], [label])))[0] for label in ("fraud", "refund"))
    assert (dear.handoff, cheap.handoff) == (True, False)
    assert dear.threshold == pytest.approx(1 / 20, abs=0.03)
    assert cheap.threshold == pytest.approx(1 / 2, abs=0.1)


def test_groups_share_the_chance_of_error_and_small_ones_take_the_threshold_of_all():
    rng = np.random.default_rng(8)
    channel = np.array(["chat", "email", "voice"])[rng.choice(3, 1500, p=[0.5, 0.4, 0.1])]
    cases, outcomes = draw(rng, 1500, groups={"channel": channel.tolist()})
    policy = fit(cases, outcomes, group_by="channel", min_group_cases=300)
    assert {name: found.own for name, found in policy.groups.items()} == {"chat": True, "email": True, "voice": False}
    assert policy.promise.confidence == pytest.approx(1 - 0.1 / 3)
    assert policy.groups["voice"].threshold == policy.promise.threshold
    assert policy.groups["voice"].laxest is None
    assert not any(
        found.own for found in fit(cases, outcomes, group_by="channel", min_group_cases=2000).groups.values()
    )
    odd = cases_of(answers_of([0.9, 0.9]), groups={"channel": ["chat", "fax"]})
    one, other = policy.decide(odd)
    assert one.threshold != other.threshold
    assert other.threshold == pytest.approx(fit_limit(policy))


def fit_limit(policy: HandoffPolicy) -> float:
    """Return the largest risk that the threshold of all keeps."""
    return policy.decide(cases_of(answers_of([0.9])))[0].threshold


def test_a_needed_person_counts_where_that_is_asked_for():
    cases, outcomes = draw(np.random.default_rng(2), 40)
    needed = np.arange(40) < 10
    told = Outcomes(outcomes.truth, needed)
    plain, more = (find_wrong(cases, told, ["intent"], count_needed=count) for count in (False, True))
    assert (more == plain | needed).all()
    assert more.sum() > plain.sum()
    strict, lax = (fit(*draw_needed(), count_needed=count).promise.kept for count in (True, False))
    assert strict < lax


def draw_needed():
    rng = np.random.default_rng(9)
    cases, outcomes = draw(rng, 800)
    return cases, Outcomes(outcomes.truth, rng.random(800) < 0.1)


def test_two_tasks_must_both_be_right():
    rng = np.random.default_rng(6)
    intent, outcomes = draw(rng, 800)
    mood = answers_of(rng.uniform(0.9, 1.0, 800))
    both = cases_of(intent.answers["intent"], mood=mood)
    truth = Outcomes(dict(outcomes.truth) | {"mood": ["refund"] * 800}, outcomes.needed)
    policy = fit(both, truth, tasks=("intent", "mood"))
    doubted = Answers(["refund"], np.array([0.3]), answers_of([0.3]).scores)
    [decision] = policy.decide(cases_of(answers_of([0.999]), mood=doubted))
    assert decision.reason == "low_confidence:mood"
    assert not policy.decide(cases_of(answers_of([0.999]), mood=answers_of([0.99])))[0].handoff


def test_a_missing_task_is_told():
    cases, outcomes = draw(np.random.default_rng(0), 50)
    with pytest.raises(TrainingError, match="answers for mood, found intent"):
        fit(cases, outcomes, tasks=("intent", "mood"))
    with pytest.raises(TrainingError, match="found none"):
        fit(cases, Outcomes({}, outcomes.needed))


def test_the_alarm_and_the_edge_of_scope_keep_to_their_rates_on_new_messages():
    rng = np.random.default_rng(7)

    def some(count):
        moods = [tuple(rng.uniform(-0.5, 1, rng.integers(1, 6))) for _ in range(count)]
        return cases_of(answers_of(rng.uniform(0.8, 1, count), novelty=rng.normal(size=count)), moods=moods)

    cases, truth = some(4000), ["refund"] * 4000
    policy = fit(cases, Outcomes({"intent": truth}, np.zeros(4000, bool)), sentiment=MOOD, out_of_scope_rate=0.1)
    new = some(4000)
    assert policy.alarms(new).mean() == pytest.approx(0.05, abs=0.025)
    assert policy.out_of_scope(new).mean() == pytest.approx(0.1, abs=0.035)
    upset = cases_of(answers_of([0.999]), moods=[(1.0, 0.9, -1.0)])
    assert policy.decide(upset)[0].reason == "sentiment_alarm"
    assert (
        not fit(cases, Outcomes({"intent": truth}, np.zeros(4000, bool)), sentiment=MOOD, always=())
        .decide(upset)[0]
        .handoff
    )


def test_the_same_cases_and_chance_make_the_same_policy_and_it_survives_json():
    cases, outcomes = draw(np.random.default_rng(2), 700)
    policy = fit(cases, outcomes, costs={"wrong_kept": 3, "handoff": 1})
    assert policy == fit(cases, outcomes, costs={"wrong_kept": 3, "handoff": 1})
    assert HandoffPolicy.model_validate_json(policy.model_dump_json()) == policy
