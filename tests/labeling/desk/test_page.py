"""The labelling page in a real Chromium: by keyboard alone, and with hostile texts."""

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from labeling.desk.desk import Suggestion, Turn
from labeling.desk.interface import page_keys
from labeling.desk.label_studio import LabelStudioDesk
from labeling.desk.server import USERNAME, RunningServer
from labeling.taxonomy import Taxonomy
from tests.contracts.desks import TAXONOMY, URGENCY, case
from tests.label_studio_fixture import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.label_studio, pytest.mark.browser]

KEYS = page_keys(TAXONOMY)


def opened(server: RunningServer, taxonomy: Taxonomy = TAXONOMY) -> LabelStudioDesk:
    desk = LabelStudioDesk(server.url, server.token, project_title=f"page {uuid.uuid4().hex[:8]}")
    desk.open_project(taxonomy)
    return desk


def sit_down(page: "Page", server: RunningServer, project_id: str) -> None:
    """Sign in and open the queue of cases."""
    page.goto(f"{server.url}/user/login/")
    page.fill("input[name=email]", USERNAME)
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "login" not in url)
    page.goto(f"{server.url}/projects/{project_id}/data?labeling=1")


def press(page: "Page", key: str) -> None:
    """Press a key as the taxonomy's page names it."""
    letter = key.removeprefix("shift+")
    physical = f"Digit{letter}" if letter.isdigit() else f"Key{letter.upper()}"
    page.keyboard.press(f"Shift+{physical}" if key != letter else physical)


def selected(page: "Page") -> list[str]:
    return page.eval_on_selector_all(".lsf-choices input:checked", "found => found.map(one => one.name)")


def test_accepting_correcting_and_blind_cases_by_keyboard_alone(
    label_studio: RunningServer, page: "Page", wait_until: Callable[..., None]
):
    desk = opened(label_studio)
    sent = desk.send([case(1), case(2), case(3, blind=True)])
    sit_down(page, label_studio, sent[0].project_id)

    def answered(count: int) -> None:
        wait_until(lambda: len(desk.fetch(None)) == count, seconds=20)

    page.get_by_text("Message 1:").wait_for()
    assert selected(page) == ["Neutral", "Card lost"]
    page.keyboard.press("Control+Enter")
    answered(1)

    page.get_by_text("Message 2:").wait_for()
    assert selected(page) == ["Neutral", "Card lost"]
    press(page, KEYS["intent"]["fee_dispute"])
    page.keyboard.press("Control+Enter")
    answered(2)

    page.get_by_text("Message 3:").wait_for()
    assert selected(page) == []
    assert "%" not in page.inner_text(".cx-about")
    press(page, KEYS["intent"]["none_of_these"])
    page.keyboard.press("Control+Enter")
    page.get_by_text("Please answer: How does the customer feel?").wait_for()
    page.keyboard.press("Escape")
    press(page, KEYS["sentiment"]["positive"])
    page.keyboard.press("Control+Enter")
    answered(3)

    answers = desk.fetch(None)
    assert [answer.labels for answer in answers] == [
        {"intent": "card_lost", "sentiment": "neutral"},
        {"intent": "fee_dispute", "sentiment": "neutral"},
        {"intent": "none_of_these", "sentiment": "positive"},
    ]
    assert {answer.annotator_id for answer in answers} == {USERNAME}
    assert all(answer.lead_seconds and answer.lead_seconds > 0 for answer in answers)


def test_hostile_texts_are_shown_as_text(label_studio: RunningServer, page: "Page"):
    markup = "<img src=x onerror=\"document.title='taken over'\"><script>alert(1)</script>&amp; {{7*7}} $about"
    hidden = "bell\x07 nul\x00 reversed\u202egnp.exe"
    turns = (
        Turn("customer", "First line\nsecond line"),
        Turn("agent", "Sorry!"),
        Turn("customer", f"{markup} {hidden}"),
    )
    desk = opened(label_studio)
    (sent,) = desk.send([case(1, conversation=turns, context={"note": markup, "segment": "business"})])
    popped: list[str] = []
    page.on("dialog", lambda dialog: (popped.append(dialog.message), dialog.dismiss()))
    sit_down(page, label_studio, sent.project_id)
    page.get_by_text("{{7*7}}").first.wait_for()
    talk, about = page.inner_text(".cx-talk"), page.inner_text(".cx-about")
    assert markup in talk
    assert "bell� nul� reversed�gnp.exe" in talk
    assert "First line\nsecond line" in talk
    assert f"note: {markup}\nsegment: business" in about
    assert page.locator(".cx-page img").count() == 0
    assert "taken over" not in page.title()
    assert popped == []


def test_a_third_task_and_a_retired_suggestion_appear_without_a_change_of_code(
    label_studio: RunningServer, page: "Page", wait_until: Callable[..., None]
):
    wider = TAXONOMY.model_copy(update={"version": 2, "tasks": (*TAXONOMY.tasks, URGENCY)})
    desk = opened(label_studio, wider)
    suggestions = {"intent": Suggestion("card_gone", 0.9), "urgency": Suggestion("today", 0.95)}
    (sent,) = desk.send([case(1, suggestions=suggestions)])
    sit_down(page, label_studio, sent.project_id)
    page.get_by_text("How soon does it matter?").wait_for()
    page.wait_for_function("document.querySelectorAll('.lsf-choices input:checked').length === 1")
    assert selected(page) == ["Today"]
    assert "Today (very sure, 95%)" in page.inner_text(".cx-about")
    keys = page_keys(wider)
    for key in (keys["intent"]["card_new"], keys["sentiment"]["neutral"], keys["urgency"]["later"]):
        press(page, key)
    page.keyboard.press("Control+Enter")
    wait_until(lambda: len(desk.fetch(None)) == 1, seconds=20)
    assert desk.fetch(None)[0].labels == {"intent": "card_new", "sentiment": "neutral", "urgency": "later"}
