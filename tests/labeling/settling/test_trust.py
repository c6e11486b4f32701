from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from labeling.settling.trust import measure_trust, newest_corrections, settle_corrections
from labeling.tables import CORRECTIONS, INTERACTIONS, LABELS

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def corrections(*made: tuple) -> pl.DataFrame:
    """(interaction, label[, minutes]) a row."""
    rows = [
        {
            "correction_id": f"k{number}",
            "interaction_id": interaction,
            "task": "intent",
            "label": label,
            "agent_id": "a",
            "corrected_at": NOW + timedelta(minutes=rest[0] if rest else 0),
        }
        for number, (interaction, label, *rest) in enumerate(made)
    ]
    return CORRECTIONS.frame(rows)


def interactions(**lots: str) -> pl.DataFrame:
    return INTERACTIONS.frame([{"interaction_id": name, "lot": lot} for name, lot in lots.items()])


def reviewed(**labels: str) -> pl.DataFrame:
    rows = [
        {"interaction_id": name, "task": "intent", "label": label, "source": "review"} for name, label in labels.items()
    ]
    return LABELS.frame(rows)


def settled(made: pl.DataFrame, seen: pl.DataFrame, known: pl.DataFrame) -> list[tuple]:
    rows = settle_corrections(made, reviewed=known, interactions=seen, now=NOW)
    assert rows.schema == pl.Schema(LABELS.schema)
    return rows.select("interaction_id", "label", "confidence", "answer_ids").rows()


def test_an_open_correction_becomes_a_label_at_the_prior_s_weight():
    assert settled(corrections(("i", "x")), interactions(i="open"), LABELS.empty()) == [("i", "x", 0.67, ["k0"])]


def test_the_audit_lot_and_interactions_that_have_not_come_are_left_alone():
    made = corrections(("i", "x"), ("j", "x"), ("later", "x"))
    assert settled(made, interactions(i="audit", j="open"), LABELS.empty()) == [("j", "x", 0.67, ["k1"])]


def test_a_review_outranks_a_correction():
    assert settled(corrections(("i", "x")), interactions(i="open"), reviewed(i="y")) == []


def test_the_newest_correction_counts():
    made = corrections(("i", "x", 5), ("i", "y", 9), ("i", "z", 1))
    assert [row[1] for row in settled(made, interactions(i="open"), LABELS.empty())] == ["y"]


@pytest.mark.parametrize(("right", "wrong", "trust"), [(8, 0, 10 / 11), (0, 8, 2 / 11), (0, 0, 2 / 3)])
def test_trust_is_measured_on_interactions_that_were_reviewed_too(right, wrong, trust):
    made = corrections(*[(f"i{number}", "x") for number in range(right + wrong)], ("new", "x"))
    known = reviewed(**{f"i{number}": "x" if number < right else "y" for number in range(right + wrong)})
    measured = measure_trust(newest_corrections(made), known).row(0, named=True)
    assert (measured["trust"], measured["compared"]) == (pytest.approx(trust), right + wrong)
    assert settled(made, interactions(new="open"), known) == [("new", "x", round(trust, 2), [f"k{right + wrong}"])]


def test_no_corrections_settle_to_no_labels():
    assert settled(CORRECTIONS.empty(), interactions(i="open"), reviewed(i="y")) == []
