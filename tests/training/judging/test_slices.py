import numpy as np
import pytest
from pydantic import ValidationError

from labeling.taxonomy import Taxonomy
from tests.training.judging.frames import POLICY, counted, frame, gate, judged, protect, right
from training.judging.gates import Hold, Inconclusive, Promote, ProtectedSlice
from training.judging.slices import find_able


def collapsed(cases, lost, *, elsewhere=50):
    """Return a frame of a gain elsewhere, and of a label with so many cases that loses some."""
    champion, challenger = right(600, losses=4, wins=elsewhere)
    truth = ["rare"] * cases + [f"label_{row % 20}" for row in range(600)]
    was = np.r_[np.ones(cases, dtype=bool), champion]
    return frame(truth, np.r_[np.arange(cases) >= lost, challenger], was)


def test_a_collapsed_label_is_held_though_the_whole_gains():
    verdict = judged(collapsed(20, 12))
    assert isinstance(verdict, Hold)
    found = gate(verdict, "slice_harmed")
    assert found.slice == ("label", "rare")
    assert found.measured == "12 losses, 0 wins of 20 (-60%, p 0.00024)"
    assert gate(verdict, "better").verdict == "passed"


@pytest.mark.parametrize("dimension", ["language", "channel", "segment"])
def test_harm_is_found_in_every_dimension_and_cases_without_a_value_are_in_none(dimension):
    values = ["small"] * 30 + [None] * 570
    champion, challenger = right(600, losses=15, wins=0)
    challenger[100:140], champion[100:140] = True, False
    labels = [f"label_{row % 40}" for row in range(600)]
    verdict = judged(frame(labels, challenger, champion, **{dimension: values}))
    assert gate(verdict, "slice_harmed").slice == (dimension, "small")


def test_a_slice_that_looks_harmed_and_is_not_confirmed_leaves_the_verdict_open():
    wide = collapsed(20, 7)
    extra = {"harm_alpha": 0.005}
    verdict = judged(wide, POLICY.model_copy(update=extra))
    assert isinstance(verdict, Inconclusive)
    found = gate(verdict, "slice_suspect")
    assert found.slice == ("label", "rare")
    assert found.lacking > 0
    assert "test cases more of label rare" in found.remedy
    assert isinstance(judged(wide, POLICY.model_copy(update=extra | {"suspect_alpha": 0.004})), Promote)
    assert isinstance(judged(wide, POLICY.model_copy(update={"harm_alpha": 0.2})), Hold)


def test_a_gate_without_harm_says_how_many_slices_could_have_shown_it():
    verdict = judged(collapsed(20, 2))
    assert gate(verdict, "no_slice_harmed").measured.startswith("21 slices, 0 with enough differences to show harm")


def test_only_slices_that_could_show_harm_share_the_level():
    assert find_able(np.array([5, 4, 0, 0, 0]), 0.05).tolist() == [0]
    assert find_able(np.array([6, 6, 1, 6]), 0.05).tolist() == [0, 1, 3]
    assert find_able(np.array([1, 2]), 0.05).tolist() == []
    assert find_able(np.array([], dtype=int), 0.05).tolist() == []


def test_a_protected_label_of_five_cases_is_inconclusive_and_says_what_it_lacks():
    verdict = judged(collapsed(5, 0), protect(("label", "rare", "intent")))
    assert isinstance(verdict, Inconclusive)
    found = gate(verdict, "protected_slice")
    assert (found.slice, found.cases, found.smallest_drop) == (("label", "rare"), 5, None)
    assert "5 cases of label rare show no fall at all" in found.measured
    assert found.power < 0.1
    enough = judged(collapsed(5 + found.lacking, 0), protect(("label", "rare", "intent")))
    assert isinstance(enough, Promote)
    assert gate(enough, "protected_slice").smallest_drop <= POLICY.protected_drop
    assert gate(enough, "protected_slice").power >= POLICY.protected_power


def test_a_reviewer_may_waive_a_protected_slice_by_name():
    waived = judged(collapsed(5, 0), protect(("label", "rare", "intent")), waivers={("label", "rare"): "ada"})
    assert isinstance(waived, Promote)
    assert gate(waived, "protected_slice").verdict == "waived"
    assert gate(waived, "protected_slice").measured.endswith("waived by ada")
    other = judged(collapsed(5, 0), protect(("label", "rare", "intent")), waivers={("label", "other"): "ada"})
    assert isinstance(other, Inconclusive)


def test_a_protected_slice_without_a_case_is_not_passed_over():
    verdict = judged(counted(300, wins=14, losses=2), protect(("segment", "vulnerable", None)))
    assert gate(verdict, "protected_slice").cases == 0
    assert isinstance(verdict, Inconclusive)


def test_a_label_is_protected_in_its_own_task_alone():
    policy = protect(("label", "rare", "intent"), ("language", "de", None))
    assert policy.protected_in("intent") == [("label", "rare"), ("language", "de")]
    assert policy.protected_in("sentiment") == [("language", "de")]
    with pytest.raises(ValidationError, match="a label needs its task"):
        ProtectedSlice(slice="label", value="rare")


def test_how_much_must_have_been_visible_is_a_setting():
    answers = collapsed(40, 0)
    policy = protect(("label", "rare", "intent"))
    assert isinstance(judged(answers, policy), Promote)
    assert isinstance(judged(answers, policy.model_copy(update={"protected_drop": 0.3})), Inconclusive)
    assert isinstance(judged(answers, policy.model_copy(update={"protected_power": 0.99})), Inconclusive)


def test_a_protected_slice_of_a_first_champion_must_be_right_often_enough():
    policy = protect(("label", "rare", "intent"))
    truth = ["rare"] * 5 + ["common"] * 60 + ["other"] * 50
    assert isinstance(judged(frame(truth, np.ones(115, dtype=bool)), policy), Inconclusive)
    truth = ["rare"] * 7 + ["common"] * 60 + ["other"] * 50
    assert isinstance(judged(frame(truth, np.ones(117, dtype=bool)), policy), Promote)


def test_protected_names_are_looked_up_in_the_taxonomy():
    raw = {"schema_version": 1, "version": 1, "tasks": [
        {"name": "intent", "question": "?", "labels": [{"name": "rare", "title": "Rare"}, {"name": "b", "title": "B"}]}
    ]}  # fmt: skip
    taxonomy = Taxonomy.model_validate(raw)
    policy = protect(("label", "rare", "intent"), ("label", "gone", "intent"), ("language", "de", "mood"))
    assert policy.find_faults(taxonomy) == [
        "protected: 'gone' is not a label of the task 'intent' of taxonomy.yaml",
        "protected: 'mood' is not a task of taxonomy.yaml",
    ]
