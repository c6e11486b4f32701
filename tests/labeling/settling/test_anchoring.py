from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from labeling.settling.anchoring import measure_anchoring
from labeling.tables import PREDICTIONS, REVIEW_QUEUE, REVIEWS

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def answered(*, shown: tuple[int, int], hidden: tuple[int, int], reason: str = "uncertainty") -> tuple:
    """(agreeing, differing) answers of each kind, as reviews, predictions and queue."""
    reviews, predictions, queue = [], [], []
    kinds = [
        (blind, agrees)
        for blind, (yes, no) in ((False, shown), (True, hidden))
        for agrees in [True] * yes + [False] * no
    ]
    for number, (blind, agrees) in enumerate(kinds):
        about = {"interaction_id": f"i{number}", "task": "intent"}
        said = {"label": "x" if agrees else "y", "suggestion": None if blind else "x", "blind": blind}
        reviews.append(about | said | {"review_id": f"r{number}", "case_id": f"c{number}", "answered_at": NOW})
        predictions.append(about | {"label": "x", "model_version": "7"})
        queue.append(
            {"case_id": f"c{number}", "interaction_id": f"i{number}", "reason": reason, "champion": "7", "blind": blind}
        )
    return REVIEWS.frame(reviews), PREDICTIONS.frame(predictions), REVIEW_QUEUE.frame(queue)


def test_the_effect_is_agreement_shown_less_agreement_hidden():
    row = measure_anchoring(*answered(shown=(90, 10), hidden=(30, 20))).row(0, named=True)
    assert (row["task"], row["shown"], row["hidden"]) == ("intent", 100, 50)
    assert row["effect"] == pytest.approx(0.3)
    assert 0.1 < row["low"] < 0.3 < row["high"] < 0.5


def test_audit_cases_and_tasks_of_one_kind_are_left_out():
    assert measure_anchoring(*answered(shown=(9, 1), hidden=(3, 2), reason="audit")).is_empty()
    assert measure_anchoring(*answered(shown=(9, 1), hidden=(0, 0))).is_empty()


def test_a_cannot_tell_is_neither_agreement_nor_its_absence():
    reviews, predictions, queue = answered(shown=(9, 1), hidden=(3, 2))
    told = reviews.with_columns(label=pl.when(pl.col("label") == "y").then(pl.lit("cannot_tell")).otherwise("label"))
    assert measure_anchoring(told, predictions, queue)["agreed_shown"].to_list() == [1.0]


def test_the_interval_covers_no_effect_where_there_is_none():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        shown, hidden = (int(rng.binomial(count, 0.8)) for count in (60, 20))
        row = measure_anchoring(*answered(shown=(shown, 60 - shown), hidden=(hidden, 20 - hidden))).row(0, named=True)
        covered += row["low"] <= 0 <= row["high"]
    assert covered >= 182
