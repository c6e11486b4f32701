import numpy as np
import polars as pl
import pytest

from training.judging.answers import has_model, pair_answers, read_answers
from training.scoring import Scores

CASES = pl.DataFrame(
    {
        "interaction_id": ["a", "b", "c"],
        "label": ["refund", "delivery", "none_of_these"],
        "language": ["en", None, "de"],
        "channel": ["chat", "chat", "email"],
        "segment": pl.Series([None, None, None], dtype=pl.String),
        "text": ["x", "y", "z"],
    }
)
NOW = Scores(
    ("delivery", "refund"),
    np.array([[0.2, 0.8], [0.4, 0.6], [0.5, 0.5]], dtype=np.float32),
    np.array([0.1, np.nan, 3.0], dtype=np.float32),
)
WAS = Scores(("delivery",), np.array([[1.0], [1.0], [1.0]], dtype=np.float32))


def test_each_answer_stands_beside_the_truth():
    answers = pair_answers(CASES, NOW, WAS)
    assert answers.columns[:5] == ["interaction_id", "truth", "language", "channel", "segment"]
    assert answers["challenger"].to_list() == ["refund", "refund", "delivery"]
    assert answers["challenger_confidence"].to_list() == pytest.approx([0.8, 0.6, 0.5])
    assert answers["challenger_truth_chance"].to_list() == pytest.approx([0.8, 0.4, None])
    assert answers["challenger_brier"].to_list() == pytest.approx([0.08, 0.72, 1.5])
    assert answers["challenger_novelty"].to_list() == pytest.approx([0.1, None, 3.0])
    assert answers["champion_truth_chance"].to_list() == [None, 1.0, None]
    assert answers["champion_novelty"].null_count() == answers["reference"].null_count() == 3
    assert "text" not in answers.columns
    assert (has_model(answers, "champion"), has_model(answers, "reference")) == (True, False)


def test_losses_and_wins_are_counted_beside_any_model():
    answers = read_answers(pair_answers(CASES, NOW, WAS, NOW))
    assert answers.count() == (1, 1)
    assert answers.count("reference") == (0, 0)
    assert not answers.is_same()
    assert answers.is_same("reference")
    assert answers.names["language"] == ["en", "de"]
    assert answers.places["language"].tolist() == [0, -1, 1]
    assert answers.names["segment"] == []


def test_a_test_without_cases_and_one_without_a_champion():
    empty = Scores(("a",), np.zeros((0, 1), dtype=np.float32))
    assert pair_answers(CASES.clear(), empty, empty).height == 0
    assert not has_model(pair_answers(CASES.clear(), empty, empty), "champion")


def test_scores_of_other_cases_are_refused():
    with pytest.raises(ValueError, match="one answer of the champion a case is needed, found 1 of 3"):
        pair_answers(CASES, NOW, Scores(("a",), np.ones((1, 1), dtype=np.float32)))
