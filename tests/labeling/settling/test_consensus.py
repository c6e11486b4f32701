from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.settling.annotators import measure_annotators
from labeling.settling.consensus import find_consensus, newest_answers
from labeling.settling.crowd_kit import fit_confusions
from labeling.tables import REVIEWS

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def reviews(*answers: tuple) -> pl.DataFrame:
    """(interaction, annotator, label[, minutes[, task[, case]]]) a row; ids follow from the place."""
    rows = []
    for number, (interaction, annotator, label, *rest) in enumerate(answers):
        minutes, task, case = rest + [0, "intent", interaction][len(rest) :]
        known = {"review_id": f"r{number}", "interaction_id": interaction, "annotator_id": annotator, "task": task}
        rows.append(known | {"case_id": case, "label": label, "answered_at": NOW + timedelta(minutes=minutes)})
    return REVIEWS.frame(rows)


def settled(table: pl.DataFrame) -> dict:
    return dict(find_consensus(table).verdicts.select("interaction_id", "label").iter_rows())


def confidences(table: pl.DataFrame) -> dict:
    return dict(find_consensus(table).verdicts.select("interaction_id", "confidence").iter_rows())


def simulate(skills: dict[str, float], *, interactions: int, labels: int, seed: int) -> tuple[pl.DataFrame, dict]:
    """Two or three answers an interaction, drawn with the stated skills."""
    rng = np.random.default_rng(seed)
    truth = {f"i{number}": f"l{rng.integers(labels)}" for number in range(interactions)}
    answers = []
    for interaction, label in truth.items():
        for annotator in rng.choice(list(skills), size=rng.integers(2, 4), replace=False):
            others = [f"l{other}" for other in range(labels) if f"l{other}" != label]
            answers.append((interaction, annotator, label if rng.random() < skills[annotator] else rng.choice(others)))
    return reviews(*answers), truth


def skills_of(table: pl.DataFrame) -> dict[str, float]:
    measured = measure_annotators(find_consensus(table).held_out, gold=pl.Series([], dtype=pl.String), now=NOW)
    return dict(measured.select("annotator_id", "skill").iter_rows())


def test_a_lone_answer_is_believed_as_far_as_the_prior():
    row = find_consensus(reviews(("i", "p", "refund"))).verdicts.row(0, named=True)
    assert row.pop("confidence") == pytest.approx(0.9)
    named = {"interaction_id": "i", "task": "intent", "label": "refund", "answer_ids": ["r0"], "supporters": ["p"]}
    assert row == named


def test_agreement_raises_confidence_and_disagreement_lowers_it():
    table = reviews(("a", "p", "x"), ("a", "q", "x"), ("b", "p", "x"), ("b", "q", "y"), ("c", "p", "x"))
    confidence = confidences(table)
    assert confidence["a"] > confidence["c"] > confidence["b"]
    assert 0.4 <= confidence["b"] <= 0.6


def test_two_who_agree_outvote_one():
    assert settled(reviews(("i", "p", "x"), ("i", "q", "y"), ("i", "r", "y"))) == {"i": "y"}


def test_the_newest_answer_of_an_annotator_counts_and_is_the_one_that_is_named():
    row = find_consensus(reviews(("i", "p", "x", 5), ("i", "p", "y", 9), ("i", "p", "z", 1))).verdicts.row(
        0, named=True
    )
    assert (row["label"], row["answer_ids"], row["supporters"]) == ("y", ["r1"], ["p"])


def test_cannot_tell_is_no_vote_and_takes_an_earlier_answer_back():
    assert settled(reviews(("i", "p", "x"), ("i", "q", "cannot_tell"))) == {"i": "x"}
    assert settled(reviews(("i", "p", "x", 1), ("i", "p", "cannot_tell", 2))) == {}


@pytest.mark.parametrize("why", ["skipped", "withdrawn"])
def test_a_skip_and_a_withdrawn_answer_are_no_votes(why):
    table = reviews(("i", "p", None), ("j", "p", "x")).with_columns(
        unanswered=pl.when(pl.col("label").is_null()).then(pl.lit(why))
    )
    assert settled(table) == {"j": "x"}


def test_none_of_these_settles_like_any_label_and_so_does_the_question_of_the_handoff():
    table = reviews(("i", "p", "none_of_these"), ("i", "p", "needed", 0, "handoff"))
    rows = find_consensus(table).verdicts.select("task", "label").rows()
    assert rows == [("handoff", "needed"), ("intent", "none_of_these")]


def test_tasks_are_settled_apart():
    table = reviews(("i", "p", "x", 0, "intent"), ("i", "p", "calm", 0, "mood"))
    assert find_consensus(table).verdicts.select("task", "label").rows() == [("intent", "x"), ("mood", "calm")]


def test_no_reviews_settle_to_no_labels():
    found = find_consensus(REVIEWS.empty())
    assert found.verdicts.is_empty()
    assert found.held_out.is_empty()


def test_skills_come_out_in_their_order_and_beat_the_majority():
    stated = {"expert": 0.97, "good": 0.85, "fair": 0.7, "spammer": 0.1}
    table, truth = simulate(stated, interactions=300, labels=10, seed=1)
    assert skills_of(table) == {name: pytest.approx(skill, abs=0.12) for name, skill in stated.items()}
    right = np.mean([label == truth[interaction] for interaction, label in settled(table).items()])
    votes = table.group_by("interaction_id").agg(pl.col("label").sort().mode(maintain_order=True).first())
    majority = np.mean([label == truth[interaction] for interaction, label in votes.iter_rows()])
    assert right > majority + 0.03


def test_with_much_overlap_our_skills_are_crowd_kit_s():
    from crowdkit.aggregation import OneCoinDawidSkene

    table, _ = simulate({"a": 0.95, "b": 0.8, "c": 0.6}, interactions=150, labels=4, seed=3)
    frame = newest_answers(table).select(task="interaction_id", worker="annotator_id", label="label").to_pandas()
    theirs = dict(OneCoinDawidSkene(n_iter=100).fit(frame).skills_)
    cases, people, said = (
        newest_answers(table)[column].rank("dense").to_numpy().astype(int) - 1
        for column in ("interaction_id", "annotator_id", "label")
    )
    ours = fit_confusions(cases, people, said, people=3, labels=4).skills
    assert ours == pytest.approx([theirs[name] for name in "abc"], abs=0.05)


def test_answers_that_nobody_else_gave_do_not_move_a_skill():
    cases = np.arange(100)
    found = fit_confusions(cases, np.zeros(100, dtype=int), np.zeros(100, dtype=int), people=1, labels=2)
    assert (found.skills[0], found.overlapping[0]) == (0.9, 0)
    assert list(confidences(reviews(*[(f"i{case}", "p", "x") for case in cases])).values()) == pytest.approx(
        [0.9] * 100
    )


def test_a_spammer_of_one_label_is_seen_through_by_a_matrix_of_their_own():
    rng = np.random.default_rng(0)
    answers = []
    for number in range(200):
        right = ("x", "y", "z")[number % 3]
        answers += [(f"i{number}", person, right if rng.random() < 0.9 else "y") for person in ("p", "q")]
        answers.append((f"i{number}", "spammer", "x"))
    found = find_consensus(reviews(*answers, ("lone", "spammer", "x"), ("other", "p", "x"))).verdicts
    sure = dict(found.select("interaction_id", "confidence").iter_rows())
    assert sure["lone"] < 0.5 < sure["other"]


def test_confidences_of_a_team_with_few_answers_each_are_borne_out():
    stated = {f"p{number}": 0.7 + 0.03 * number for number in range(8)}
    table, truth = simulate(stated, interactions=400, labels=20, seed=5)
    found = find_consensus(table).verdicts
    right = [truth[name] == label for name, label in found.select("interaction_id", "label").iter_rows()]
    assert found["confidence"].mean() == pytest.approx(np.mean(right), abs=0.05)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_the_order_of_answers_is_of_no_effect(data):
    answer = st.tuples(st.sampled_from("abc"), st.sampled_from("pqr"), st.sampled_from(["x", "y", "cannot_tell"]))
    table = reviews(*data.draw(st.lists(answer, min_size=1, max_size=12)))
    turned = table[data.draw(st.permutations(range(table.height)))]
    once, again = find_consensus(table), find_consensus(turned)
    assert once.verdicts.equals(again.verdicts)
    assert once.held_out.equals(again.held_out)
    assert once.verdicts["confidence"].is_between(0, 1, closed="right").all()
