import numpy as np
import polars as pl
import pytest

from tests.training.judging.frames import POLICY, counted, frame, gate, judged, right
from training.judging.evidence import FailureCount, KeptAnswers
from training.judging.gates import Hold, Inconclusive, Promote
from training.judging.personal_data import PersonalData

GAIN = counted(300, wins=14, losses=2)
FOUND = [PersonalData(f"answers/{task}.json", "EMAIL", 2) for task in ("a", "b", "c", "d", "e")]


def names(verdict):
    return {one.name for one in verdict.gates}


def test_what_was_not_measured_leaves_no_gate_but_two_must_be_known():
    found = judged(GAIN)
    assert not names(found) & {"latency", "behaviour", "out_of_scope", "fairness"}
    assert isinstance(found, Promote)
    assert isinstance(judged(GAIN, parity=None), Inconclusive)
    assert isinstance(judged(GAIN, personal_data=None), Inconclusive)


def test_confidence_that_means_less_is_held():
    sure = GAIN.with_columns(
        challenger_truth_chance=pl.when(pl.col("challenger") == pl.col("truth")).then(0.6).otherwise(0.001)
    )
    verdict = judged(sure)
    assert isinstance(verdict, Hold)
    assert gate(verdict, "calibration").verdict == "failed"
    assert gate(verdict, "calibration").measured.startswith("loss +0.")
    brier = judged(GAIN.with_columns(challenger_brier=pl.col("challenger_brier") + 0.2))
    assert gate(brier, "calibration").verdict == "failed"
    unknown = judged(GAIN.with_columns(challenger_truth_chance=pl.lit(None, pl.Float64)))
    assert "calibration" not in names(unknown)


def outside(*, now, was, count=40):
    """Return a gain with so many out-of-scope cases, which each model's novelty lifts by so much."""
    champion, challenger = right(300, losses=2, wins=14)
    truth = ["a", "b", "c"] * 100 + ["none_of_these"] * count
    none = np.zeros(count, dtype=bool)
    rng = np.random.default_rng(0)
    base = rng.normal(size=300 + count)
    is_outside = np.arange(300 + count) >= 300
    novelty = {
        f"{who}_novelty": (base + lift * is_outside).tolist() for who, lift in (("challenger", now), ("champion", was))
    }
    return frame(truth, np.r_[challenger, none], np.r_[champion, none], **novelty)


def test_telling_the_unknown_less_well_is_held():
    verdict = judged(outside(now=0.3, was=2.0))
    assert isinstance(verdict, Hold)
    assert gate(verdict, "out_of_scope").verdict == "failed"
    assert gate(judged(outside(now=2.0, was=2.0)), "out_of_scope").verdict == "passed"


def test_a_text_of_the_first_reader_counts_as_least_novel():
    answers = outside(now=2.0, was=2.0).with_columns(
        challenger_novelty=pl.when(pl.col("truth") != "none_of_these").then(pl.col("challenger_novelty"))
    )
    assert gate(judged(answers), "out_of_scope").verdict == "failed"


def test_how_many_out_of_scope_cases_are_needed_is_a_setting():
    few = outside(now=0.0, was=2.0, count=1)
    assert "1 out-of-scope cases tell nothing" in gate(judged(few), "out_of_scope").measured
    strict = judged(few, POLICY.model_copy(update={"min_out_of_scope": 20}))
    assert gate(strict, "out_of_scope").verdict == "undecided"
    assert gate(strict, "out_of_scope").lacking == 19


def test_a_segment_that_falls_further_behind_is_held():
    champion, challenger = right(600, losses=0, wins=40)
    segments = np.array(["many"] * 600)
    segments[480:] = "few"
    champion[480:520] = challenger[480:520] = False
    labels = [f"label_{row % 50}" for row in range(600)]
    unharmed = judged(frame(labels, challenger, champion, segment=segments.tolist()))
    assert gate(unharmed, "fairness").verdict == "undecided"
    assert gate(unharmed, "fairness").slice == ("segment", "few")
    waived = judged(frame(labels, challenger, champion, segment=segments.tolist()), waivers={("segment", "few"): "ada"})
    assert isinstance(waived, Promote)
    challenger[520:530] = False
    challenger[100:], champion[100:140] = challenger[100:], False
    challenger[100:140] = True
    verdict = judged(frame(labels, challenger, champion, segment=segments.tolist()))
    assert gate(verdict, "fairness").verdict == "failed"
    assert "few -8.3% of 120" in gate(verdict, "fairness").measured
    assert (
        gate(
            judged(
                frame(labels, challenger, champion, segment=segments.tolist()),
                POLICY.model_copy(update={"guard_alpha": 1e-50}),
            ),
            "fairness",
        ).verdict
        == "passed"
    )


def test_a_slow_model_is_held():
    assert gate(judged(GAIN, seconds_per_text=(0.002, 0.001)), "latency").verdict == "passed"
    assert gate(judged(GAIN, seconds_per_text=(0.004, 0.001)), "latency").verdict == "failed"
    assert gate(judged(GAIN, seconds_per_text=(0.3, 0.2)), "latency").verdict == "failed"
    lenient = POLICY.model_copy(update={"max_slowdown": 5.0, "max_seconds_per_text": 1.0})
    assert gate(judged(GAIN, lenient, seconds_per_text=(0.004, 0.001)), "latency").verdict == "passed"
    assert gate(judged(GAIN, lenient, seconds_per_text=(0.3, 0.2)), "latency").verdict == "passed"
    first = frame(["a"] * 60 + ["b"] * 40, np.ones(100, dtype=bool))
    assert gate(judged(first, seconds_per_text=(0.1, None)), "latency").verdict == "passed"


def test_behaviour_that_fails_more_often_is_held():
    kinds = {"typos": FailureCount(200, 18, 16), "casing": FailureCount(200, 40, 15)}
    verdict = judged(GAIN, behaviour=kinds)
    assert gate(verdict, "behaviour").verdict == "failed"
    assert "casing 40 of 200, the champion 15" in gate(verdict, "behaviour").measured
    assert gate(judged(GAIN, behaviour={"typos": (200, 18, 16)}), "behaviour").verdict == "passed"


def test_a_first_champion_may_not_fail_most_tests_of_behaviour():
    first = frame(["a"] * 60 + ["b"] * 40, np.ones(100, dtype=bool))
    assert gate(judged(first, behaviour={"typos": (100, 70, None)}), "behaviour").verdict == "failed"
    assert gate(judged(first, behaviour={"typos": (100, 55, None)}), "behaviour").verdict == "passed"
    lenient = POLICY.model_copy(update={"max_failure_share": 0.8})
    assert gate(judged(first, lenient, behaviour={"typos": (100, 70, None)}), "behaviour").verdict == "passed"


def test_personal_data_and_other_answers_after_reloading_are_held():
    assert isinstance(judged(GAIN, personal_data=FOUND[:1]), Hold)
    said = gate(judged(GAIN, personal_data=FOUND), "personal_data").measured
    assert said.startswith("10 findings: 2 EMAIL in answers/a.json; 2 EMAIL in answers/b.json; ")
    assert said.endswith("answers/d.json; and in 1 more")
    assert isinstance(judged(GAIN, parity=False), Hold)


def test_every_gate_that_did_not_pass_says_what_would_pass_it():
    bad = judged(counted(300, wins=0, losses=40), seconds_per_text=(9.0, 1.0), parity=False, personal_data=FOUND)
    open_ones = judged(counted(300, wins=3, losses=2), request="refresh", parity=None, personal_data=None)
    for one in (*bad.gates, *open_ones.gates):
        assert bool(one.remedy) == (one.verdict in ("failed", "undecided")), one


@pytest.mark.parametrize(("kept", "wrong", "said"), [(100, 30, "passed"), (100, 45, "failed"), (0, 0, "passed")])
def test_a_promise_that_is_shown_to_be_broken_is_held(kept, wrong, said):
    found = judged(GAIN, kept=KeptAnswers(cases=120, kept=kept, wrong=wrong, promised=0.25))
    promise = gate(found, "promise")
    assert promise.verdict == said
    assert f"{wrong} of {kept} kept answers wrong" in promise.measured
    assert isinstance(found, Hold) == (said == "failed")
    assert "promise" not in names(judged(GAIN))
