from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.settling.consensus import measure_skills, newest_answers, settle_reviews
from labeling.tables import LABELS, REVIEWS

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def reviews(*answers: tuple) -> pl.DataFrame:
    """(interaction, annotator, label[, minutes[, task]]) a row; ids follow from the place."""
    rows = []
    for number, (interaction, annotator, label, *rest) in enumerate(answers):
        minutes, task = (rest + [0, "intent"][len(rest) :])[:2]
        known = {"review_id": f"r{number}", "interaction_id": interaction, "annotator_id": annotator, "task": task}
        rows.append(known | {"label": label, "answered_at": NOW + timedelta(minutes=minutes)})
    return REVIEWS.frame(rows)


def settled(table: pl.DataFrame) -> dict:
    return {row["interaction_id"]: row["label"] for row in settle_reviews(table, now=NOW).iter_rows(named=True)}


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


def test_a_lone_answer_is_believed_as_far_as_the_prior():
    labels = settle_reviews(reviews(("i", "p", "refund")), now=NOW)
    assert labels.schema == pl.Schema(LABELS.schema)
    assert labels.row(0, named=True) == {
        "interaction_id": "i",
        "task": "intent",
        "label": "refund",
        "confidence": 0.9,
        "source": "review",
        "answer_ids": ["r0"],
        "settled_at": NOW,
    }


def test_agreement_raises_confidence_and_disagreement_lowers_it():
    table = reviews(("a", "p", "x"), ("a", "q", "x"), ("b", "p", "x"), ("b", "q", "y"), ("c", "p", "x"))
    confidence = {row["interaction_id"]: row["confidence"] for row in settle_reviews(table, now=NOW).to_dicts()}
    assert confidence["a"] > confidence["c"] > confidence["b"]
    assert 0.4 <= confidence["b"] <= 0.6


def test_two_who_agree_outvote_one():
    assert settled(reviews(("i", "p", "x"), ("i", "q", "y"), ("i", "r", "y"))) == {"i": "y"}


def test_the_newest_answer_of_an_annotator_counts_and_is_the_one_that_is_named():
    table = reviews(("i", "p", "x", 5), ("i", "p", "y", 9), ("i", "p", "z", 1))
    row = settle_reviews(table, now=NOW).row(0, named=True)
    assert (row["label"], row["answer_ids"]) == ("y", ["r1"])


def test_cannot_tell_is_no_vote_and_takes_an_earlier_answer_back():
    assert settled(reviews(("i", "p", "x"), ("i", "q", "cannot_tell"))) == {"i": "x"}
    assert settled(reviews(("i", "p", "x", 1), ("i", "p", "cannot_tell", 2))) == {}


def test_tasks_are_settled_apart():
    table = reviews(("i", "p", "x", 0, "intent"), ("i", "p", "calm", 0, "mood"))
    assert settle_reviews(table, now=NOW).select("task", "label").rows() == [("intent", "x"), ("mood", "calm")]


def test_no_reviews_settle_to_no_labels():
    assert settle_reviews(REVIEWS.empty(), now=NOW).equals(LABELS.empty())


def test_skills_come_out_in_their_order_and_beat_the_majority():
    stated = {"expert": 0.97, "good": 0.85, "fair": 0.7, "spammer": 0.1}
    table, truth = simulate(stated, interactions=300, labels=10, seed=1)
    skills = dict(measure_skills(newest_answers(table)).select("annotator_id", "skill").iter_rows())
    assert skills == {name: pytest.approx(skill, abs=0.1) for name, skill in stated.items()}
    right = np.mean([label == truth[interaction] for interaction, label in settled(table).items()])
    votes = table.group_by("interaction_id").agg(pl.col("label").sort().mode(maintain_order=True).first())
    majority = np.mean([label == truth[interaction] for interaction, label in votes.iter_rows()])
    assert right > majority + 0.03


def test_skills_agree_with_crowd_kit_s_where_everyone_overlaps():
    from crowdkit.aggregation import OneCoinDawidSkene

    table, _ = simulate({"a": 0.95, "b": 0.8, "c": 0.6}, interactions=150, labels=4, seed=3)
    answers = newest_answers(table)
    frame = answers.select(task="interaction_id", worker="annotator_id", label="label").to_pandas()
    theirs = OneCoinDawidSkene(n_iter=100).fit(frame).skills_
    ours = dict(measure_skills(answers).select("annotator_id", "skill").iter_rows())
    assert ours == {name: pytest.approx(float(skill), abs=0.05) for name, skill in theirs.items()}


def test_answers_that_nobody_else_gave_do_not_move_a_skill():
    alone = [(f"i{number}", "p", "x") for number in range(100)]
    skill = measure_skills(newest_answers(reviews(*alone))).row(0, named=True)
    assert (skill["skill"], skill["overlapping"]) == (0.9, 0)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_the_order_of_answers_is_of_no_effect(data):
    answer = st.tuples(st.sampled_from("abc"), st.sampled_from("pqr"), st.sampled_from(["x", "y", "cannot_tell"]))
    table = reviews(*data.draw(st.lists(answer, min_size=1, max_size=12)))
    turned = table[data.draw(st.permutations(range(table.height)))]
    once, again = settle_reviews(table, now=NOW), settle_reviews(turned, now=NOW)
    assert once.equals(again)
    assert once["confidence"].is_between(0, 1, closed="right").all()
