from datetime import UTC, datetime

import numpy as np
import pytest

from labeling import tables as t
from labeling.quality.agreement import bound_agreement, count_mixed_up
from labeling.vocabulary import CANNOT_TELL

NOW = datetime(2026, 3, 9, tzinfo=UTC)


def reviews(answers, *, task="intent", **common):
    """Answers as {interaction: {person: label}}."""
    rows = [
        {"review_id": f"{case}-{who}", "interaction_id": case, "annotator_id": who, "label": label, "blind": False}
        for case, said in answers.items()
        for who, label in said.items()
    ]
    return t.REVIEWS.frame([row | {"task": task, "answered_at": NOW} | common for row in rows])


def agreement(answers, seed=0):
    return bound_agreement(reviews(answers), rng=np.random.default_rng(seed))


def test_alpha_is_krippendorffs_by_hand():
    answers = {"i": {"a": "x", "b": "x"}, "j": {"a": "x", "b": "y"}, "k": {"a": "y", "b": "y"}, "l": {"a": "x"}}
    [found] = agreement(answers)
    # of six answers three are x: nine of fifteen pairs differ by chance, one of three within an interaction
    assert found.alpha == pytest.approx(1 - (1 / 3) / (9 / 15))
    assert (found.task, found.shared) == ("intent", 3)
    assert found.low <= found.alpha <= found.high


def test_the_interval_holds_what_many_answers_tend_to():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(40):
        truth = rng.choice(["x", "y", "z"], 150)
        said = [[one if rng.random() < 0.8 else rng.choice(["x", "y", "z"]) for _ in "ab"] for one in truth]
        answers = {f"i{row}": {"a": str(one), "b": str(other)} for row, (one, other) in enumerate(said)}
        [found] = agreement(answers)
        held += found.low <= 0.64 <= found.high
    assert held >= 34


def test_there_is_no_figure_where_nothing_could_have_differed():
    assert agreement({}) == []
    for answers in ({"i": {"a": "x"}}, {"i": {"a": "x", "b": "x"}}, {"i": {"a": "x", "b": CANNOT_TELL}}):
        [found] = agreement(answers)
        assert np.isnan([found.alpha, found.low, found.high]).all()


def test_the_labels_that_people_mix_up_are_counted_once_an_interaction():
    answers = {
        "i": {"a": "x", "b": "y"},
        "j": {"a": "y", "b": "x", "c": "x"},
        "k": {"a": "x", "b": "x"},
        "l": {"a": "z", "b": "y"},
        "m": {"a": "z"},
    }
    found = count_mixed_up(reviews(answers), task="intent")
    assert found.rows() == [("x", "y", 2, 4), ("y", "z", 1, 3)]
    assert count_mixed_up(reviews(answers), task="sentiment").is_empty()
