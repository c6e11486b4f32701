from datetime import timedelta

import dagster as dg
import numpy as np
import pytest

from assets.accuracy_words import describe_response, slice_table
from assets.monitoring import drift, production_accuracy
from labeling import tables as t
from tests.assets.conftest import NOW
from training.judging.production import MIN_CASES, Slice, TooFew
from training.judging.served import Response


@pytest.fixture
def told(stocked):
    """Return a function that materializes one asset and returns its metadata."""

    def make(asset):
        upstream = [dg.AssetSpec(name) for name in ("labels", "predictions")]
        done = dg.materialize(
            [*upstream, asset],
            resources={"loop": stocked.loop},
            instance=stocked.instance,
            selection=dg.AssetSelection.groups("monitoring"),
        )
        [made] = done.get_asset_materialization_events()
        return {name: found.value for name, found in made.materialization.metadata.items()}

    return make


def predict(stocked, said, *, task="intent", at=NOW, **more):
    rows = [{"interaction_id": name, "label": label, "predicted_at": at} for name, label in said.items()]
    common = {"task": task, "model_version": "1", "confidence": 0.9, "margin": 0.8, "handoff": False, "shown": True}
    stocked.put(t.PREDICTIONS, *rows, **common | more)


YESTERDAY = NOW - timedelta(days=1)


def test_accuracy_as_served_is_told_once_there_are_enough_cases(stocked, told):
    names = [f"case-{number:03d}" for number in range(MIN_CASES)]
    stocked.interactions(*names, lot="audit", part="estimate", occurred_at=YESTERDAY)
    stocked.labels(dict.fromkeys(names[:-1], "refund"))
    predict(stocked, {name: "refund" if number % 2 else "billing" for number, name in enumerate(names)})
    lacking = told(production_accuracy)
    assert lacking["intent"] == f"too few audit cases: {MIN_CASES - 1} of {MIN_CASES}"
    assert "intent_accuracy" not in lacking
    assert lacking["intent_response"].startswith("199 of 200 drawn messages have a label; 1 wait, 0 were skipped")
    stocked.labels({names[-1]: "refund"})
    found = told(production_accuracy)
    said = "0.500 [0.431, 0.569] of 200 answers, audit cases only: 200 audit cases, 100 errors"
    assert found["intent"] == said
    assert found["intent_accuracy"] == pytest.approx(0.5)
    assert "| answered as | billing | too few | – | 100 | 100 | – |" in found["intent_slices"]
    assert found["intent_plot"].startswith("![intent: accuracy as served](data:image/png;base64,")
    assert found["sentiment"] == f"too few audit cases: 0 of {MIN_CASES}"
    assert found["sentiment_slices"] == "no answers were served"


def test_answers_for_all_traffic_narrow_it_and_older_ones_stand_in_the_picture_only(stocked, told):
    rng = np.random.default_rng(0)
    names = [f"case-{number:04d}" for number in range(1500)]
    stocked.interactions(*names[:300], lot="audit", part="estimate", occurred_at=YESTERDAY)
    stocked.interactions(*names[300:1200], occurred_at=YESTERDAY)
    stocked.interactions(*names[1200:], lot="audit", part="estimate", occurred_at=NOW - timedelta(days=60))
    stocked.labels(dict.fromkeys(names[:300] + names[1200:], "refund"))
    sure = {name: rng.random() < 0.7 for name in names}
    right = {name: rng.random() < (0.97 if sure[name] else 0.4) for name in names}
    for confidence in (0.95, 0.4):
        asked = {name: "refund" if right[name] else "billing" for name in names if sure[name] == (confidence > 0.5)}
        predict(stocked, asked, confidence=confidence, margin=confidence - 0.1)
    found = told(production_accuracy)
    assert "of 1200 answers, prediction-powered: 300 audit cases" in found["intent"]
    assert "; alone they say " in found["intent"]


def test_it_is_told_where_people_are_behind():
    told = describe_response(Response(drawn=10, answered=7, unsure=1, skipped=0, waiting=2), uncounted=40)
    assert "7 of 10 drawn messages have a label; 2 wait, 0 were skipped, of 1 nobody could tell" in told
    assert "40 answers of the newest weeks are not counted" in told
    assert "with 30% missing" in told


def test_names_from_outside_cannot_break_the_table():
    table = slice_table([Slice("channel", "a|b\n<script>", TooFew(3, 1))])
    assert table.splitlines()[-1] == "| channel | a\\|b \\<script\\> | too few | – | 3 | 1 | – |"


def test_drift_compares_the_last_seven_days_with_before(stocked, told):
    old, new = [f"old-{n}" for n in range(20)], [f"new-{n}" for n in range(20)]
    stocked.interactions(*old, occurred_at=NOW - timedelta(days=8))
    stocked.interactions(*new, occurred_at=NOW - timedelta(days=6))
    predict(
        stocked, dict.fromkeys(old, "refund") | dict.fromkeys(new[:10], "refund") | dict.fromkeys(new[10:], "billing")
    )
    found = told(drift)
    assert found["intent_distance"] == pytest.approx(0.5)
    assert found["intent_p_value"] < 0.01
    assert found["sentiment_distance"] == 0
    assert "sentiment_p_value" not in found
