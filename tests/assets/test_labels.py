"""The asset `labels`: what it writes, what it tells, and that doing it again changes nothing."""

import numpy as np
import polars as pl
import pytest

from assets.review import labels
from assets.suspicion import LABELS_NEEDED, is_due, rate_labels
from labeling import tables as t
from tests.assets.conftest import NOW

REFUND, CARD = "refund_status", "payment_failed"


def answer(stocked, *said, task="intent"):
    """(interaction, annotator, label) a row."""
    rows = [
        {"review_id": f"{name}-{person}", "interaction_id": name, "annotator_id": person, "label": label}
        for name, person, label in said
    ]
    stocked.put(t.REVIEWS, *rows, task=task)


def test_labels_and_annotators_are_written_and_told_of(stocked):
    stocked.interactions("a", "b", "c")
    answer(stocked, ("a", "p", REFUND), ("a", "q", REFUND), ("b", "p", CARD))
    answer(stocked, ("a", "p", "needed"), task="handoff")
    row = {"correction_id": "k", "interaction_id": "c", "task": "intent", "label": CARD, "agent_id": "g"}
    stocked.put(t.CORRECTIONS, row)
    told = stocked.make(labels)["labels"]
    assert (told["new"], told["changed"], told["suspicious"], told["influence_capped"]) == (4, 0, 0, 0)
    assert (told["from_review"], told["from_correction"]) == (3, 1)
    stored = stocked.tables.read(t.LABELS).sort("interaction_id", "task").select("interaction_id", "task", "label")
    assert stored.rows() == [
        ("a", "handoff", "needed"),
        ("a", "intent", REFUND),
        ("b", "intent", CARD),
        ("c", "intent", CARD),
    ]
    assert set(stocked.tables.read(t.ANNOTATORS)["annotator_id"]) == {"p", "q"}


def test_settling_again_changes_nothing(stocked):
    stocked.interactions("a", "b")
    answer(stocked, ("a", "p", REFUND), ("a", "q", CARD), ("b", "p", CARD))
    stocked.make(labels)
    before = stocked.tables.version(t.LABELS), stocked.tables.version(t.ANNOTATORS)
    told = stocked.make(labels)["labels"]
    assert (told["new"], told["changed"]) == (0, 0)
    assert (stocked.tables.version(t.LABELS), stocked.tables.version(t.ANNOTATORS)) == before


@pytest.fixture
def flipped(stocked):
    """A home with enough labels to rate, ten of them wrong, and the features of their texts."""
    rng = np.random.default_rng(0)
    names = [f"i{number:03}" for number in range(LABELS_NEEDED + 20)]
    truth = {name: (REFUND, CARD)[number % 2] for number, name in enumerate(names)}
    wrong = set(rng.choice(names, size=10, replace=False))
    stocked.interactions(*names)
    stocked.labels(
        {name: truth[name] if name not in wrong else truth[names[1 - names.index(name) % 2]] for name in names}
    )
    features = rng.normal(scale=0.4, size=(len(names), 16))
    features[:, 0] += [1.0 if truth[name] == REFUND else -1.0 for name in names]
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    by_text = {f"text of {name}": features[place] for place, name in enumerate(names)}
    return stocked, wrong, lambda loop, texts: np.stack([by_text[text] for text in texts])


def test_wrong_labels_are_suspected_and_others_are_not(flipped):
    stocked, wrong, features_of = flipped
    rated = rate_labels(stocked.loop, stocked.tables.read(t.LABELS), features_of=features_of)
    suspected = set(rated.filter(pl.col("suspicion") >= 0.5)["interaction_id"])
    assert len(suspected & wrong) >= 8
    assert len(suspected - wrong) <= 4
    assert rated["suspicion"].null_count() == 0


def test_few_new_labels_do_not_rate_all_again(flipped):
    stocked, _, features_of = flipped
    rated = rate_labels(stocked.loop, stocked.tables.read(t.LABELS), features_of=features_of)
    again = rated.with_columns(
        suspicion=pl.when(pl.col("interaction_id") == "i000").then(None).otherwise("suspicion"),
    )
    assert rate_labels(stocked.loop, again, features_of=features_of).equals(again)


def test_few_labels_are_not_rated():
    rows = t.LABELS.frame([{"interaction_id": "a", "label": "x", "settled_at": NOW}])
    assert not is_due(rows)
