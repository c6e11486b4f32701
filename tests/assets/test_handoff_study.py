"""What a policy comes to: risk against coverage, intent by intent, and what another would have changed."""

import numpy as np
import pytest

from assets.handoff import ReviewedCases
from assets.handoff_page import write_page
from assets.handoff_replay import compare_policies
from assets.handoff_study import study_policy
from serving.handoff.fitting import Outcomes, fit_handoff
from tests.assets.conftest import NOW
from tests.serving.handoff.parts import answers_of, cases_of
from tests.serving.policies import config, policy_of


def reviewed(count: int, seed: int = 0) -> ReviewedCases:
    """Return cases of three answers, each right as often as it is sure."""
    rng = np.random.default_rng(seed)
    confidences = rng.beta(5, 1.2, count) * 0.74 + 0.26
    labels = rng.choice(["refund", "delivery", "fraud"], count, p=[0.7, 0.28, 0.02]).tolist()
    right = rng.random(count) < confidences
    truth = [label if one else "none_of_these" for label, one in zip(labels, right, strict=True)]
    channel = rng.choice(["chat", "email"], count, p=[0.8, 0.2]).tolist()
    cases = cases_of(answers_of(confidences, labels), wishes=rng.random(count) < 0.05, groups={"channel": channel})
    return ReviewedCases(
        [f"case-{row}" for row in range(count)], cases, Outcomes({"intent": truth}, np.zeros(count, dtype=bool))
    )


@pytest.fixture(scope="module")
def found() -> ReviewedCases:
    return reviewed(900)


def fit(found: ReviewedCases, **changes):
    return fit_handoff(found.cases, found.outcomes, config(**changes), rng=np.random.default_rng(1))


def test_the_curve_rises_to_all_and_the_threshold_sits_on_it(found):
    study = study_policy(fit(found), found)
    curve = study.curve
    assert (study.cases, study.ruled) == (900, int(found.cases.wishes.sum()))
    assert curve.coverage[-1] == 1
    assert (curve.upper >= curve.risk).all()
    place = int(np.searchsorted(curve.coverage, curve.kept - 1e-9))
    assert curve.risk[place] == pytest.approx(curve.wrong)
    assert curve.wrong < 0.2


def test_intents_add_up_and_small_ones_are_marked(found):
    study = study_policy(fit(found), found)
    assert [row.label for row in study.intents] == ["refund", "delivery", "fraud"]
    assert sum(row.cases for row in study.intents) == 900
    assert sum(row.kept for row in study.intents) == fit(found).keeps(found.cases).sum()
    few = study_policy(fit(found), reviewed(100))
    assert [row.label for row in few.intents if row.is_small] == ["fraud"]
    assert set(few.curves) == {"refund", "delivery"}


def test_the_page_shows_curve_intents_and_groups_and_escapes_names(found, tmp_path):
    study = study_policy(fit(found, group_by="channel", costs={"wrong_kept": 4, "handoff": 1}), found)
    path = tmp_path / "reports" / "handoff.html"
    write_page(study, path, title="When <b>3</b> would step aside", made_at=NOW)
    page = path.read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert "When &lt;b&gt;3&lt;/b&gt; would step aside" in page
    for expected in ("refund", "none of its own", "costs chose a stricter threshold", "low confidence"):
        assert expected in page
    nothing = study_policy(fit(reviewed(0)), reviewed(0))
    write_page(nothing, path, title="Nothing yet", made_at=NOW)
    assert "No case is there yet" in path.read_text(encoding="utf-8")


def test_a_replay_counts_handoffs_and_its_interval_holds_the_wrong_answers_that_were_there():
    """Against the truth of many messages, which the replay does not see."""
    live, stricter = policy_of("intent", confidence=0.6), policy_of("intent", confidence=0.8)
    held = 0
    for seed in range(25):
        recent, labelled = reviewed(1500, seed=seed), reviewed(300, seed=1000 + seed)
        said = compare_policies(stricter, live, recent.cases, 1500, labelled)
        moved = live.keeps(recent.cases) & ~stricter.keeps(recent.cases)
        truth = np.array(recent.outcomes.truth["intent"]) == "none_of_these"
        assert said.handoffs.value == pytest.approx(moved.sum())
        held += said.wrong.low <= (moved & truth).sum() <= said.wrong.high
    assert held >= 20
    assert said.reviewed == 300
    back = compare_policies(live, stricter, recent.cases, 3000, reviewed(10))
    assert back.handoffs.value == pytest.approx(-2 * moved.sum())
    assert (back.reviewed, back.wrong.value < 0) == (0, True)
