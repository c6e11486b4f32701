import numpy as np
import pytest

from labeling.config import parse_config
from labeling.errors import ConfigError
from tests.training.judging.frames import POLICY, counted, frame, gate, judged, protect, right
from training.judging.disagreements import DisagreementSample
from training.judging.gates import GatePolicy, GateResult, Hold, Inconclusive, Promote, conclude, join_verdicts

LABELS = [f"label_{number:02d}" for number in range(25)]


def share_promoted(*, cases, lost, won, runs=60):
    """Return how often a challenger of an 80% champion is promoted that loses and wins at these rates."""
    rng = np.random.default_rng(0)
    verdicts = []
    for _ in range(runs):
        truth = rng.choice(LABELS, size=cases).tolist()
        was = rng.random(cases) < 0.8
        draw = rng.random(cases)
        now = np.where(was, draw >= lost / 0.8, draw < won / 0.2)
        segments = rng.choice(["new", "old"], size=cases).tolist()
        verdicts.append(judged(frame(truth, now, was, segment=segments)).name)
    return verdicts.count("promote") / runs


def test_in_a_small_home_a_clear_gain_is_promoted_and_an_equal_model_is_not():
    assert share_promoted(cases=270, lost=0.02, won=0.1) >= 0.9
    assert share_promoted(cases=270, lost=0.05, won=0.05) <= 0.05


def test_few_cases_decide_nothing():
    verdict = judged(counted(POLICY.min_cases - 1, wins=30, both_wrong=9))
    assert isinstance(verdict, Inconclusive)
    assert gate(verdict, "enough_cases").lacking == 1
    assert gate(verdict, "enough_cases").remedy == "review 1 audit cases more, or lower min_cases in gates.yaml"


def test_better_is_shown_at_half_of_the_looks_level():
    answers = counted(300, wins=8, losses=1)  # p 0.0195
    assert isinstance(judged(answers, alpha=0.04), Promote)
    undecided = judged(answers, alpha=0.038)
    assert isinstance(undecided, Inconclusive)
    assert "9 wins beside as many losses would show it" in gate(undecided, "better").remedy


def test_the_other_half_is_for_the_disagreements():
    answers = counted(300, wins=3, losses=2)
    sample = DisagreementSample(5000, 200, 100, challenger=60, champion=30, both=4, neither=2)
    assert judged(answers).name == "inconclusive"
    verdict = judged(answers, disagreements=sample)
    assert isinstance(verdict, Promote)
    assert "96 of 100 disagreements answered (4% without)" in gate(verdict, "better").measured


def test_a_sample_that_is_not_answered_yet_decides_nothing():
    sample = DisagreementSample(5000, 200, 130, challenger=60, champion=30)
    verdict = judged(counted(300, wins=3, losses=2), disagreements=sample)
    assert isinstance(verdict, Inconclusive)
    assert gate(verdict, "better").remedy == "have people answer the other 40 disagreements of the sample"
    policy = POLICY.model_copy(update={"max_unanswered_share": 0.4})
    assert isinstance(judged(counted(300, wins=3, losses=2), policy, disagreements=sample), Promote)


def test_a_loss_is_held_whether_the_test_or_the_disagreements_show_it():
    assert isinstance(judged(counted(300, wins=2, losses=14)), Hold)
    sample = DisagreementSample(5000, 200, 100, challenger=20, champion=60, neither=20)
    assert isinstance(judged(counted(300, wins=3, losses=2), disagreements=sample), Hold)


def test_a_refresh_must_be_shown_no_worse():
    few, many = counted(400, wins=3, losses=3), counted(4000, wins=30, losses=30)
    assert isinstance(judged(many, request="refresh"), Promote)
    assert [one.name for one in judged(many, request="refresh").gates][:2] == ["enough_cases", "not_worse"]
    undecided = judged(few, request="refresh")
    assert isinstance(undecided, Inconclusive)
    assert gate(undecided, "not_worse").lacking > 100
    sample = DisagreementSample(9000, 100, 100, challenger=45, champion=45, neither=10)
    assert isinstance(judged(few, request="refresh", disagreements=sample), Promote)
    assert isinstance(judged(few, POLICY.model_copy(update={"margin": 0.05}), request="refresh"), Promote)


def test_the_same_model_is_no_worse_than_itself_however_few_the_cases():
    assert isinstance(judged(counted(60), request="refresh"), Promote)


def test_a_challenger_must_also_hold_against_the_reference():
    champion, challenger = right(600, losses=5, wins=40)
    labels = ["a", "b", "c"] * 200
    reference = challenger.copy()
    reference[:4] = True
    assert isinstance(judged(frame(labels, challenger, champion, reference)), Promote)
    lost = challenger.copy()
    lost[100:120] = False
    worse = judged(frame(labels, lost, lost & champion, reference))
    assert gate(worse, "not_worse_than_reference").verdict == "failed"


def test_small_losses_do_not_add_up_unseen_where_the_reference_cannot_tell():
    champion, challenger = right(200, losses=0, wins=20)
    reference = np.ones(200, dtype=bool)
    reference[-5:] = False
    challenger[:4] = False
    verdict = judged(frame(["a", "b"] * 100, challenger, champion & challenger, reference))
    assert gate(verdict, "not_worse_than_reference").verdict in ("undecided", "passed")
    wider = judged(frame(["a", "b"] * 100, challenger, champion & challenger, np.ones(200, dtype=bool)))
    assert gate(wider, "not_worse_than_reference").verdict == "undecided"
    assert gate(wider, "not_worse_than_reference").lacking > 0


def test_a_first_champion_must_beat_the_commonest_answer():
    truth = ["a"] * 60 + ["b"] * 40
    assert isinstance(judged(frame(truth, np.ones(100, dtype=bool))), Promote)
    assert isinstance(judged(frame(truth, np.arange(100) < 60)), Hold)
    assert isinstance(judged(frame(truth, np.arange(100) < 62)), Inconclusive)
    assert gate(judged(frame(truth, np.arange(100) < 62)), "beats_commonest").lacking == 100


def test_a_label_new_since_the_champion_is_judged_by_itself():
    champion, challenger = right(300, losses=2, wins=14)
    truth = ["new"] * 20 + ["old", "other"] * 150
    now, was = np.r_[np.ones(20, dtype=bool), challenger], np.r_[np.zeros(20, dtype=bool), champion]
    beside = judged(frame(truth, now, was))
    verdict = judged(frame(truth, now, was), new_labels=frozenset({"new"}))
    assert "of 320" in gate(beside, "better").measured
    assert "2 losses, 14 wins of 300" in gate(verdict, "better").measured
    assert gate(verdict, "floor_recall").verdict == "passed"
    assert isinstance(verdict, Promote)
    now[:17] = False
    assert gate(judged(frame(truth, now, was), new_labels=frozenset({"new"})), "floor_recall").verdict == "failed"
    strict = protect(("label", "new", "intent")).model_copy(update={"floor_recall": 0.9})
    found = gate(
        judged(frame(truth, np.r_[np.ones(20, dtype=bool), challenger], was), strict, new_labels={"new"}),
        "floor_recall",
    )
    assert found.verdict == "undecided"
    assert found.lacking > 0


def test_of_a_new_label_it_is_enough_to_be_seen_right_unless_it_is_protected():
    champion, challenger = right(300, losses=2, wins=14)
    truth = ["new"] * 5 + ["old", "other"] * 150
    was = np.r_[np.zeros(5, dtype=bool), champion]
    seen = frame(truth, np.r_[np.arange(5) < 3, challenger], was)
    unseen = frame(truth, np.r_[np.arange(5) < 2, challenger], was)
    new = frozenset({"new"})
    assert isinstance(judged(seen, new_labels=new), Promote)
    assert isinstance(judged(unseen, new_labels=new), Inconclusive)
    assert isinstance(judged(seen, protect(("label", "new", "intent")), new_labels=new), Inconclusive)


def test_a_new_label_without_a_case_leaves_the_verdict_open_unless_it_is_waived():
    answers = counted(300, wins=14, losses=2)
    verdict = judged(answers, new_labels=frozenset({"unseen"}))
    assert isinstance(verdict, Inconclusive)
    assert gate(verdict, "floor_recall").slice == ("label", "unseen")
    waived = judged(answers, new_labels=frozenset({"unseen"}), waivers={("label", "unseen"): "ada"})
    assert isinstance(waived, Promote)
    assert "waived by ada" in gate(waived, "floor_recall").measured


def test_a_release_is_as_good_as_its_worst_task_and_one_better_task_is_enough():
    better, same, worse = counted(300, wins=14, losses=2), counted(300, wins=3, losses=3), counted(300, losses=12)
    joined = join_verdicts({"one": judged(better), "two": judged(same)})
    assert isinstance(joined, Promote)
    assert gate(joined, "two.better").needed == "better in one task of the release: it is in one"
    assert isinstance(join_verdicts({"one": judged(same), "two": judged(same)}), Inconclusive)
    assert isinstance(join_verdicts({"one": judged(better), "two": judged(worse)}), Hold)
    assert isinstance(join_verdicts({"one": judged(better), "two": judged(counted(20))}), Inconclusive)
    assert isinstance(join_verdicts({}), Inconclusive)


def test_a_loss_seen_in_another_task_leaves_the_release_open():
    seen = judged(counted(300, wins=2, losses=7))
    assert gate(seen, "not_worse").verdict == "undecided"
    assert isinstance(join_verdicts({"one": judged(counted(300, wins=14, losses=2)), "two": seen}), Inconclusive)


@pytest.mark.parametrize("verdict", ["passed", "waived"])
def test_what_is_waived_counts_as_passed(verdict):
    assert isinstance(conclude([GateResult("any", verdict, "", "")]), Promote)


def test_an_old_file_is_told_what_to_do():
    old = {
        "schema_version": 1,
        "min_cases": 50,
        "alpha": 0.05,
        "margin": 0.05,
        "max_recall_drop": 0.4,
        "min_support": 8,
    }
    with pytest.raises(ConfigError) as caught:
        parse_config(old, GatePolicy, name="gates.yaml")
    said = str(caught.value)
    assert "gates.yaml: schema_version: version 2 is needed, found 1: the gates are others now, so replace" in said
    assert "gates.yaml: max_recall_drop" in said
