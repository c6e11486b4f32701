from collections.abc import Mapping

import numpy as np
import polars as pl
import pytest

from labeling.settling.annotators import measure_precision
from labeling.settling.consensus import find_consensus
from labeling.settling.influence import ALONE_AT_MOST, SCALED_AT_LEAST, limit_influence
from labeling.vocabulary import NONE_OF_THESE
from tests.labeling.settling.test_consensus import reviews

INTENTS = [f"intent_{number}" for number in range(8)]
TARGET, FALSE = INTENTS[0], INTENTS[1]
NOBODY = pl.DataFrame(schema={"annotator_id": pl.String, "task": pl.String, "said": pl.String, "precision": pl.Float64})


def verdicts(*rows: tuple) -> pl.DataFrame:
    """(label, confidence, supporters) a row."""
    return pl.DataFrame(
        [
            {"interaction_id": f"i{number}", "task": "intent", "label": label, "confidence": sure, "supporters": names}
            for number, (label, sure, names) in enumerate(rows)
        ],
        schema_overrides={"supporters": pl.List(pl.String), "confidence": pl.Float64},
    )


def weight_of(limited: pl.DataFrame, label: str, *people: str) -> float:
    own = pl.col("supporters").list.eval(pl.element().is_in(people)).list.all()
    return float(limited.filter((pl.col("label") == label) & own)["confidence"].sum())


def test_a_label_that_rests_on_one_person_is_never_all_but_certain():
    limited = limit_influence(verdicts(("x", 0.99, ["p"]), ("x", 0.99, ["p", "q"])), NOBODY)
    assert limited["confidence"].to_list() == [ALONE_AT_MOST, 0.99]
    assert not limited["is_capped"].any()


def test_whoever_is_often_wrong_with_a_label_is_believed_less_with_it_alone():
    known = pl.DataFrame({"annotator_id": ["p"], "task": ["intent"], "said": ["x"], "precision": [0.3]})
    limited = limit_influence(verdicts(("x", 0.9, ["p"]), ("y", 0.9, ["p"]), ("x", 0.97, ["p", "q"])), known)
    assert limited["confidence"].to_list() == [0.3, 0.9, 0.97]
    assert limited["is_capped"].to_list() == [True, False, False]


def test_one_person_s_labels_weigh_as_much_as_all_others_of_an_intent_or_half_as_much_as_before():
    others = [("y", 0.9, [name]) for name in "qrst" for _ in range(60)]
    two_thirds = [("x", 0.9, ["p"])] * 40 + [("x", 0.9, [name]) for name in "qrst" for _ in range(7)]
    limited = limit_influence(verdicts(*two_thirds, *others), NOBODY)
    assert weight_of(limited, "x", "p") == pytest.approx(weight_of(limited, "x", *"qrst"))
    assert limited["is_capped"].sum() == 40
    most = [("x", 0.9, ["p"])] * 40 + [("x", 0.9, [name]) for name in "qrst"]
    limited = limit_influence(verdicts(*most, *others), NOBODY)
    assert weight_of(limited, "x", "p") == pytest.approx(40 * 0.9 * SCALED_AT_LEAST)


def test_a_few_labels_are_free_and_a_team_of_one_or_two_is_left_alone():
    few = [("x", 0.9, ["p"])] * 5 + [("y", 0.9, [name]) for name in "qrst" for _ in range(20)]
    assert limit_influence(verdicts(*few), NOBODY)["confidence"].to_list() == [0.9] * 85
    for team in ("p", "pq"):
        small = [(label, 0.9, [name]) for label in "xy" for name in team for _ in range(30)]
        assert set(limit_influence(verdicts(*small), NOBODY)["confidence"]) == {0.9}


def test_two_people_together_weigh_at_most_two_thirds_of_an_intent():
    pair = [("x", 0.9, ["p"])] * 12 + [("x", 0.9, ["q"])] * 12 + [("x", 0.95, ["p", "q"])] * 6
    rest = [("x", 0.9, [name]) for name in "rstu" for _ in range(5)]
    others = [("y", 0.9, [name]) for name in "pqrstu" for _ in range(60)]
    limited = limit_influence(verdicts(*pair, *rest, *others), NOBODY)
    assert weight_of(limited, "x", "p", "q") == pytest.approx(27.3)
    more = [*pair, *pair, *rest, *others]
    limited = limit_influence(verdicts(*more), NOBODY)
    assert weight_of(limited, "x", "p", "q") == pytest.approx(2 * weight_of(limited, "x", *"rstu"))


def test_a_label_that_nobody_gave_is_nobody_s_influence():
    assert limit_influence(verdicts(("x", 0.4, [])), NOBODY)["confidence"].to_list() == [0.4]


def test_no_verdicts_are_limited_to_none():
    assert limit_influence(verdicts(("x", 0.4, [])).clear(), NOBODY).columns[-1] == "is_capped"


def attack(seed: int, *, hostile: Mapping[str, float], honest: int = 5, overlap: float = 0.15) -> pl.DataFrame:
    """Settle 1,200 cases; hostile people file every message of one intent under another.

    ``hostile`` gives each one's share of that intent's cases; all other cases are dealt alike. Where two answers
    differ, a third person is asked. Honest people are right nine times in ten.
    """
    rng = np.random.default_rng(seed)
    people = [f"p{number}" for number in range(honest)] + list(hostile)
    even = np.full(len(people), 1 / len(people))
    aimed = np.array([(1 - sum(hostile.values())) / honest] * honest + list(hostile.values()))
    answers, truth = [], {}
    for number in range(1200):
        name, right = f"i{number}", INTENTS[rng.integers(len(INTENTS))]
        truth[name] = right
        asked = list(rng.permutation(rng.choice(people, size=3, replace=False, p=aimed if right == TARGET else even)))
        said = [say(rng, person, right, hostile) for person in asked]
        count = 1 if rng.random() >= overlap else 2 if said[0] == said[1] else 3
        answers += [(name, asked[place], said[place]) for place in range(count)]
    consensus = find_consensus(reviews(*answers))
    limited = limit_influence(consensus.verdicts, measure_precision(consensus.held_out))
    return limited.with_columns(truth=pl.col("interaction_id").replace_strict(truth))


def say(rng: np.random.Generator, person: str, right: str, hostile: Mapping[str, float]) -> str:
    if person in hostile and right == TARGET:
        return FALSE
    return right if rng.random() < 0.9 else str(rng.choice([*INTENTS, NONE_OF_THESE]))


def weights_on_target(limited: pl.DataFrame) -> dict[str, float]:
    of_target = limited.filter(pl.col("truth") == TARGET)
    return dict(of_target.group_by("label").agg(pl.col("confidence").sum()).iter_rows())


@pytest.mark.parametrize("seed", [0, 1])
def test_a_hostile_annotator_does_not_move_an_intent(seed):
    limited = attack(seed, hostile={"hostile": 1 / 6})
    weights = weights_on_target(limited)
    assert weights[TARGET] > 4 * weights[FALSE]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_hostile_annotator_who_takes_half_of_an_intent_s_cases_does_not_move_it(seed):
    limited = attack(seed, hostile={"hostile": 0.5})
    weights = weights_on_target(limited)
    assert weights[TARGET] > 1.5 * weights[FALSE]


@pytest.mark.parametrize("seed", [0, 1])
def test_two_who_collude_do_not_move_an_intent(seed):
    limited = attack(seed, hostile={"one": 0.2, "two": 0.2})
    weights = weights_on_target(limited)
    assert weights[TARGET] > weights[FALSE]


def test_an_honest_team_is_hardly_limited():
    limited = attack(0, hostile={})
    assert np.mean(limited["is_capped"].to_numpy()) < 0.05
