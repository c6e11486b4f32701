import json
import math

import numpy as np
import polars as pl
import pytest

from labeling.vocabulary import NONE_OF_THESE
from tests.training.judging.sample_case import SLICES, sample_answers
from training.judging.answers import DIMENSIONS, pair_answers
from training.judging.scorecard import Scorecard, score_model
from training.scoring import Scores

SCORES = Scores(
    ("a", "b", "c"),
    np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.3, 0.2]], dtype=np.float32),
)


def scored(truth, scores=SCORES):
    cases = pl.DataFrame({"interaction_id": [str(row) for row in range(len(truth))], "label": truth})
    about = cases.with_columns(pl.lit(None, pl.String).alias(dimension) for dimension in DIMENSIONS)
    return score_model(pair_answers(about, scores), "challenger", rng=np.random.default_rng(0))


def test_the_card_counts_by_hand():
    card = scored(["a", "b", "b", "a"])
    assert (card.cases, card.accuracy, card.unknown) == (4, 0.75, 0)
    assert (card.accuracy_low, card.accuracy_high) == pytest.approx((0.3006, 0.9544), abs=1e-4)
    assert card.labels["a"].recall == 1.0
    assert (card.labels["a"].recall_low, card.labels["a"].recall_high) == pytest.approx((0.3424, 1.0), abs=1e-4)
    assert card.labels["a"].precision == pytest.approx(2 / 3)
    assert (card.labels["b"].support, card.labels["b"].recall, card.labels["b"].precision) == (2, 0.5, 1.0)
    assert card.labels["b"].precision_low == pytest.approx(0.2065, abs=1e-4)
    assert card.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    assert card.nll == pytest.approx(-np.log([0.8, 0.3, 0.7, 0.5]).mean(), rel=1e-5)
    assert card.brier == pytest.approx(
        ((0.04 + 0.02) + (0.36 + 0.49 + 0.01) + (0.04 + 0.09 + 0.01) + 0.38) / 4, rel=1e-5
    )
    # each answer is alone in its bin: confidence .8, .6, .7, .5 against right, wrong, right, right
    assert card.ece == pytest.approx((0.2 + 0.6 + 0.3 + 0.5) / 4, abs=1e-6)
    # the surest first: right, right, wrong, right
    assert card.aurc == pytest.approx((0 + 0 + 1 / 3 + 1 / 4) / 4)
    # alone in its bin, an answer of confidence c is |c - right| off: 2c(1 - c) in the mean
    assert card.ece_floor == pytest.approx(np.mean([2 * c * (1 - c) for c in (0.8, 0.6, 0.7, 0.5)]), abs=0.02)


def test_a_label_that_the_model_lacks_counts_as_wrong():
    card = scored(["a", "new", "b", "new"])
    assert (card.accuracy, card.unknown) == (0.5, 2)
    assert card.labels["new"].recall == 0.0
    assert card.labels["new"].precision is None
    assert card.nll == pytest.approx(-(math.log(0.8) + math.log(0.7)) / 2, rel=1e-5)
    assert scored(["new"] * 4).nll is None


def test_a_label_that_is_answered_and_never_true_shows_its_precision():
    score = scored(["b"] * 4).labels["a"]
    assert (score.support, score.recall, score.precision) == (0, None, 0.0)
    assert scored(["b"] * 4).macro_f1 == pytest.approx(0.4)  # of b alone


def test_slices_are_told_apart_and_sum_to_the_whole():
    answers = sample_answers(400, rng=np.random.default_rng(1))
    answers = answers.with_columns(segment=pl.when(pl.col("segment") != "premium").then(pl.col("segment")))
    card = score_model(answers, "champion", rng=np.random.default_rng(1))
    right = {value: score.cases * score.accuracy for value, score in card.slices["language"].items()}
    assert set(right) == set(SLICES["language"])
    assert sum(right.values()) == pytest.approx(400 * card.accuracy)
    assert set(card.slices["segment"]) == {"consumer", "business"}
    by_hand = answers.filter(pl.col("channel") == "phone")
    assert card.slices["channel"]["phone"].accuracy == (by_hand["champion"] == by_hand["truth"]).mean()


def novel(truth, novelty):
    answers = sample_answers(len(truth), rng=np.random.default_rng(2))
    novelty = pl.Series("challenger_novelty", novelty, dtype=pl.Float64)
    return score_model(
        answers.with_columns(novelty, pl.Series("truth", truth)), "challenger", rng=np.random.default_rng(2)
    )


def test_messages_outside_every_label_are_told_by_novelty():
    inside = ["card_fee"] * 20
    card = novel([*inside, NONE_OF_THESE, NONE_OF_THESE], [*range(20), 17.5, 30.0])
    assert card.oos_auroc == pytest.approx((18 + 20) / 40)
    assert card.oos_recall == 0.5  # beyond 18, which keeps 19 of the 20 others
    known = novel([*inside, NONE_OF_THESE, NONE_OF_THESE], [*range(20), None, 30.0])
    assert known.oos_auroc == 0.5  # what the first reader knew is less novel than all
    for truth, novelty in ((inside, list(range(20))), ([*inside, NONE_OF_THESE], [None] * 21)):
        assert novel(truth, novelty).oos_auroc is None


def test_the_card_is_json_reads_back_and_its_metrics_are_numbers():
    card = scored(["a", "new", "b", "new"])
    said = json.loads(card.to_json())
    assert said["labels"]["new"]["precision"] is None
    assert Scorecard.from_document(said) == card
    metrics = card.metrics()
    assert metrics["accuracy"] == 0.5
    assert all(isinstance(value, float) for value in metrics.values())
    assert "nll" not in scored(["new"] * 4).metrics()


def test_truth_must_match_the_scores():
    with pytest.raises(ValueError, match="one answer of the challenger a case is needed, found 4 of 1"):
        scored(["a"])
    answers = sample_answers(3, rng=np.random.default_rng(0)).with_columns(champion=pl.lit(None, pl.String))
    with pytest.raises(ValueError, match="that the champion answered, found 0 of 3"):
        score_model(answers, "champion", rng=np.random.default_rng(0))
