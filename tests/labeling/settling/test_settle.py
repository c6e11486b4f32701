from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from labeling.delta import Tables
from labeling.settling.settle import settle
from labeling.tables import CORRECTIONS, INTERACTIONS, LABELS, REVIEWS

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def tables(tmp_path) -> Tables:
    tables = Tables(tmp_path)
    known = [{"interaction_id": name, "lot": "open", "updated_at": NOW} for name in ("i", "j")]
    tables.merge(INTERACTIONS, INTERACTIONS.frame(known))
    return tables


def answer(tables: Tables, interaction: str, label: str, *, minutes: int = 0, by: str = "p") -> None:
    name = f"{interaction}-{by}-{minutes}"
    row = {"review_id": name, "interaction_id": interaction, "annotator_id": by, "task": "intent", "label": label}
    tables.merge(REVIEWS, REVIEWS.frame([row | {"answered_at": NOW + timedelta(minutes=minutes)}]))


def correct(tables: Tables, interaction: str, label: str) -> None:
    row = {"correction_id": interaction, "interaction_id": interaction, "task": "intent", "label": label}
    tables.merge(CORRECTIONS, CORRECTIONS.frame([row | {"agent_id": "a", "corrected_at": NOW}]))


def settle_all(tables: Tables, now: datetime = NOW) -> pl.DataFrame:
    changed = settle(
        reviews=tables.read(REVIEWS),
        corrections=tables.read(CORRECTIONS),
        interactions=tables.read(INTERACTIONS),
        labels=tables.read(LABELS),
        now=now,
    )
    merged = tables.merge(LABELS, changed)
    assert merged.inserted + merged.updated == changed.height
    return changed


def stored(tables: Tables) -> dict[str, tuple[str, str]]:
    rows = tables.read(LABELS).select("interaction_id", "label", "source").rows()
    return {interaction: (label, source) for interaction, label, source in rows}


def test_settling_twice_changes_nothing(tables):
    answer(tables, "i", "x")
    correct(tables, "j", "y")
    assert settle_all(tables).height == 2
    assert stored(tables) == {"i": ("x", "review"), "j": ("y", "correction")}
    assert settle_all(tables, NOW + timedelta(days=1)).is_empty()


def test_a_review_replaces_a_correction_even_where_the_clock_stands_still_or_goes_back(tables):
    correct(tables, "i", "y")
    settle_all(tables)
    answer(tables, "i", "x")
    settle_all(tables)
    assert stored(tables) == {"i": ("x", "review")}
    answer(tables, "i", "z", minutes=1)
    settle_all(tables, NOW - timedelta(days=1))
    assert stored(tables) == {"i": ("z", "review")}


def test_an_answer_taken_back_leaves_no_label_behind(tables):
    answer(tables, "i", "x")
    settle_all(tables)
    answer(tables, "i", "cannot_tell", minutes=1)
    settle_all(tables)
    assert stored(tables) == {"i": ("cannot_tell", "review")}
    assert settle_all(tables).is_empty()
    answer(tables, "i", "y", minutes=2)
    settle_all(tables)
    assert stored(tables) == {"i": ("y", "review")}


def test_only_labels_that_changed_come_back(tables):
    answer(tables, "i", "x")
    settle_all(tables)
    answer(tables, "j", "y")
    assert settle_all(tables)["interaction_id"].to_list() == ["j"]


def test_a_new_correction_changes_a_corrected_label(tables):
    correct(tables, "i", "x")
    settle_all(tables)
    row = {"correction_id": "k2", "interaction_id": "i", "task": "intent", "label": "y", "agent_id": "a"}
    tables.merge(CORRECTIONS, CORRECTIONS.frame([row | {"corrected_at": NOW + timedelta(minutes=1)}]))
    settle_all(tables)
    assert stored(tables) == {"i": ("y", "correction")}
