from pathlib import Path

import numpy as np
import pytest

from labeling.config import load_config, parse_config
from labeling.errors import ConfigError
from training.judging.gates import GatePolicy, Hold, Inconclusive, Promote, join_verdicts, judge, mcnemar

POLICY = load_config(Path(__file__).parents[3] / "configs" / "gates.yaml", GatePolicy)
LABELS = [f"label_{number:02d}" for number in range(25)]


def answers(truth, right):
    """Return the truth where ``right``, and another label elsewhere."""
    return [label if is_right else "wrong" for label, is_right in zip(truth, right, strict=True)]


def simulate(rng, *, cases, champion, lost, won):
    """Return truth and both models' answers: the challenger loses and wins at random at these rates."""
    truth = rng.choice(LABELS, size=cases).tolist()
    was = rng.random(cases) < champion
    draw = rng.random(cases)
    now = np.where(was, draw >= lost / champion, draw < won / (1 - champion))
    return truth, answers(truth, was), answers(truth, now)


def shares(*, runs=400, **model):
    rng = np.random.default_rng(0)
    verdicts = [judge(*simulate(rng, **model), POLICY).name for _ in range(runs)]
    return {name: verdicts.count(name) / runs for name in ("promote", "hold", "inconclusive")}


def test_an_equal_model_is_rarely_refused():
    assert shares(cases=200, champion=0.8, lost=0.05, won=0.05)["promote"] >= 0.93
    assert shares(cases=200, champion=0.8, lost=0.1, won=0.1)["promote"] >= 0.88


def test_a_better_model_is_promoted_and_a_clearly_worse_one_held():
    assert shares(cases=200, champion=0.75, lost=0.04, won=0.09)["promote"] >= 0.98
    assert shares(cases=200, champion=0.8, lost=0.15, won=0.04)["hold"] >= 0.9
    assert shares(cases=200, champion=0.8, lost=0.15, won=0.04)["promote"] <= 0.05


def test_few_cases_decide_nothing():
    assert shares(cases=POLICY.min_cases - 1, champion=0.8, lost=0.4, won=0.02)["inconclusive"] == 1.0
    verdict = judge(["a"] * 20, ["a"] * 20, ["a"] * 20, POLICY)
    assert isinstance(verdict, Inconclusive)
    assert verdict.gates[0].remedy == "review 30 audit cases more, or lower min_cases in gates.yaml"


def test_a_collapsed_label_is_held_though_the_whole_gains():
    truth = ["rare"] * 10 + ["frequent"] * 190
    was = [True] * 10 + [True] * 150 + [False] * 40
    now = [False] * 8 + [True] * 2 + [True] * 180 + [False] * 10
    verdict = judge(truth, answers(truth, was), answers(truth, now), POLICY)
    assert isinstance(verdict, Hold)
    failed = [gate for gate in verdict.gates if gate.verdict == "failed"]
    assert [gate.name for gate in failed] == ["no_label_collapses"]
    assert "rare lost 80% of 10 cases" in failed[0].measured


def test_a_loss_beyond_the_margin_that_may_be_chance_is_left_open():
    truth = ["a", "b"] * 30
    verdict = judge(truth, answers(truth, [True] * 60), answers(truth, [False] * 4 + [True] * 56), POLICY)
    assert isinstance(verdict, Inconclusive)
    assert [gate.verdict for gate in verdict.gates] == ["passed", "undecided", "passed"]


def test_a_first_champion_must_beat_the_commonest_answer():
    truth = ["a"] * 60 + ["b"] * 40
    assert isinstance(judge(truth, None, truth, POLICY), Promote)
    assert isinstance(judge(truth, None, ["a"] * 100, POLICY), Hold)
    assert isinstance(judge(truth, None, ["a"] * 98 + ["b"] * 2, POLICY), Inconclusive)
    assert isinstance(judge(truth[:49], None, truth[:49], POLICY), Inconclusive)


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        ({"min_cases": 101}, "promote", "inconclusive"),
        ({"alpha": 0.35}, "promote", "hold"),
        ({"margin": 0.01}, "promote", "inconclusive"),
        ({"max_recall_drop": 0.05, "alpha": 0.2}, "promote", "hold"),
    ],
)
def test_every_line_changes_a_verdict(change, before, after):
    truth = ["a"] * 90 + ["b"] * 10
    champion = answers(truth, [True] * 100)
    challenger = answers(truth, [True] * 97 + [False] * 3)
    champion[0] = "wrong"
    assert judge(truth, champion, challenger, POLICY).name == before
    assert judge(truth, champion, challenger, POLICY.model_copy(update=change)).name == after


def test_min_support_decides_which_labels_are_judged():
    truth = ["rare"] * 6 + ["frequent"] * 94
    champion = answers(truth, [True] * 6 + [False] * 20 + [True] * 74)
    challenger = answers(truth, [False] * 6 + [True] * 94)
    assert isinstance(judge(truth, champion, challenger, POLICY), Promote)
    assert isinstance(judge(truth, champion, challenger, POLICY.model_copy(update={"min_support": 6})), Hold)


def test_mcnemar_is_exact():
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 0) == pytest.approx(1 / 32)
    assert mcnemar(8, 2) == pytest.approx((1 + 10 + 45) / 1024)
    assert mcnemar(2, 8) > 0.9


def test_a_release_is_as_good_as_its_worst_task():
    truth = ["a", "b"] * 50
    good = judge(truth, truth, truth, POLICY)
    open_one = judge(truth[:10], truth[:10], truth[:10], POLICY)
    bad = judge(truth, truth, ["a"] * 100, POLICY)
    joined = join_verdicts({"one": good, "two": good})
    assert isinstance(joined, Promote)
    assert [gate.name for gate in joined.gates][:2] == ["one.enough_cases", "one.not_worse"]
    assert isinstance(join_verdicts({"one": good, "two": open_one}), Inconclusive)
    assert isinstance(join_verdicts({"one": bad, "two": open_one}), Hold)
    assert isinstance(join_verdicts({}), Inconclusive)


def test_answers_of_other_cases_are_refused():
    with pytest.raises(ValueError, match="one answer a case, found 3, 2"):
        judge(["a"] * 3, None, ["a"] * 2, POLICY)


def test_a_wrong_file_names_every_fault():
    with pytest.raises(ConfigError) as caught:
        parse_config({"schema_version": 2, "alpha": 0, "minimum": 3}, GatePolicy, name="gates.yaml")
    said = str(caught.value)
    assert all(f"gates.yaml: {place}" in said for place in ("schema_version", "alpha", "minimum", "min_cases"))
