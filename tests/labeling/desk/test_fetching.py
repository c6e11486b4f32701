"""What a fetch brings: what is new, changed or deleted since the newest answer that is stored."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from labeling import tables as t
from labeling.delta import Tables
from labeling.desk.desk import NOTE
from labeling.desk.fake import FakeReviewDesk
from labeling.desk.fetching import fetch_answers, newest_answer
from tests.contracts.desks import TAXONOMY, case

NOW = datetime(2026, 3, 9, tzinfo=UTC)
GOOD = {"intent": "card_lost", "sentiment": "neutral"}


class Home:
    """Two cases at a fake desk, and tables that take in what is fetched."""

    def __init__(self, folder):
        self.tables, self.desk = Tables(folder / "tables"), FakeReviewDesk(folder / "desk")
        self.desk.open_project(TAXONOMY)
        self.desk.send([case(1), case(2)])

    def answer(self, number, labels, *, hours, person="ann-1"):
        self.desk.answer(f"case-{number:05d}", person, labels, NOW + timedelta(hours=hours))

    def change(self, number, labels, *, hours):
        self.desk.change_answer(f"case-{number:05d}", "ann-1", labels, NOW + timedelta(hours=hours))

    def fetch(self, *, taxonomy=TAXONOMY):
        self.desk.open_project(taxonomy)
        fetched = fetch_answers(self.tables, self.desk, taxonomy=taxonomy, redact=str.upper)
        self.tables.merge(t.REVIEWS, fetched.rows)
        return fetched

    def labels(self):
        rows = self.tables.read(t.REVIEWS).sort("case_id", "task")
        return [(row["case_id"][-1], row["task"], row["label"], row["unanswered"]) for row in rows.to_dicts()]


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def test_only_what_is_new_is_fetched_and_a_fetch_that_was_not_stored_comes_again(home):
    home.answer(1, GOOD, hours=0)
    unstored = fetch_answers(home.tables, home.desk, taxonomy=TAXONOMY, redact=None)
    assert unstored.rows.equals(home.fetch().rows)
    home.answer(2, GOOD, hours=9)
    home.fetch()
    assert home.fetch().rows["case_id"].unique().to_list() == ["case-00002"]
    assert len(home.labels()) == 4
    assert newest_answer(home.tables) == NOW + timedelta(hours=9)


def test_rows_from_files_and_withdrawn_ones_do_not_move_the_cursor(home):
    home.answer(1, GOOD, hours=0)
    home.fetch()
    later = {"review_id": "file", "task": "intent", "label": "x", "answered_at": NOW + timedelta(days=9)}
    gone = later | {"review_id": "gone", "case_id": "case-9", "unanswered": "withdrawn", "label": None}
    home.tables.merge(t.REVIEWS, t.REVIEWS.frame([later, gone]))
    assert newest_answer(home.tables) == NOW


def test_an_answer_deleted_at_the_desk_is_withdrawn_once(home):
    home.answer(1, GOOD, hours=0)
    home.answer(2, GOOD, hours=1)
    home.fetch()
    home.desk.delete_answer("case-00001", "ann-1", NOW + timedelta(hours=2))
    assert home.fetch().withdrawn == 1
    assert home.labels() == [
        ("1", "intent", None, "withdrawn"),
        ("1", "sentiment", None, "withdrawn"),
        ("2", "intent", "card_lost", None),
        ("2", "sentiment", "neutral", None),
    ]
    assert home.fetch().withdrawn == 0
    home.answer(1, GOOD, hours=3, person="ann-2")
    home.fetch()
    assert home.labels().count(("1", "intent", "card_lost", None)) == 1


def test_a_changed_answer_takes_the_place_of_the_first_and_what_it_leaves_out_is_withdrawn(home):
    home.answer(1, GOOD | {"handoff": "needed"}, hours=0)
    home.fetch()
    home.change(1, {"intent": "card_new", "sentiment": "neutral"}, hours=1)
    home.fetch()
    assert home.labels() == [
        ("1", "handoff", None, "withdrawn"),
        ("1", "intent", "card_new", None),
        ("1", "sentiment", "neutral", None),
    ]


def test_a_skip_taken_back_becomes_an_answer(home):
    home.answer(1, None, hours=0)
    assert home.fetch().skipped == 1
    assert home.labels() == [("1", "intent", None, "skipped"), ("1", "sentiment", None, "skipped")]
    home.change(1, GOOD, hours=1)
    home.fetch()
    assert home.labels() == [("1", "intent", "card_lost", None), ("1", "sentiment", "neutral", None)]


def test_labels_of_an_older_taxonomy_stay_as_they_were_given(home):
    home.answer(1, GOOD, hours=0)
    home.fetch()
    intent = TAXONOMY.tasks[0]
    fewer = intent.model_copy(update={"labels": intent.labels[1:]})
    changed = TAXONOMY.model_copy(update={"version": 2, "tasks": (fewer, TAXONOMY.tasks[1])})
    home.change(1, GOOD | {"sentiment": "positive"}, hours=1)
    assert home.fetch(taxonomy=changed).refused == 1
    assert home.labels() == [("1", "intent", "card_lost", None), ("1", "sentiment", "positive", None)]


def test_unknown_labels_are_refused_and_counted_and_notes_are_redacted(home):
    home.answer(1, {"intent": "no such label", "sentiment": "neutral", NOTE: "Jane"}, hours=0)
    fetched = home.fetch()
    assert (fetched.refused, fetched.rows.height) == (1, 1)
    assert home.tables.read(t.REVIEWS).filter(pl.col("note") == "JANE").height == 1
