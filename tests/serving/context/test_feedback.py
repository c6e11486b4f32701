"""What agents say of the context package, counted by intent."""

import pytest
from pydantic import ValidationError

from labeling import tables as t
from labeling.delta import Tables
from serving.context.feedback import ContextFeedback, report_feedback
from tests.serving.context.talks import NOW, TAXONOMY, close_case, put


def say(tables, name, interaction, *, helped="helped", missing=()):
    said = ContextFeedback(feedback_id=name, interaction_id=interaction, given_at=NOW, helped=helped, missing=missing)
    put(tables, t.CONTEXT_FEEDBACK, *(row | {"given_at": NOW} for row in said.rows()))


def test_feedback_is_counted_once_a_package_by_what_the_case_was_resolved_as(tmp_path):
    tables = Tables(tmp_path)
    close_case(tables, "one", "hello", resolved_intent="lost_card")
    close_case(tables, "two", "hello", resolved_intent=None)
    shown = {"interaction_id": "one", "task": "intent", "label": "unknown_charge", "model_version": "1", "shown": True}
    put(tables, t.PREDICTIONS, shown, shown | {"interaction_id": "two"})
    say(tables, "f-1", "one", helped="hindered", missing={"facts", "history"})
    say(tables, "f-2", "one", missing={"facts"})
    say(tables, "f-3", "two")
    say(tables, "f-4", "never seen", helped="neither")
    found = {row["intent"]: row for row in report_feedback(tables, taxonomy=TAXONOMY).to_dicts()}
    assert list(found) == ["card_lost", "unknown", "unknown_charge"]
    lost = found["card_lost"]
    assert (lost["feedback"], lost["helped"], lost["hindered"]) == (2, 1, 1)
    assert (lost["missing_facts"], lost["missing_history"], lost["missing_summary"]) == (2, 1, 0)
    assert (found["unknown_charge"]["feedback"], found["unknown_charge"]["missing_facts"]) == (1, 0)
    assert found["unknown"]["helped"] == 0


def test_nobody_has_said_anything_yet(tmp_path):
    assert report_feedback(Tables(tmp_path), taxonomy=TAXONOMY).is_empty()


def test_a_part_that_a_package_does_not_have_cannot_be_missing():
    with pytest.raises(ValidationError):
        ContextFeedback(feedback_id="f", interaction_id="i", given_at=NOW, helped="helped", missing={"weather"})
