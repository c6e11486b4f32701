from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from labeling.delta import Tables
from labeling.settling.settle import Answers, Settlement, changed_annotators, changed_labels, settle
from labeling.tables import (
    ANNOTATORS,
    CORRECTIONS,
    ESCALATIONS,
    INTERACTIONS,
    LABELS,
    PREDICTIONS,
    REVIEW_QUEUE,
    REVIEWS,
)
from labeling.taxonomy import Taxonomy

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def taxonomy(**more) -> Taxonomy:
    task = {"name": "intent", "question": "?", "labels": [{"name": name, "title": name} for name in "xyz"]}
    return Taxonomy.model_validate({"schema_version": 1, "version": 1, "tasks": [task | {"rejects": True}]} | more)


@pytest.fixture
def tables(tmp_path) -> Tables:
    tables = Tables(tmp_path)
    known = [{"interaction_id": name, "lot": "open", "handled_by": "ai", "updated_at": NOW} for name in ("i", "j")]
    tables.merge(INTERACTIONS, INTERACTIONS.frame(known))
    return tables


def answer(tables: Tables, interaction: str, label: str | None, *, minutes: int = 0, by: str = "p", **more) -> None:
    name = f"{interaction}-{by}-{minutes}"
    row = {"review_id": name, "interaction_id": interaction, "annotator_id": by, "task": "intent", "label": label}
    tables.merge(REVIEWS, REVIEWS.frame([row | {"answered_at": NOW + timedelta(minutes=minutes)} | more]))


def correct(tables: Tables, interaction: str, label: str, *, minutes: int = 0) -> None:
    row = {"correction_id": f"{interaction}-{minutes}", "interaction_id": interaction, "task": "intent", "label": label}
    made = row | {"agent_id": "a", "corrected_at": NOW + timedelta(minutes=minutes)}
    tables.merge(CORRECTIONS, CORRECTIONS.frame([made]))


def read(tables: Tables) -> Answers:
    return Answers(
        reviews=tables.read(REVIEWS),
        corrections=tables.read(CORRECTIONS),
        interactions=tables.read(INTERACTIONS),
        predictions=tables.read(PREDICTIONS),
        escalations=tables.read(ESCALATIONS),
        queue=tables.read(REVIEW_QUEUE),
    )


def settle_all(tables: Tables, now: datetime = NOW, words: Taxonomy | None = None) -> pl.DataFrame:
    settled = settle(read(tables), taxonomy=words or taxonomy(), now=now)
    assert settled.labels.schema == pl.Schema(LABELS.schema)
    assert settled.annotators.schema == pl.Schema(ANNOTATORS.schema)
    changed = changed_labels(settled.labels, tables.read(LABELS), now=now)
    merged = tables.merge(LABELS, changed)
    assert merged.inserted + merged.updated == changed.height
    measured = changed_annotators(settled.annotators, tables.read(ANNOTATORS))
    merged = tables.merge(ANNOTATORS, measured)
    assert merged.inserted + merged.updated == measured.height
    return changed


def stored(tables: Tables) -> dict[str, tuple[str, str]]:
    rows = tables.read(LABELS).select("interaction_id", "label", "source").rows()
    return {interaction: (label, source) for interaction, label, source in rows}


def test_settling_twice_changes_nothing(tables):
    answer(tables, "i", "x")
    correct(tables, "j", "y")
    assert settle_all(tables).height == 2
    assert stored(tables) == {"i": ("x", "review"), "j": ("y", "correction")}
    before = tables.version(LABELS), tables.version(ANNOTATORS)
    assert settle_all(tables, NOW + timedelta(days=1)).is_empty()
    assert (tables.version(LABELS), tables.version(ANNOTATORS)) == before


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


def test_a_skip_leaves_no_label(tables):
    answer(tables, "i", None, unanswered="skipped")
    assert settle_all(tables).is_empty()


def test_only_labels_that_changed_come_back(tables):
    answer(tables, "i", "x")
    settle_all(tables)
    answer(tables, "j", "y")
    assert settle_all(tables)["interaction_id"].to_list() == ["j"]


def test_the_newest_correction_counts_and_is_the_one_that_is_named(tables):
    correct(tables, "i", "x")
    settle_all(tables)
    correct(tables, "i", "y", minutes=1)
    changed = settle_all(tables)
    assert changed.select("label", "source", "answer_ids").rows() == [("y", "correction", ["i-1"])]


def test_corrections_of_the_audit_lot_and_of_interactions_that_have_not_come_make_no_label(tables):
    tables.merge(INTERACTIONS, INTERACTIONS.frame([{"interaction_id": "k", "lot": "audit", "updated_at": NOW}]))
    for name in ("k", "later"):
        correct(tables, name, "x")
    assert settle_all(tables).is_empty()


def test_a_label_follows_the_taxonomy_when_it_is_renamed(tables):
    answer(tables, "i", "was_x")
    correct(tables, "j", "was_x")
    moved = taxonomy(version=2, migrations=[{"version": 2, "tasks": {"intent": {"rename": {"was_x": "x"}}}}])
    settle_all(tables, words=moved)
    assert stored(tables) == {"i": ("x", "review"), "j": ("x", "correction")}


def test_suspicion_is_kept_while_the_label_stays_and_falls_with_it(tables):
    answer(tables, "i", "x")
    settle_all(tables)
    doubted = tables.read(LABELS).with_columns(suspicion=pl.lit(0.7), settled_at=pl.lit(NOW + timedelta(hours=1)))
    tables.merge(LABELS, doubted)
    assert settle_all(tables).is_empty()
    answer(tables, "i", "x", by="q")
    settle_all(tables)
    assert tables.read(LABELS)["suspicion"].to_list() == [0.7]
    answer(tables, "i", "y", minutes=1)
    answer(tables, "i", "y", minutes=1, by="q")
    settle_all(tables)
    assert tables.read(LABELS)["suspicion"].to_list() == [None]


def test_a_new_suspicion_alone_leaves_the_time_of_settling_where_it_was(tables):
    answer(tables, "i", "x")
    settle_all(tables)
    later = NOW + timedelta(days=1)
    settled = settle(read(tables), taxonomy=taxonomy(), now=later).labels.with_columns(suspicion=pl.lit(0.4))
    changed = changed_labels(settled, tables.read(LABELS), now=later)
    assert changed["settled_at"].to_list() == [NOW + timedelta(microseconds=1)]
    assert tables.merge(LABELS, changed).updated == 1
    assert changed_labels(settled, tables.read(LABELS), now=later).is_empty()


def test_everybody_who_answered_is_measured_and_gold_is_counted(tables):
    said = [(f"i{number}", person, "x" if number % 2 else "y") for number in range(30) for person in ("p", "q")]
    said += [(f"i{number}", "careless", "x") for number in range(30)]
    rows = [
        {"review_id": f"{name}-{person}", "interaction_id": name, "annotator_id": person, "label": label}
        | {"case_id": f"gold-{name}" if person == "careless" else f"first-{name}"}
        for name, person, label in said
    ]
    tables.merge(REVIEWS, REVIEWS.frame([row | {"task": "intent", "answered_at": NOW} for row in rows]))
    gold = [{"case_id": f"gold-i{number}", "interaction_id": f"i{number}", "gold": True} for number in range(5)]
    tables.merge(REVIEW_QUEUE, REVIEW_QUEUE.frame(gold))
    settle_all(tables)
    found = {row["annotator_id"]: row for row in tables.read(ANNOTATORS).iter_rows(named=True)}
    assert found["p"]["skill"] > 0.85
    assert found["careless"]["skill"] < 0.7
    assert all(row["low"] < row["high"] and row["low"] <= row["skill"] <= row["high"] for row in found.values())
    assert {(row["answers"], row["overlapping"]) for row in found.values()} == {(30, 30)}
    assert {name: row["gold_seen"] for name, row in found.items()} == {"p": 0, "q": 0, "careless": 5}


def test_the_order_of_all_tables_is_of_no_effect():
    def turn(answers: Answers, rng: np.random.Generator) -> Answers:
        return Answers(**{name: table[rng.permutation(table.height)] for name, table in vars(answers).items()})

    answers = mixed_answers()
    once = settle(answers, taxonomy=taxonomy(), now=NOW)
    for seed in range(3):
        again = settle(turn(answers, np.random.default_rng(seed)), taxonomy=taxonomy(), now=NOW)
        assert once.labels.equals(again.labels)
        assert once.annotators.equals(again.annotators)
        assert (once.capped, once.agreement) == (again.capped, again.agreement)
    assert sources(once) == {"review", "correction", "silence"}


def test_silence_makes_a_label_only_where_audits_tell_how_often_errors_are_noticed():
    answers = mixed_answers()
    unaudited = Answers(**(vars(answers) | {"reviews": REVIEWS.empty()}))
    assert sources(settle(answers, taxonomy=taxonomy(), now=NOW)) == {"review", "correction", "silence"}
    assert sources(settle(unaudited, taxonomy=taxonomy(), now=NOW)) == {"correction"}


def sources(settled: Settlement) -> set[str]:
    return set(settled.labels["source"])


def mixed_answers() -> Answers:
    """600 messages of three intents, a third of them audited; half of the model's errors are corrected."""
    rng = np.random.default_rng(4)
    rows: dict[str, list] = {"reviews": [], "corrections": [], "interactions": [], "predictions": []}
    for number in range(600):
        name, truth = f"m{number:03}", "xyz"[number % 3]
        shown = truth if rng.random() < 0.8 else "xyz"[(number + 1) % 3]
        is_audit = number % 9 < 3
        about = {"interaction_id": name, "task": "intent"}
        rows["interactions"].append(
            {"interaction_id": name, "lot": "audit" if is_audit else "open", "handled_by": "agent"}
        )
        rows["predictions"].append(
            about | {"label": shown, "confidence": 0.8, "model_version": "1", "shown": True, "predicted_at": NOW}
        )
        if shown != truth and rng.random() < 0.5:
            made = {"correction_id": f"c{name}", "label": truth, "previous_label": shown, "agent_id": "a"}
            rows["corrections"].append(about | made | {"corrected_at": NOW})
        if is_audit:
            said = {"review_id": f"r{name}", "label": truth, "annotator_id": "pq"[number % 2], "answered_at": NOW}
            rows["reviews"].append(about | said)
    return Answers(
        reviews=REVIEWS.frame(rows["reviews"]),
        corrections=CORRECTIONS.frame(rows["corrections"]),
        interactions=INTERACTIONS.frame(rows["interactions"]),
        predictions=PREDICTIONS.frame(rows["predictions"]),
        escalations=ESCALATIONS.empty(),
        queue=REVIEW_QUEUE.empty(),
    )
