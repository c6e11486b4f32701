from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from benchmarks.agents import judge, run_seed
from benchmarks.harness.simulated_agents import World, play
from labeling.settling.consensus import find_consensus
from labeling.settling.observation import Rates, measure_rates, settle_seen, usable_silence
from labeling.settling.seen import gather_seen
from labeling.settling.settle import settle
from labeling.tables import CORRECTIONS, ESCALATIONS, INTERACTIONS, PREDICTIONS

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LABELS = ("x", "y", "z")


def rates(**changed) -> Rates:
    even = (1 - np.eye(3)) / 2
    known = Rates(LABELS, 0.5, 0.02, 0.9, errors=50.0, mistaken=even, notice=np.full(3, 0.5))
    return replace(known, **changed)


def seen(*rows: tuple) -> pl.DataFrame:
    """(shown, sureness, given[, agent]) a row, opened on record in the open lot."""
    frame = [
        {
            "interaction_id": f"i{number}",
            "task": "intent",
            "lot": "open",
            "shown": shown,
            "sureness": sureness,
            "was_shown": True,
            "on_record": True,
            "given": given,
            "agent_id": agent[0] if agent else "a",
        }
        for number, (shown, sureness, given, *agent) in enumerate(rows)
    ]
    return pl.DataFrame(
        frame,
        schema_overrides={"given": pl.String, "shown": pl.String, "sureness": pl.Float64},
        infer_schema_length=None,
    )


def confidences(rows: pl.DataFrame, known: Rates) -> list[float]:
    return settle_seen(rows, known)["confidence"].to_list()


def test_silence_says_more_the_more_is_noticed_and_nothing_where_nothing_is():
    silent = seen(("x", 0.7, None))
    blind, alert = rates(notice=np.zeros(3), false_alarm=0.0), rates(notice=np.full(3, 0.9), false_alarm=0.0)
    assert confidences(silent, blind) == pytest.approx([0.7])
    assert confidences(silent, alert) == pytest.approx([0.7 / (0.7 + 0.3 * 0.1)])


def test_a_correction_is_believed_less_the_surer_the_model_and_the_more_false_alarms():
    sure, unsure = confidences(seen(("x", 0.95, "y"), ("x", 0.5, "y")), rates(false_alarm=0.01))
    assert 0.5 < sure < unsure
    assert confidences(seen(("x", 0.5, "y")), rates(false_alarm=0.2))[0] < unsure


def test_a_sure_model_stands_against_an_agent_who_corrects_right_answers():
    settled = settle_seen(seen(("x", 0.95, "y", "meddler"), ("x", 0.95, "y")), rates(meddling={"meddler": 8.0}))
    assert settled["label"].to_list() == ["x", "y"]


def test_a_correction_without_a_known_prediction_is_believed_as_far_as_the_priors():
    assert 0.6 < confidences(seen((None, None, "y")), rates())[0] < 0.95


def test_silence_is_usable_only_where_enough_is_known_and_its_posterior_is_high():
    settled = settle_seen(seen(("x", 0.95, None), ("x", 0.5, None), ("x", 0.95, "y")), rates())
    assert usable_silence(settled, rates())["interaction_id"].to_list() == ["i0"]
    assert usable_silence(settled, rates(errors=3.0)).is_empty()
    assert usable_silence(settled.with_columns(on_record=pl.lit(value=False)), rates()).is_empty()


def test_rates_are_found_on_audit_cases():
    world = World(messages=20_000, audit_share=0.5, false_alarms=(0.02, 0.02), given_right=(0.8, 0.8))
    found = measure(world)
    assert found.any_notice == pytest.approx(0.55, abs=0.05)
    assert found.false_alarm == pytest.approx(0.02, abs=0.007)
    assert found.any_accuracy == pytest.approx(0.8, abs=0.06)


def test_rates_of_few_cases_stay_near_what_all_have_in_common():
    few, many = (np.std(measure(World(messages=count)).notice) for count in (1500, 30_000))
    assert few < 0.1 < many


def measure(world: World) -> Rates:
    played = play(world, np.random.default_rng(2))
    tables = played.answers
    reviewed = find_consensus(tables.reviews).verdicts
    looked = gather_seen(
        interactions=tables.interactions,
        predictions=tables.predictions,
        corrections=tables.corrections,
        escalations=tables.escalations,
    )
    return measure_rates(looked, reviewed, labels=played.taxonomy.tasks[0].trainable)


def test_without_audit_cases_the_priors_rule():
    found = measure_rates(seen(("x", 0.9, "y")), pl.DataFrame(schema=REVIEWED), labels=LABELS)
    assert (found.any_notice, found.false_alarm, found.any_accuracy, found.errors) == (0.5, 0.02, 0.8, 0.0)


REVIEWED = {"interaction_id": pl.String, "label": pl.String, "confidence": pl.Float64}


def test_opened_is_what_an_agent_handled_what_escalated_and_what_was_corrected():
    names = ("agent", "ai", "escalated", "corrected")
    interactions = INTERACTIONS.frame(
        [
            {"interaction_id": name, "conversation_id": f"of-{name}", "lot": "open", "handled_by": "ai"}
            | ({"handled_by": "agent"} if name == "agent" else {})
            for name in names
        ]
    )
    said = [
        {"interaction_id": name, "task": "intent", "label": "x", "confidence": 0.9, "model_version": "1", "shown": True}
        for name in names
    ]
    made = {"correction_id": "c", "interaction_id": "corrected", "task": "intent", "label": "y", "corrected_at": NOW}
    looked = gather_seen(
        interactions=interactions,
        predictions=PREDICTIONS.frame(said),
        corrections=CORRECTIONS.frame([made | {"previous_label": "x"}]),
        escalations=ESCALATIONS.frame([{"escalation_id": "e", "conversation_id": "of-escalated"}]),
    )
    rows = looked.select("interaction_id", "on_record", "given").rows()
    assert rows == [("agent", True, None), ("corrected", False, "y"), ("escalated", True, None)]


def test_what_was_shown_counts_not_what_a_later_model_says():
    about = {"interaction_id": "i", "task": "intent"}
    said = [
        about | {"label": "y", "confidence": 0.6, "model_version": "2", "shown": False},
        about | {"label": "x", "confidence": 0.9, "model_version": "1", "shown": True},
    ]
    looked = gather_seen(
        interactions=INTERACTIONS.frame([{"interaction_id": "i", "lot": "open", "handled_by": "agent"}]),
        predictions=PREDICTIONS.frame(said),
        corrections=CORRECTIONS.empty(),
        escalations=ESCALATIONS.empty(),
    )
    assert looked.select("shown", "sureness").rows() == [("x", 0.9)]


def test_settled_labels_of_simulated_agents_are_calibrated_and_beat_silence_as_agreement():
    results = run_seed(1, World(messages=5000))
    ours, peer = results["ours"], results["one_coin"]
    assert ours["ece"] <= 0.05
    assert ours["shift"] <= 2.0
    assert ours["accuracy"] > peer["accuracy"]
    assert ours["ece"] < peer["ece"]


def test_a_hostile_agent_does_not_move_an_intent():
    played = play(World(messages=6000, agents=5), np.random.default_rng(3))
    events = played.events.with_columns(
        given=pl.when((pl.col("agent") == "agent-00") & (pl.col("truth") == "intent_05"))
        .then(pl.lit("intent_06"))
        .otherwise("given")
    )
    made = events.filter(pl.col("given").is_not_null() & (pl.col("given") != pl.col("shown"))).select(
        "interaction_id",
        correction_id="interaction_id",
        task=pl.lit("intent"),
        label="given",
        previous_label="shown",
        agent_id="agent",
        corrected_at=pl.lit(NOW),
    )
    attacked = replace(played.answers, corrections=made)
    labels = settle(attacked, taxonomy=played.taxonomy, now=NOW).labels.join(events, on="interaction_id")
    target = labels.filter((pl.col("lot") == "open") & (pl.col("truth") == "intent_05"))
    weights = dict(target.group_by("label").agg(pl.col("confidence").sum()).iter_rows())
    assert weights["intent_05"] > 3 * weights["intent_06"]
    assert judge(target, target.height)["accuracy"] > 0.7
