"""The labelling page in a real Chromium: by keyboard alone, and with hostile texts."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import pytest

from labeling.desk.desk import NOTE, SECOND, Suggestion, Turn
from labeling.desk.label_studio import LabelStudioDesk
from labeling.desk.page_keys import FIELD_KEYS, page_keys
from labeling.desk.page_tasks import answer_titles
from labeling.desk.server import USERNAME, RunningServer
from labeling.taxonomy import Taxonomy
from tests.contracts.desks import TAXONOMY, URGENCY, case
from tests.label_studio_fixture import PASSWORD
from tests.labeling.desk.banking77 import FILE, read_banking77

if TYPE_CHECKING:
    from playwright.sync_api import Dialog, Page

pytestmark = [pytest.mark.label_studio, pytest.mark.browser]

KEYS = page_keys(TAXONOMY)
MARKS: Final = MappingProxyType(
    {
        ",": "Comma",
        ".": "Period",
        "/": "Slash",
        "[": "BracketLeft",
        "]": "BracketRight",
        "'": "Quote",
        "\\": "Backslash",
        "`": "Backquote",
    }
)


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
    plain = key.removeprefix("shift+")
    physical = MARKS.get(plain) or (f"Digit{plain}" if plain.isdigit() else f"Key{plain.upper()}")
    page.keyboard.press(f"Shift+{physical}" if key != plain else physical)


def write(page: "Page", key: str, text: str) -> None:
    """Write into the field that ``key`` leads to, and leave it."""
    press(page, key)
    page.keyboard.press("Tab")
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def selected(page: "Page", where: str = ".cx-page") -> list[str]:
    return page.eval_on_selector_all(f"{where} input:checked", "found => found.map(one => one.name)")


def meet(page: "Page", number: int, *, answered: int = 3) -> None:
    """Wait until a case stands on the page with as many questions answered beforehand."""
    page.get_by_text(f"Message {number}:").wait_for()
    page.wait_for_function(f"document.querySelectorAll('.cx-page input:checked').length === {answered}")


def test_accepting_correcting_and_blind_cases_by_keyboard_alone(
    label_studio: RunningServer, page: "Page", wait_until: Callable[..., None]
):
    desk = opened(label_studio)
    judged = case(4, blind=True, answers={"intent": ("fee_dispute", "card_lost")})
    sent = desk.send(
        [case(1, handed_off=False), case(2, handed_off=True), case(3, blind=True, handed_off=True), judged]
    )
    sit_down(page, label_studio, sent[0].project_id)

    meet(page, 1)
    assert selected(page) == ["Neutral", "No person needed", "Card lost"]
    assert "The AI answered this. Was that right?" in page.inner_text(".cx-top")
    page.keyboard.press("Control+Enter")

    meet(page, 2)
    assert selected(page) == ["Neutral", "Person needed", "Card lost"]
    press(page, KEYS["intent"]["fee_dispute"])
    page.keyboard.press("Control+Enter")

    meet(page, 3, answered=0)
    shown = page.inner_text(".cx-page")
    assert "Should a person take this over?" in shown
    assert not [hint for hint in ("%", "sure", "Was that right", "went to") if hint in shown]
    press(page, KEYS["intent"]["none_of_these"])
    press(page, KEYS["handoff"]["cannot_tell"])
    page.keyboard.press("Control+Enter")
    page.get_by_text("Please answer: How does the customer feel?").wait_for()
    page.keyboard.press("Escape")
    press(page, KEYS["sentiment"]["positive"])
    page.keyboard.press("Control+Enter")

    meet(page, 4, answered=0)
    shown = page.inner_text(".cx-about")
    assert shown.startswith("Which is right?\nFee in dispute [q] or Card lost [1]\nBoth: give one")
    assert not [hint for hint in ("%", "sure", "suggests", "champion", "challenger") if hint in shown]
    for name, answer in (("intent", "card_lost"), ("sentiment", "negative"), ("handoff", "needed")):
        press(page, KEYS[name][answer])
    write(page, FIELD_KEYS[SECOND], KEYS["intent"]["fee_dispute"])
    page.keyboard.press("Control+Enter")
    wait_until(lambda: len(desk.fetch(None)) == 4, seconds=20)

    answers = desk.fetch(None)
    assert [answer.labels for answer in answers] == [
        {"intent": "card_lost", "sentiment": "neutral", "handoff": "not_needed"},
        {"intent": "fee_dispute", "sentiment": "neutral", "handoff": "needed"},
        {"intent": "none_of_these", "sentiment": "positive", "handoff": "cannot_tell"},
        {"intent": "card_lost", "sentiment": "negative", "handoff": "needed"},
    ]
    assert answers[3].second_labels == {"intent": "fee_dispute"}
    assert {answer.annotator_id for answer in answers} == {USERNAME}
    assert all(answer.lead_seconds and answer.lead_seconds > 0 for answer in answers)


def test_second_answers_notes_skips_and_slips_by_keyboard_alone(
    label_studio: RunningServer, page: "Page", wait_until: Callable[..., None]
):
    desk = opened(label_studio)
    sent = desk.send([case(number, handed_off=False) for number in range(1, 6)])
    sit_down(page, label_studio, sent[0].project_id)

    meet(page, 1)
    write(page, FIELD_KEYS[SECOND], KEYS["intent"]["fee_question"])
    write(page, FIELD_KEYS[NOTE], "Asks 2 things; quick, /please [z]")
    assert selected(page) == ["Neutral", "No person needed", "Card lost"]
    page.keyboard.press("Control+Enter")

    meet(page, 2)
    press(page, KEYS["intent"]["card_lost"])
    page.keyboard.press("Control+Enter")
    page.get_by_text("Please answer: What does the customer want?").wait_for()
    press(page, KEYS["intent"]["card_lost"])
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Enter")

    meet(page, 3)
    page.keyboard.press("Control+Space")

    meet(page, 4)
    press(page, FIELD_KEYS[SECOND])
    for key in ("Enter", "Control+Enter", "Tab", "-", "Control+Enter"):
        page.keyboard.press(key)
    assert "Message 4:" in page.inner_text(".cx-talk")
    page.keyboard.press("Enter")
    write(page, FIELD_KEYS[NOTE], " ")
    page.keyboard.press("Control+Enter")

    meet(page, 5)
    write(page, FIELD_KEYS[SECOND], "transfer")
    page.keyboard.press("Control+Enter")
    wait_until(lambda: len(desk.fetch(None)) == 5, seconds=20)

    said = {answer.case_id: answer for answer in desk.fetch(None)}
    first, twice, skipped, left, unclear = (said[f"case-{number:05d}"] for number in range(1, 6))
    accepted = {"intent": "card_lost", "sentiment": "neutral", "handoff": "not_needed"}
    assert [one.labels for one in (first, twice, skipped, left, unclear)] == [
        accepted,
        accepted,
        {},
        accepted,
        accepted,
    ]
    assert (first.second_labels, first.note) == ({"intent": "fee_question"}, "Asks 2 things; quick, /please [z]")
    assert skipped.is_skipped
    assert (left.second_labels, left.note, left.refused) == ({}, "", {})
    assert unclear.refused == {"intent-second": "unknown_label"}


@pytest.mark.skipif(not FILE.is_file(), reason="needs banking77.csv in the folder that CXLOOP_DATA names")
def test_77_intents_and_the_message_fit_one_screen_and_each_key_selects_its_own(
    label_studio: RunningServer, page: "Page"
):
    taxonomy = read_banking77()
    keys, titles = page_keys(taxonomy)["intent"], answer_titles(taxonomy.task("intent"))
    talk = [Turn("agent" if turn % 2 else "customer", f"Turn {turn}. " + "Words. " * 40) for turn in range(14)]
    long = case(
        1, conversation=(*talk, Turn("customer", "Message 1: the last")), history=("2026-05-01 chat: lost",) * 30
    )
    desk = opened(label_studio, taxonomy)
    (sent,) = desk.send([replace(long, blind=True)])
    sit_down(page, label_studio, sent.project_id)
    meet(page, 1, answered=0)
    assert _hidden_labels(page) == []
    box, last = (page.locator(place).bounding_box() for place in (".cx-talk", "[data-testid='phrase:0']"))
    assert box is not None
    assert last is not None
    assert box["y"] <= last["y"] <= last["y"] + last["height"] <= box["y"] + box["height"]
    for name, key in keys.items():
        press(page, key)
        assert selected(page) == [titles[name]]


@pytest.mark.skipif(not FILE.is_file(), reason="needs banking77.csv in the folder that CXLOOP_DATA names")
def test_a_wrong_suggestion_is_corrected_at_either_end_of_every_row_of_keys(
    label_studio: RunningServer, page: "Page", wait_until: Callable[..., None]
):
    taxonomy = read_banking77()
    keys = page_keys(taxonomy)["intent"]
    ends = {row[place] for row in _rows(list(keys.values())) for place in (0, -1)}
    wanted = [name for name, key in keys.items() if key in ends]
    wrong = next(name for name in keys if name not in wanted)
    suggestions = {"intent": Suggestion(wrong, 0.8), "sentiment": Suggestion("neutral", 0.6)}
    desk = opened(label_studio, taxonomy)
    sent = desk.send([case(number, suggestions=suggestions) for number in range(1, len(wanted) + 1)])
    sit_down(page, label_studio, sent[0].project_id)
    for number, name in enumerate(wanted, start=1):
        meet(page, number, answered=2)
        press(page, keys[name])
        press(page, "n")
        page.keyboard.press("Control+Enter")
    wait_until(lambda: len(desk.fetch(None)) == len(wanted), seconds=20)
    assert len(wanted) > 15
    assert [answer.labels for answer in desk.fetch(None)] == [
        {"intent": name, "sentiment": "neutral", "handoff": "not_needed"} for name in wanted
    ]


def _rows(keys: Sequence[str]) -> list[list[str]]:
    """The rows of a keyboard that ``keys`` lie on, shifted ones apart, each in the order of ``keys``."""
    rows: dict[tuple[bool, int], list[str]] = {}
    for key in keys:
        plain = key.removeprefix("shift+")
        place = next((place for place, row in enumerate(KEYBOARD) if plain in row), len(KEYBOARD))
        rows.setdefault((plain != key, place), []).append(key)
    return list(rows.values())


KEYBOARD: Final = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")


def _hidden_labels(page: "Page") -> list[str]:
    """The answers that do not stand wholly, in full width, between the head of the page and the buttons at its foot."""
    return page.evaluate(
        """() => {
            const foot = document.querySelector(".lsf-controls").getBoundingClientRect().top;
            return [...document.querySelectorAll(".cx-top label, .cx-grid label")].filter(label => {
                const box = label.getBoundingClientRect();
                const cut = label.scrollWidth > label.clientWidth + 1;
                return cut || box.top < 48 || box.bottom > foot || box.right > innerWidth;
            }).map(label => label.innerText);
        }"""
    )


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

    def dismiss(dialog: "Dialog") -> None:
        popped.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
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
    meet(page, 1, answered=1)
    assert selected(page) == ["Today"]
    assert "Today (very sure, 95%)" in page.inner_text(".cx-about")
    keys = page_keys(wider)
    said = {"intent": "card_new", "sentiment": "neutral", "urgency": "later", "handoff": "needed"}
    for task, label in said.items():
        press(page, keys[task][label])
    page.keyboard.press("Control+Enter")
    wait_until(lambda: len(desk.fetch(None)) == 1, seconds=20)
    assert desk.fetch(None)[0].labels == said
