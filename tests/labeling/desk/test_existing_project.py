"""An existing project's page and answers, as Label Studio's API gives them, become labelled texts."""

from datetime import UTC, datetime
from typing import Any

import pytest

from labeling.desk.existing_project import Page, read_answers, read_page
from labeling.errors import DeskRefused

CONFIG = """
<View>
  <Text name="message" value="$body"/>
  <Choices name="intent" toName="message" choice="single"><Choice value="Card lost"/><Choice value="Other"/></Choices>
  <Choices name="mood" toName="message"><Choice value="bad"/><Choice value="good"/></Choices>
</View>
"""
PAGE = Page("body", ("intent", "mood"))


def choice(task: str, *labels: str) -> dict[str, Any]:
    return {"from_name": task, "to_name": "message", "type": "choices", "value": {"choices": list(labels)}}


def annotation(*result: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"result": list(result), "completed_by": 3, "updated_at": "2026-03-01T10:00:00.5Z", **more}


def task(*annotations: dict[str, Any], **data: Any) -> dict[str, Any]:
    return {"id": 9, "data": {"body": "where is it", **data}, "annotations": list(annotations)}


def test_the_page_names_the_text_and_the_questions() -> None:
    assert read_page(CONFIG) == PAGE


@pytest.mark.parametrize("config", ["<View><Image name='i' value='$i'/></View>", "<Text name='t' value='$t'/>"])
def test_a_project_that_does_not_classify_texts_is_refused(config: str) -> None:
    with pytest.raises(DeskRefused, match="needs a text and a choice"):
        read_page(config)


def test_a_page_that_is_no_xml_is_refused() -> None:
    with pytest.raises(DeskRefused, match="is not XML"):
        read_page("<View>")


def test_each_persons_answer_is_one_labelled_text() -> None:
    by_ann = annotation(choice("intent", "Card lost"), choice("mood", "bad"))
    by_bob = annotation(choice("intent", "Other"), completed_by={"id": 4, "email": "bob@x"})
    answers = read_answers(PAGE, [task(by_ann, by_bob)])
    assert [(found.key, found.annotator_id, found.labels) for found in answers] == [
        ("9", "label-studio-3", {"intent": "Card lost", "mood": "bad"}),
        ("9", "label-studio-4", {"intent": "Other"}),
    ]
    assert answers[0].answered_at == datetime(2026, 3, 1, 10, 0, 0, 500000, tzinfo=UTC)


def test_skips_empty_texts_other_controls_and_double_choices_are_left_out() -> None:
    skipped = annotation(choice("intent", "Other"), was_cancelled=True)
    double = annotation(choice("intent", "Other", "Card lost"))
    other = annotation({"from_name": "note", "type": "textarea", "value": {"text": ["x"]}})
    empty = task(annotation(choice("intent", "Other")), body="  ")
    assert read_answers(PAGE, [task(skipped, double, other), empty, task()]) == []
