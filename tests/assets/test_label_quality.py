"""The label-quality report: what it says, to whom, and that nothing of a message can act on its page."""

import re
import stat
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from assets.label_quality import label_quality
from assets.quality_report import FOLDER, PAGE, drop_pages
from labeling import tables as t
from tests.assets.conftest import NOW

HOSTILE = "<script>alert(1)</script> my bill & <b>card</b>"
PEOPLE = ("zoe", "Adam", "mira")
INTENTS = ("bill_higher", "unknown_charge", "refund_status", "payment_failed")


@pytest.fixture
def reviewed(stocked):
    """A home where three people answered 120 messages, some of them twice, and some cases wait."""
    rng = np.random.default_rng(0)
    names = [f"m-{number:03d}" for number in range(120)]
    stocked.interactions(*names)
    stocked.interactions("m-hostile", text=HOSTILE)
    answers, queue = [], []
    for number, name in enumerate([*names, "m-hostile"]):
        truth = INTENTS[number % 4]
        blind = number % 3 == 0
        queue.append({"case_id": f"c-{name}", "interaction_id": name, "blind": blind, "gold": number < 10})
        for who in rng.permutation(PEOPLE)[: 1 + number % 2]:
            said = truth if rng.random() < 0.85 else str(rng.choice(INTENTS[:2]))
            about = {"review_id": f"{name}-{who}", "annotator_id": str(who), "label": said, "case_id": f"c-{name}"}
            when = NOW - timedelta(hours=7 * (number % 60))
            suggestion = None if blind else truth
            answers.append(
                about | {"interaction_id": name, "suggestion": suggestion, "blind": blind, "answered_at": when}
            )
    queue += [{"case_id": f"w-{n}", "interaction_id": f"w-{n}", "picked_at": NOW - timedelta(days=n)} for n in range(9)]
    for number, row in enumerate(queue):
        row["reason"] = ("uncertainty", "audit", "novelty", "disagreement")[number % 4]
    stocked.put(t.REVIEWS, *answers, task="intent")
    stocked.put(t.REVIEW_QUEUE, *queue, champion="1", overlap=1)
    stocked.put(
        t.PREDICTIONS,
        *({"interaction_id": name, "label": INTENTS[n % 4]} for n, name in enumerate(names)),
        task="intent", model_version="1", predicted_at=NOW - timedelta(days=30),
    )  # fmt: skip
    stocked.labels({name: INTENTS[number % 4] for number, name in enumerate(names)})
    suspects = [("m-hostile", 0.97), ("m-001", 0.8), ("m-002", 0.4), ("m-erased", 0.9)]
    rows = [{"interaction_id": name, "label": "refund_status", "suspicion": degree} for name, degree in suspects]
    settled = NOW + timedelta(seconds=1)
    stocked.put(t.LABELS, *rows, task="intent", source="review", confidence=0.6, answer_ids=["r"], settled_at=settled)
    skills = [{"annotator_id": who, "task": "intent", "skill": 0.9 - 0.1 * n} for n, who in enumerate(PEOPLE)]
    stocked.put(t.ANNOTATORS, *skills, answers=60, overlapping=30, gold_seen=4, low=0.6, high=0.97)
    return stocked


def pages(stocked):
    folder = stocked.home.reports / FOLDER
    return folder / PAGE, sorted((folder / "people").iterdir())


def test_the_report_says_what_the_tables_hold(reviewed):
    told = reviewed.make(label_quality)["label_quality"]
    page, _ = pages(reviewed)
    text = page.read_text(encoding="utf-8")
    assert told["report"] == f"http://127.0.0.1:3010/{page.parent.name}/{page.name}"
    assert told["path"] == str(page)
    assert (told["waiting"], told["likely_errors"]) == (9, 2)
    assert 0.4 < told["intent_agreement"] < 1
    assert told["answers_a_day"].startswith("![answers a day](data:image/svg+xml;base64,")
    assert re.search(r"<td>bill_higher<td>unknown_charge<td class=\"n\">\d", text)
    assert re.search(r"intent: \d+ of \d+ answers say what is known", text)
    assert "9 cases wait" in text
    assert re.search(r"<td class=\"n\">\d+% of \d+<td class=\"n\">\d+% of \d+<td class=\"n\">[+-]0\.\d\d", text)


def test_a_message_stands_as_text_and_one_that_was_erased_stands_nowhere(reviewed):
    reviewed.make(label_quality)
    page, _ = pages(reviewed)
    text = page.read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; my bill &amp; &lt;b&gt;card" in text
    assert "<script" not in text
    assert "m-erased" not in text
    assert not re.search(r"(src|href)=\"(?!#|people/)", text)
    reviewed.tables.delete(t.INTERACTIONS, pl.col("interaction_id") == "m-hostile")
    reviewed.make(label_quality)
    assert "alert(1)" not in page.read_text(encoding="utf-8")


def test_notes_stand_beside_their_message_and_name_nobody(reviewed):
    noted = {"review_id": "noted", "interaction_id": "m-hostile", "label": "none_of_these", "annotator_id": "zoe"}
    told = {"note": "a <i>lost</i> parcel", "answered_at": NOW + timedelta(hours=1)}
    reviewed.put(t.REVIEWS, noted | told, {"review_id": "gone", "interaction_id": "m-erased"} | told, task="intent")
    reviewed.make(label_quality)
    text = pages(reviewed)[0].read_text(encoding="utf-8")
    [note] = re.findall(r'<tr><td class="text">([^<]*)<td>none_of_these<td class="text">([^<]*)<', text)
    assert note[0] == "a &lt;i&gt;lost&lt;/i&gt; parcel"
    assert "my bill" in note[1]
    assert text.count("lost") == 1


def test_people_stand_in_the_order_of_the_alphabet_and_a_persons_page_names_nobody_else(reviewed):
    reviewed.make(label_quality)
    page, own = pages(reviewed)
    listed = re.findall(r"<th scope=\"row\" rowspan=\"1\">(\w+)", page.read_text(encoding="utf-8"))
    assert listed == ["Adam", "mira", "zoe"]
    assert len(own) == 3
    for one in own:
        text = one.read_text(encoding="utf-8")
        assert sum(name in text for name in PEOPLE) == 1
        assert "0.60 to 0.97" in text
        assert "m-0" not in text


def test_only_the_owner_of_the_home_can_read_the_pages_and_they_can_be_dropped(reviewed):
    reviewed.make(label_quality)
    page, own = pages(reviewed)
    for path in (page, *own):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not any(name in path.name for path in own for name in PEOPLE)
    drop_pages(page.parent)
    assert not page.parent.exists()


def test_a_home_without_answers_has_a_report_too(stocked):
    told = stocked.make(label_quality)["label_quality"]
    assert (told["waiting"], told["likely_errors"]) == (0, 0)
    assert "Nobody has answered yet" in pages(stocked)[0].read_text(encoding="utf-8")


@pytest.mark.browser
def test_the_page_reads_well_without_scripts_and_fits_a_narrow_screen(reviewed, browser):
    reviewed.make(label_quality)
    page, _ = pages(reviewed)
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 900}, offline=True)
    shown = context.new_page()
    shown.goto(page.as_uri())
    assert shown.get_by_role("heading", name="Labels that people mix up").is_visible()
    assert shown.get_by_role("img", name="Waiting cases by reason").is_visible()
    shown.get_by_role("row", name="Adam").get_by_role("link", name="open").click()
    assert shown.get_by_role("heading", name="Answers of Adam").is_visible()
    shown.set_viewport_size({"width": 400, "height": 800})
    shown.goto(page.as_uri())
    width = shown.locator("body").bounding_box()["width"]
    assert width <= 400
    context.close()
