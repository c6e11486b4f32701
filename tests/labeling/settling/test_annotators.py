from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from labeling.settling.agreement import measure_agreement
from labeling.settling.annotators import measure_annotators, measure_precision
from labeling.settling.consensus import find_consensus
from labeling.settling.gold import calibrate_confidences, fit_platt
from labeling.tables import REVIEWS
from tests.labeling.settling.test_consensus import reviews, simulate

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NO_GOLD = pl.Series([], dtype=pl.String)
SKILLS = {"a": 0.97, "b": 0.9, "c": 0.8, "d": 0.7, "e": 0.6}


def test_intervals_cover_the_true_skill():
    covered = total = 0
    for seed in range(5):
        table, _ = simulate(SKILLS, interactions=150, labels=6, seed=seed)
        measured = measure_annotators(find_consensus(table).held_out, gold=NO_GOLD, now=NOW)
        for row in measured.iter_rows(named=True):
            covered += row["low"] <= SKILLS[row["annotator_id"]] <= row["high"]
            total += 1
    assert covered / total >= 0.85


def test_an_interval_narrows_as_answers_overlap_and_is_wide_without_any():
    alone = reviews(*[(f"i{number}", "p", "x") for number in range(200)])
    row = measure_annotators(find_consensus(alone).held_out, gold=NO_GOLD, now=NOW).row(0, named=True)
    assert (row["answers"], row["overlapping"], row["skill"]) == (200, 0, 0.9)
    assert row["high"] - row["low"] > 0.4
    table, _ = simulate({"a": 0.9, "b": 0.9, "c": 0.9}, interactions=300, labels=5, seed=0)
    measured = measure_annotators(find_consensus(table).held_out, gold=NO_GOLD, now=NOW)
    assert np.max((measured["high"] - measured["low"]).to_numpy()) < 0.12


def test_precision_with_one_label_is_told_apart_from_skill():
    answers = []
    for number in range(120):
        right = "xyz"[number % 3]
        answers += [(f"i{number}", person, right) for person in ("p", "q")]
        answers.append((f"i{number}", "mixer", "x" if right == "y" else right))
    found = measure_precision(find_consensus(reviews(*answers)).held_out)
    mixer = dict(found.filter(pl.col("annotator_id") == "mixer").select("said", "precision").iter_rows())
    assert mixer["z"] > 0.9
    assert mixer["x"] < 0.65


def test_platt_finds_what_bends_confidence():
    rng = np.random.default_rng(0)
    said = rng.uniform(0.5, 0.99, size=4000)
    true = 1 / (1 + np.exp(-(0.5 * np.log(said / (1 - said)) + 0.2)))
    slope, shift = fit_platt(said, rng.random(4000) < true)
    assert (slope, shift) == (pytest.approx(0.5, abs=0.1), pytest.approx(0.2, abs=0.15))


def test_confidences_move_towards_gold_and_stay_where_gold_is_scarce():
    answers = [(f"g{number}", person, "x") for number in range(100) for person in "pqr"]
    answers += [
        (f"g{number}", "s", "x" if number % 3 else "y", 0, "intent", f"gold of g{number}") for number in range(100)
    ]
    found = find_consensus(reviews(*answers, ("lone", "s", "y")))
    gold = pl.Series([f"gold of g{number}" for number in range(100)])

    def lone(gold: pl.Series) -> float:
        moved = calibrate_confidences(found.verdicts, found.held_out, gold=gold)
        return moved.filter(pl.col("interaction_id") == "lone")["confidence"].item()

    before = found.verdicts.filter(pl.col("interaction_id") == "lone")["confidence"].item()
    assert lone(gold[:10]) == before
    assert lone(gold) != before


@pytest.mark.parametrize("skill", [0.7, 0.85])
def test_what_made_a_case_gold_does_not_make_people_look_better(skill):
    """Two who agree make a case gold; whoever is asked it again is right as often as people are, not more often."""
    rng = np.random.default_rng(0)
    labels, people = [f"l{number}" for number in range(10)], list("pqrst")

    def answer(truth: str) -> str:
        return truth if rng.random() < skill else str(rng.choice([name for name in labels if name != truth]))

    answers, gold, right = [], [], []
    for number in range(900):
        truth, asked = str(rng.choice(labels)), rng.permutation(people)[:3].tolist()
        said = [answer(truth) for _ in asked]
        answers += [(f"i{number}", asked[0], said[0])]
        if number < 400:
            answers += [(f"i{number}", asked[1], said[1])]
            if said[0] == said[1]:
                gold.append(f"gold of i{number}")
                answers += [(f"i{number}", asked[2], said[2], 1, "intent", gold[-1])]
        else:
            right.append(said[0] == truth)
    found = find_consensus(reviews(*answers))
    moved = calibrate_confidences(found.verdicts, found.held_out, gold=pl.Series(gold))
    lone = moved.filter(pl.col("answer_ids").list.len() == 1, pl.col("interaction_id").str.slice(1).cast(int) >= 400)
    assert lone["confidence"].mean() == pytest.approx(np.mean(right), abs=0.05)
    measured = measure_annotators(found.held_out, gold=pl.Series(gold), now=NOW)
    assert measured["gold_seen"].sum() == len(gold)


def test_alpha_is_one_where_all_agree_and_nothing_where_chance_would_do():
    same = reviews(*[(f"i{number}", person, "xy"[number % 2]) for number in range(20) for person in "pq"])
    assert measure_agreement(same) == {"intent": 1.0}
    rng = np.random.default_rng(0)
    drawn = [(f"i{number}", person, str(rng.choice(["x", "y"]))) for number in range(500) for person in "pq"]
    assert measure_agreement(reviews(*drawn))["intent"] == pytest.approx(0.0, abs=0.1)


def test_alpha_compares_differing_pairs_with_what_chance_would_give():
    """Eight units by two people, one apart; of 16 answers 3 a, 4 b, 4 c, 5 d."""
    rows = [
        (f"i{number}", person, said[number])
        for person, said in (("p", "abbccadd"), ("q", "abbccddd"))
        for number in range(8)
    ]
    by_chance = (16**2 - (3**2 + 4**2 + 4**2 + 5**2)) / (16 * 15)
    assert measure_agreement(reviews(*rows))["intent"] == pytest.approx(1 - (2 / 16) / by_chance)


def test_alpha_of_nothing_is_not_told():
    assert measure_agreement(REVIEWS.empty()) == {}
    assert measure_agreement(reviews(("i", "p", "x"), ("i", "q", "x"))) == {}
