import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.vocabulary import NONE_OF_THESE
from serving.handoff.policy import HandoffPolicy
from serving.handoff.risk import Level, RiskModel
from serving.handoff.signals import SIGNALS
from tests.serving.handoff.parts import answers_of, cases_of
from tests.serving.policies import policy_of, promise


def weighted(**weights) -> HandoffPolicy:
    """Return a policy that hands off above a risk of 0.3 by the weights of these signals."""
    weighs = tuple(weights.get(name, 0.0) for name in SIGNALS)
    risk = RiskModel(weights=weighs, bias=0.0, usual=(-3.0, *(0.0,) * (len(SIGNALS) - 1)), cases=100)
    return policy_of("intent").model_copy(update={"risk": risk, "promise": promise(0.3), "level": Level(slope=0.9)})


def test_rules_come_first_and_in_their_order():
    policy = policy_of("intent", confidence=0.5, high_risk_labels=("fraud",))
    labels = ["refund", "refund", "fraud", NONE_OF_THESE, "refund", "refund"]
    said = answers_of([0.5, 1.0, 1.0, 1.0, 0.49, 1.0], labels)
    cases = cases_of(said, texts=["a", " \n", "b", "c", "d", "e"], wishes=[0, 0, 0, 0, 0, 1])
    decided = policy.decide(cases)
    assert [decision.reason for decision in decided] == [
        *("", "empty_text", "high_risk:intent", "none_of_these:intent", "low_confidence:intent", "wish_for_person"),
    ]
    assert [decision.handoff for decision in decided] == [bool(decision.reason) for decision in decided]
    assert policy.keeps(cases).tolist() == [not decision.handoff for decision in decided]
    assert not policy_of("intent", always=()).decide(cases_of(answers_of([1.0]), wishes=[1]))[0].handoff


def test_each_decision_lists_the_signals_that_made_it_strongest_first():
    policy = weighted(low_confidence=1.0, falling_sentiment=2.0, repeated_question=0.5)
    sad = cases_of(answers_of([0.9]), moods=[(1.0, -1.0)], repetition=[0.3])
    [decision] = policy.decide(sad)
    assert [reason.signal for reason in decision.reasons] == ["falling_sentiment", "low_confidence"]
    assert [reason.code for reason in decision.reasons] == ["falling_sentiment", "low_confidence:intent"]
    assert decision.reasons[0].value > decision.reasons[1].value >= 0.1
    assert all(reason.why.endswith(".") for reason in decision.reasons)
    assert policy.decide(cases_of(answers_of([0.9])))[0].reasons == ()


@given(
    confidences=st.tuples(st.floats(0.26, 0.999), st.floats(0.26, 0.999)),
    novelties=st.tuples(st.floats(-3, 6), st.floats(-3, 6)),
    moods=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    repetitions=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
@settings(max_examples=60, deadline=None)
def test_no_signal_that_grows_ever_lowers_the_risk(confidences, novelties, moods, repetitions):
    weights = {"low_confidence": 0.8, "ambiguous": 0.5, "out_of_scope": 0.4, "negative_sentiment": 0.7}
    policy = weighted(**weights, repeated_question=0.6)
    calm, worse = (
        cases_of(
            answers_of([sorted(confidences, reverse=True)[place]], novelty=[sorted(novelties)[place]]),
            moods=[(sorted(moods, reverse=True)[place],)],
            repetition=[sorted(repetitions)[place]],
            wishes=[place],
        )
        for place in (0, 1)
    )
    [one], [other] = policy.decide(calm), policy.decide(worse)
    assert other.risk >= one.risk - 1e-7
    assert other.handoff >= one.handoff


def test_the_risk_told_and_its_threshold_agree_with_the_decision():
    policy = weighted(low_confidence=1.0)
    cases = cases_of(answers_of(np.linspace(0.3, 0.99, 60)))
    for decision in policy.decide(cases):
        assert decision.handoff == (decision.risk > decision.threshold)
        assert decision.propensity == 1.0
    assert policy.risks(cases).tolist() == [decision.risk for decision in policy.decide(cases)]


def test_near_the_threshold_chance_decides_now_and_then_and_its_probability_is_told():
    policy = policy_of("intent", confidence=0.5, band={"width": 0.2, "flip": 0.25})
    cases = cases_of(answers_of([0.9, 0.45, 0.55, 0.3]))
    rng = np.random.default_rng(1)
    decided = [policy.decide(cases, rng) for _ in range(800)]
    shares = np.mean([[decision.handoff for decision in row] for row in decided], axis=0)
    np.testing.assert_allclose(shares, [0, 0.75, 0.25, 1], atol=0.06)
    for row in decided:
        assert [row[0].propensity, row[3].propensity] == [1, 1]
        assert row[1].propensity == (0.75 if row[1].handoff else 0.25)
        assert row[2].propensity == (0.25 if row[2].handoff else 0.75)
    assert {row[2].reason for row in decided} == {"", "chance"}
    assert [decision.handoff for decision in policy.decide(cases)] == [False, True, False, True]


@pytest.mark.parametrize(("threshold", "told"), [(None, "at every message"), (0.1, "chance above 10%")])
def test_it_tells_when_it_steps_aside(threshold, told):
    policy = policy_of("intent").model_copy(update={"promise": promise(threshold)})
    assert told in policy.tell()
    assert policy.figures()["kept"] == "50"
