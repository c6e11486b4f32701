"""What an agent is told of their corrections: the counts, and that it is theirs alone."""

import stat
from datetime import timedelta

import pytest

from assets.agent_report import InTrainingSet, render_agent_report, summarise_agent, write_agent_report
from assets.label_quality import label_quality
from assets.reports import drop_reports
from labeling import tables as t
from labeling.taxonomy import Taxonomy
from labeling.vocabulary import CANNOT_TELL
from tests.assets.conftest import NOW
from training.features import digest_text

KEY = b"key"
HOUR = timedelta(hours=1)
TASK = {"name": "intent", "question": "About what?", "rejects": True}
NAMED = {name: {"name": name, "title": name} for name in ("refund", "money_back", "billing")}


def corrected(stocked, said, *, agent="ann", at=NOW, task="intent"):
    rows = [
        {"correction_id": f"{agent}-{name}-{at.timestamp()}", "interaction_id": name, "label": label}
        for name, label in said.items()
    ]
    stocked.put(t.CORRECTIONS, *rows, task=task, agent_id=agent, previous_label="billing", corrected_at=at)


def featured(stocked, features):
    rows = [
        {"text_digest": digest_text(KEY, f"text of {name}"), "feature": vector} for name, vector in features.items()
    ]
    stocked.put(t.FEATURES, *rows, encoder_digest="e")


PLAIN = Taxonomy.model_validate(
    {"schema_version": 1, "version": 1, "tasks": [TASK | {"labels": [NAMED["refund"], NAMED["billing"]]}]}
)
RENAMED = Taxonomy.model_validate(
    {
        "schema_version": 1,
        "version": 2,
        "tasks": [TASK | {"labels": [NAMED["money_back"], NAMED["billing"]]}],
        "migrations": [{"version": 2, "tasks": {"intent": {"rename": {"refund": "money_back"}}}}],
    }
)


def summary(stocked, *, agent="ann", champion="2", taxonomy=PLAIN):
    return summarise_agent(stocked.tables, taxonomy=taxonomy, agent_id=agent, key=KEY, champion=champion)


@pytest.fixture
def worked(stocked):
    """Ann corrected five messages to refund; four like the first came since, and one before."""
    stocked.interactions("a", "b", "c", "d", "e", occurred_at=NOW - HOUR)
    corrected(stocked, dict.fromkeys("abcde", "refund"))
    corrected(stocked, {"a": "cancel"}, agent="bob")
    stocked.labels({"a": "refund", "b": "billing", "c": CANNOT_TELL})
    stocked.labels({"d": "refund"}, source="correction")
    return stocked


def test_each_correction_is_confirmed_overruled_or_waits(worked):
    found = summary(worked)
    assert (found.made, found.confirmed, found.overruled, found.unsure, found.waiting) == (5, 1, 1, 1, 2)
    assert summary(worked, agent="bob").overruled == 1
    assert summary(worked, agent="nobody").made == 0


def test_the_newest_correction_of_a_message_counts(worked):
    corrected(worked, {"a": "billing"}, at=NOW + HOUR)
    found = summary(worked)
    assert (found.made, found.confirmed, found.overruled) == (5, 0, 2)


def test_a_correction_was_learnt_where_a_training_set_says_the_same(worked):
    rows = [
        {"training_set_id": "0123456789abcdef", "interaction_id": "a", "label": "refund", "split": "train"},
        {"training_set_id": "0123456789abcdef", "interaction_id": "b", "label": "billing", "split": "train"},
        {"training_set_id": "0123456789abcdef", "interaction_id": "d", "label": "refund", "split": "dev"},
        {"training_set_id": "second", "interaction_id": "a", "label": "refund", "split": "train"},
    ]
    worked.put(t.TRAINING_SETS, *rows, task="intent", weight=0.9, text_digest="x")
    found = summary(worked)
    assert found.trained == 1
    assert found.training_sets == (
        InTrainingSet("0123456789ab", "intent", NOW, 1),
        InTrainingSet("second", "intent", NOW, 1),
    )


def test_a_label_that_was_renamed_since_is_the_same_label(worked):
    worked.interactions("like", occurred_at=NOW + HOUR)
    featured(worked, {"a": [1.0, 0.0], "like": [0.96, 0.28]})
    worked.put(t.PREDICTIONS, {"interaction_id": "like", "label": "money_back"}, task="intent", model_version="2")
    worked.labels({"e": "money_back"})
    learnt = {"training_set_id": "new", "interaction_id": "a", "label": "money_back", "split": "train"}
    worked.put(t.TRAINING_SETS, learnt, task="intent", weight=0.9, text_digest="x")
    found = summary(worked, taxonomy=RENAMED)
    assert (found.confirmed, found.trained, found.similar, found.answered_so) == (2, 1, 1, 1)
    assert summary(worked).confirmed == 1


def test_similar_messages_since_are_counted_and_how_the_champion_answers_them(worked):
    worked.interactions("like-1", "like-2", "unlike", "not-answered", occurred_at=NOW + HOUR)
    worked.interactions("before", occurred_at=NOW - 2 * HOUR)
    near, far = [0.96, 0.28], [0.0, 1.0]
    likes = dict.fromkeys(("like-1", "like-2", "before", "not-answered"), near)
    featured(worked, {"a": [1.0, 0.0], "unlike": far} | likes)
    answers = {"like-1": "refund", "like-2": "billing", "unlike": "refund", "before": "refund"}
    rows = [{"interaction_id": name, "label": label} for name, label in answers.items()]
    worked.put(t.PREDICTIONS, *rows, task="intent", model_version="2")
    worked.put(t.PREDICTIONS, {"interaction_id": "like-2", "label": "refund"}, task="intent", model_version="1")
    found = summary(worked)
    assert (found.similar, found.answered_so) == (2, 1)
    assert summary(worked, champion=None).similar == 0


def test_the_page_outlives_a_review_job_and_goes_with_an_erasure(worked):
    page = write_agent_report(worked.loop, agent_id="ann")
    assert "ann" not in page.name
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert stat.S_IMODE(page.parent.stat().st_mode) == 0o700
    worked.make(label_quality)
    assert "Corrections of ann" in page.read_text(encoding="utf-8")
    drop_reports(worked.home.reports)
    assert not page.exists()


def test_the_page_shows_texts_as_text_and_names_nobody_else(worked):
    worked.interactions("e", text="<script>x</script>", updated_at=NOW + HOUR)
    page = render_agent_report(worked.tables, taxonomy=PLAIN, agent_id="ann", key=KEY, champion="2", now=NOW)
    assert "<script" not in page
    assert "&lt;script&gt;x&lt;/script&gt;" in page
    assert "bob" not in page
    assert "Corrections of ann" in page
    assert "<td>confirmed" in page
    empty = render_agent_report(worked.tables, taxonomy=PLAIN, agent_id="<b>", key=KEY, champion=None, now=NOW)
    assert "No model is live yet" in empty
    assert "<b>" not in empty
