from datetime import UTC, datetime, timedelta
from math import isnan

import pytest

from labeling import tables as t
from training.judging.production import MIN_CASES, ServedAccuracy, TooFew, estimate_served_accuracy, measure_drift

NOW = datetime(2026, 3, 9, tzinfo=UTC)


def predictions(labels, *, at=NOW, task="intent", version="1"):
    return t.PREDICTIONS.frame(
        [
            {"interaction_id": name, "task": task, "label": label, "model_version": version, "predicted_at": at}
            for name, label in labels.items()
        ]
    )


def settled(labels, *, source="review", task="intent"):
    rows = [{"interaction_id": name, "task": task, "label": label, "source": source} for name, label in labels.items()]
    return t.LABELS.frame(rows)


def drawn(names, part="estimate"):
    return t.INTERACTIONS.frame([{"interaction_id": name, "part": part} for name in names])


NAMES = [f"i-{number:03d}" for number in range(MIN_CASES)]
RIGHT = dict.fromkeys(NAMES, "refund")


def estimate(said, truth, about):
    return estimate_served_accuracy(said, truth, about, task="intent")


def test_it_is_the_share_of_right_first_answers_with_wilsons_interval():
    wrong = dict.fromkeys(NAMES[:40], "billing")
    found = estimate(predictions(RIGHT | wrong), settled(RIGHT), drawn(NAMES))
    assert isinstance(found, ServedAccuracy)
    assert (found.cases, found.accuracy) == (200, 0.8)
    assert (found.low, found.high) == (pytest.approx(0.739, abs=1e-3), pytest.approx(0.850, abs=1e-3))


def test_what_a_later_champion_says_of_an_old_message_was_not_served():
    later = predictions(RIGHT, at=NOW + timedelta(days=7), version="2")
    first = predictions(dict.fromkeys(NAMES, "billing"))
    for said in (later.vstack(first), first.vstack(later)):
        assert estimate(said, settled(RIGHT), drawn(NAMES)).accuracy == 0


@pytest.mark.parametrize(
    ("said", "truth", "about"),
    [
        (predictions(RIGHT), settled(RIGHT), drawn(NAMES[1:])),
        (predictions(RIGHT), settled(RIGHT), drawn(NAMES, part="test")),
        (predictions(RIGHT), settled(RIGHT, source="correction"), drawn(NAMES)),
        (predictions(RIGHT), settled(RIGHT, task="sentiment"), drawn(NAMES)),
        (predictions(RIGHT, task="sentiment"), settled(RIGHT), drawn(NAMES)),
    ],
    ids=["one case fewer", "another part", "corrections", "labels of another task", "answers of another task"],
)
def test_only_reviewed_cases_of_the_estimate_part_and_task_count(said, truth, about):
    found = estimate(said, truth, about)
    assert isinstance(found, TooFew)
    assert found.cases < found.needed == MIN_CASES


def test_drift_is_the_distance_of_what_is_said_and_its_chance():
    before = predictions({f"a-{n}": "refund" if n < 75 else "billing" for n in range(100)})
    same = measure_drift(before, before, task="intent")
    assert same.distance == 0
    assert same.p_value == pytest.approx(1.0)
    other = measure_drift(
        before, predictions({f"b-{n}": "refund" if n < 25 else "new" for n in range(100)}), task="intent"
    )
    assert other.distance == pytest.approx(0.75)
    assert other.p_value < 1e-6


def test_one_label_all_along_is_no_drift_and_an_empty_side_is_no_figure():
    before = predictions({"a": "refund"})
    assert measure_drift(before, before, task="intent").p_value == 1.0
    assert isnan(measure_drift(before, before.clear(), task="intent").p_value)
    assert isnan(measure_drift(before, before, task="sentiment").p_value)
