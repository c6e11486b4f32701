from datetime import UTC, datetime, timedelta
from math import isnan

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling import tables as t
from labeling.vocabulary import CANNOT_TELL
from training.judging.production import (
    MIN_CASES,
    MIN_ERRORS,
    ServedAccuracy,
    TooFew,
    add_chances,
    estimate_accuracy,
    follow_accuracy,
    measure_drift,
    slice_accuracy,
)
from training.judging.served import Response, Window, count_response, served_answers

NOW = datetime(2026, 3, 9, tzinfo=UTC)
DAY, WEEK = timedelta(days=1), timedelta(days=7)
MONTH = Window(NOW - 4 * WEEK, NOW)


def predictions(labels, *, at=NOW, task="intent", version="1", shown=True):
    common = {"task": task, "model_version": version, "predicted_at": at, "shown": shown, "confidence": 0.8}
    return t.PREDICTIONS.frame([{"interaction_id": name, "label": label} | common for name, label in labels.items()])


def settled(labels, *, source="review", task="intent"):
    rows = [{"interaction_id": name, "task": task, "label": label, "source": source} for name, label in labels.items()]
    return t.LABELS.frame(rows)


def arrived(names, *, lot="audit", part="estimate", at=NOW - DAY, **common):
    rows = [{"interaction_id": name, "conversation_id": f"of-{name}", "occurred_at": at} for name in names]
    return t.INTERACTIONS.frame([row | {"lot": lot, "part": part} | common for row in rows])


NAMES = [f"i-{number:03d}" for number in range(MIN_CASES)]
RIGHT = dict.fromkeys(NAMES, "refund")
WRONG = dict.fromkeys(NAMES[:40], "billing")


def serve(said, truth, about, *, window=MONTH):
    return served_answers(said, truth, about, task="intent", window=window)


def estimate(said, truth, about):
    return estimate_accuracy(add_chances(serve(said, truth, about)))


def test_with_nothing_but_audit_cases_it_is_the_share_of_right_answers_with_wilsons_interval():
    found = estimate(predictions(RIGHT | WRONG), settled(RIGHT), arrived(NAMES))
    assert (found.cases, found.errors, found.served, found.method) == (200, 40, 200, "audit cases only")
    assert found.estimate == found.audit_only
    assert found.estimate.value == pytest.approx(0.8)
    assert (found.estimate.low, found.estimate.high) == (pytest.approx(0.739, abs=1e-3), pytest.approx(0.85, abs=1e-3))


def test_what_a_later_champion_says_of_an_old_message_was_not_served():
    first = predictions(RIGHT | WRONG)
    for later in ({"version": "2"}, {"version": "0"}):
        again = predictions(RIGHT, at=NOW + WEEK, **later)
        for said in (again.vstack(first), first.vstack(again)):
            assert estimate(said, settled(RIGHT), arrived(NAMES)).errors == 40


def test_an_answer_that_was_not_shown_was_not_served():
    hidden = predictions(RIGHT, at=NOW - DAY, version="0", shown=False)
    assert estimate(hidden.vstack(predictions(RIGHT | WRONG)), settled(RIGHT), arrived(NAMES)).errors == 40
    assert serve(hidden, settled(RIGHT), arrived(NAMES)).is_empty()


def test_only_messages_of_the_window_count():
    about = arrived(["start"], at=MONTH.since).vstack(arrived(["end"], at=MONTH.until)).vstack(arrived(["in"]))
    told = serve(predictions(dict.fromkeys(["start", "in", "end"], "refund")), settled({}), about)
    assert told["interaction_id"].to_list() == ["in", "start"]


@pytest.mark.parametrize(
    ("said", "truth", "about"),
    [
        (predictions(RIGHT), settled(RIGHT), arrived(NAMES[1:])),
        (predictions(RIGHT), settled(RIGHT), arrived(NAMES, part="test")),
        (predictions(RIGHT), settled(RIGHT), arrived(NAMES, lot="open")),
        (predictions(RIGHT), settled(RIGHT, source="correction"), arrived(NAMES)),
        (predictions(RIGHT), settled(RIGHT, task="sentiment"), arrived(NAMES)),
        (predictions(RIGHT), settled(RIGHT | {NAMES[0]: CANNOT_TELL}), arrived(NAMES)),
        (predictions(RIGHT, task="sentiment"), settled(RIGHT), arrived(NAMES)),
    ],
    ids=["a case fewer", "other part", "open lot", "corrections", "other labels", "cannot tell", "other answers"],
)
def test_only_reviewed_cases_of_the_estimate_part_and_task_count(said, truth, about):
    found = estimate(said, truth, about)
    assert isinstance(found, TooFew)
    assert found.cases < MIN_CASES
    assert found.lacking == f"too few audit cases: {found.cases} of {MIN_CASES}"


def test_too_few_errors_bear_no_figure_either():
    few = dict.fromkeys(NAMES[: MIN_ERRORS - 1], "billing")
    found = estimate(predictions(RIGHT | few), settled(RIGHT), arrived(NAMES))
    assert found == TooFew(200, 9)
    assert found.lacking == "too few audit errors: 9 of 10, among 200 cases"


def company(*, seed=0, weeks=4, traffic=2000, audit_share=0.15, answered=None, turns=1):
    """Return predictions, labels, interactions and whether each answer was right, of weeks of simulated traffic."""
    rng = np.random.default_rng(seed)
    confidence = rng.beta(4, 1.2, traffic)
    right = rng.random(traffic) < confidence
    week = np.arange(traffic) * weeks // traffic
    conversation = np.arange(traffic) // turns
    is_audit = (rng.random(traffic) < audit_share)[conversation]
    read = is_audit & (rng.random(traffic) < (np.asarray(answered)[week] if answered else 1.0))
    names = [f"m-{number:05d}" for number in range(traffic)]
    frame = pl.DataFrame(
        {
            "interaction_id": names,
            "conversation_id": [f"c-{number:05d}" for number in conversation],
            "occurred_at": [NOW - (weeks - int(number)) * WEEK + DAY for number in week],
            "channel": rng.choice(["chat", "email", "voice"], traffic, p=[0.6, 0.35, 0.05]),
            "lot": np.where(is_audit, "audit", "open"),
            "part": pl.Series(np.where(is_audit, "estimate", "")).replace("", None),
            "right": right,
        }
    )
    truth = rng.choice(["refund", "billing"], traffic)
    other = np.where(truth == "refund", "billing", "refund")
    said = predictions(dict(zip(names, np.where(right, truth, other).tolist(), strict=True)))
    said = said.with_columns(confidence=pl.Series(confidence), margin=pl.Series(np.maximum(0, 2 * confidence - 1)))
    about = pl.concat([t.INTERACTIONS.empty(), frame.drop("right")], how="diagonal_relaxed")
    labels = {name: label for name, label, held in zip(names, truth.tolist(), read, strict=True) if held}
    return said, settled(labels), about, right


def test_predictions_for_all_traffic_make_the_interval_narrower_and_do_not_move_it_off_the_truth():
    said, truth, about, right = company()
    found = estimate(said, truth, about)
    assert found.method == "prediction-powered"
    narrow, wide = found.estimate, found.audit_only
    assert narrow.high - narrow.low < 0.97 * (wide.high - wide.low)
    assert narrow.low < right.mean() < narrow.high


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000), kept=st.floats(0, 1))
def test_reviews_of_the_open_lot_change_nothing(seed, kept):
    said, truth, about, _ = company(seed=3)
    opened = about.filter(pl.col("lot") == "open")["interaction_id"].sample(fraction=kept, seed=seed)
    more = settled(dict.fromkeys(opened.to_list(), "billing")).vstack(truth)
    assert estimate(said, more, about) == estimate(said, truth, about)


def test_the_order_of_rows_changes_nothing():
    said, truth, about, _ = company(seed=4)
    mixed = [frame.sample(fraction=1, shuffle=True, seed=1) for frame in (said, truth, about)]
    assert estimate(*mixed).estimate.low == pytest.approx(estimate(said, truth, about).estimate.low, abs=1e-9)


def test_confidence_that_tells_nothing_costs_nothing():
    said, truth, about, _ = company(seed=5)
    found = estimate(said.with_columns(confidence=pl.lit(0.5), margin=pl.lit(0.5)), truth, about)
    blind = found.audit_only
    assert found.estimate.high - found.estimate.low <= 1.02 * (blind.high - blind.low)


def test_a_week_counts_as_its_traffic_does_however_few_of_its_cases_were_answered():
    names = [f"m-{number:04d}" for number in range(1000)]
    old, new = names[:500], names[500:]
    about = arrived(old, at=NOW - 10 * DAY).vstack(arrived(new, at=NOW - DAY))
    truth = settled(dict.fromkeys(old[:250], "refund") | dict.fromkeys(new[:50], "refund"))
    said = predictions(dict.fromkeys(names, "refund") | dict.fromkeys(old[:125], "billing"))
    found = estimate(said, truth, about)
    assert found.audit_only.value == pytest.approx((0.5 + 1.0) / 2)


def test_weeks_that_nobody_has_answered_yet_are_left_out():
    said, truth, about, _ = company(answered=[1, 1, 1, 0])
    told = add_chances(serve(said, truth, about))
    assert told["occurred_at"].max() < NOW - WEEK
    assert estimate_accuracy(told).served == 1500


def test_messages_of_one_conversation_are_one_draw():
    said, truth, about, _ = company(seed=6)
    single = estimate(said, truth, about).audit_only
    again = [
        frame.with_columns(pl.col("interaction_id") + suffix) for suffix in ("", "-b") for frame in (said, truth, about)
    ]
    doubled = estimate(*(pl.concat(again[number::3]) for number in range(3))).audit_only
    assert doubled.value == pytest.approx(single.value)
    assert doubled.high - doubled.low == pytest.approx(single.high - single.low, rel=0.02)


def test_slices_are_told_where_they_have_the_cases():
    said, truth, about, right = company(seed=7, traffic=6000)
    slices = slice_accuracy(add_chances(serve(said, truth, about)))
    found = {(one.column, one.value): one.accuracy for one in slices}
    assert [name for column, name in found if column == "channel"] == ["chat", "email", "voice"]
    assert isinstance(found["channel", "voice"], TooFew)
    chat = found["channel", "chat"].estimate
    assert chat.low < right[(about["channel"] == "chat").to_numpy()].mean() < chat.high
    assert not [column for column, _ in found if column == "segment"]


def test_weeks_are_taken_together_until_they_bear_a_figure():
    said, truth, about, _ = company(seed=8, traffic=4000, weeks=8)
    periods = follow_accuracy(add_chances(serve(said, truth, about, window=Window(NOW - 8 * WEEK, NOW))))
    assert all(isinstance(period.accuracy, ServedAccuracy) for period in periods[:-1])
    assert periods[0].until - periods[0].since > WEEK
    assert [period.since for period in periods[1:]] == [period.until for period in periods[:-1]]
    assert follow_accuracy(add_chances(serve(said.clear(), truth, about))) == []


def test_what_became_of_the_drawn_cases_adds_up():
    drawn = [f"d-{number}" for number in range(6)]
    told = serve(predictions(dict.fromkeys(drawn, "refund")), settled({drawn[0]: "refund"}), arrived(drawn))
    rows = [
        {"interaction_id": drawn[0], "unanswered": "skipped"},
        {"interaction_id": drawn[1], "unanswered": "skipped"},
        {"interaction_id": drawn[2], "label": CANNOT_TELL},
        {"interaction_id": drawn[2], "unanswered": "skipped"},
    ]
    reviews = t.REVIEWS.frame([row | {"task": "intent"} for row in rows])
    found = count_response(told, reviews, task="intent")
    assert found == Response(drawn=6, answered=1, unsure=1, skipped=1, waiting=3)
    assert found.missing_share == pytest.approx(5 / 6)
    assert count_response(told.clear(), reviews, task="intent").missing_share == 0


def test_the_interval_covers_the_truth_as_often_as_it_says():
    covered = []
    for seed in range(40):
        said, truth, about, right = company(seed=seed, traffic=1500, audit_share=0.2)
        found = estimate(said, truth, about)
        covered.append(found.estimate.low <= right.mean() <= found.estimate.high)
    assert np.mean(covered) >= 0.87


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
