"""The context package as JSON and as a card."""

import json
from html.parser import HTMLParser

import pytest

from labeling.delta import Tables
from serving.context.card import HEIGHT, WIDTH, card, place_points
from serving.context.handing import ContextSource
from serving.context.package import ContextPackage, MoodPoint, make_package
from serving.context.similar import SimilarCases
from serving.conversation import Conversation
from serving.handoff.decisions import Reason
from serving.sentiment_path import SentimentPath, TurnSentiment
from serving.triage import Answer, Triage
from tests.serving.context.talks import CHARGED_TWICE, NOW, TAXONOMY, TRIAGE, close_case, embed


class Words(HTMLParser):
    """The words that a page shows."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.words += data

    def __contains__(self, text: str) -> bool:
        return text in " ".join(self.words.split())


@pytest.fixture
def source(tmp_path) -> ContextSource:
    tables = Tables(tmp_path / "tables")
    text = "Hello, I was charged twice for my order and I want to talk to a person. <b>money back</b>"
    close_case(tables, "one", text, customer="ann", solved_by="refund_issued", csat=4)
    return ContextSource(tables, TAXONOMY, SimilarCases.build(tables, taxonomy=TAXONOMY, embed=embed), embed)


def whole(source, **more) -> ContextPackage:
    return source.package(CHARGED_TWICE, TRIAGE, now=NOW, interaction_id="i-7", customer_key="ann", **more)


def test_a_package_tells_everything_and_survives_json(source):
    package = whole(source)
    assert [one.title for one in package.wants[0].answers] == ["Unknown charge", "Card lost"]
    assert [one.why for one in package.why] == ["The customer asked for a person."]
    assert [(point.turn, point.score) for point in package.mood.points] == [(1, -0.1), (3, 0.0), (5, -0.9), (7, -0.7)]
    assert (package.mood.lowest, package.mood.alarm, package.turns, package.channel) == (5, True, 7, "chat")
    assert [one.escalation_id for one in package.similar_cases] == ["e-one"]
    assert [one.action for one in package.next_actions] == ["refund_issued"]
    assert package.history.conversations == 1
    written = package.model_dump_json()
    assert json.loads(written)["schema_version"] == 1
    assert ContextPackage.model_validate_json(written) == package


def test_what_a_triage_says_is_what_a_package_reads():
    said = Triage(
        answers={"intent": Answer("card_lost", 0.6, (("card_lost", 0.6), ("unknown_charge", 0.3)), None)},
        sentiment=SentimentPath.of([TurnSentiment("neutral", 0.1), TurnSentiment("negative", -0.8)], alarm=True),
        in_scope=False,
        handoff=True,
        reasons=(Reason("person_wanted", 1.0, "The customer asked for a person."),),
        risk=0.4,
        threshold=0.2,
        propensity=1.0,
        release="r",
    )
    package = make_package(CHARGED_TWICE, json.loads(json.dumps(said.to_json())), now=NOW, taxonomy=TAXONOMY)
    assert [one.title for one in package.wants[0].answers] == ["Card lost", "Unknown charge"]
    assert [(point.turn, point.label) for point in package.mood.points] == [(5, "neutral"), (7, "negative")]
    assert (package.mood.trend, package.mood.lowest, package.mood.alarm) == (pytest.approx(-0.9), 7, True)
    assert [one.signal for one in package.why] == ["person_wanted"]
    assert (package.in_scope, package.risk) == (False, 0.4)


def test_its_form_is_closed_and_documented():
    schema = ContextPackage.model_json_schema()
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) >= {"why", "summary", "asked", "facts", "similar_cases", "history", "wants"}


def test_only_the_last_turns_have_a_sentiment_in_a_long_conversation():
    short = TRIAGE | {"sentiment": TRIAGE["sentiment"] | {"turns": TRIAGE["sentiment"]["turns"][-2:]}}
    assert [point.turn for point in make_package(CHARGED_TWICE, short, now=NOW).mood.points] == [5, 7]


def test_what_cannot_be_read_is_lacking_and_not_empty(source):
    (source.tables.root / "interactions" / "_delta_log" / "00000000000000000000.json").write_text("{broken")
    package = whole(source)
    assert package.lacking == ("similar_cases", "history")
    assert package.summary
    assert "Could not be read just now: similar cases, history" in Words(card(package))


def test_a_card_shows_everything_and_markup_as_text(source):
    page = card(whole(source))
    shown = Words(page)
    for told in (
        "Unknown charge", "Card lost 21%", "The customer asked for a person.", "went from neutral to negative",
        "lowest at turn 5", "I was charged twice for order AB-1234", "<EMAIL>", "asked 2 times", "not answered",
        "refund issued", "ended well in 100% of 1", "1 earlier conversation", "<b>money back</b>",
        "<script>alert(1)</script>",
    ):  # fmt: skip
        assert told in shown
    assert "script" not in shown.tags
    assert not {"form", "link", "img", "iframe"} & shown.tags
    assert "http" not in page


def test_a_card_of_almost_nothing_is_still_a_card():
    mood = {"turns": [], "trend": 0.0, "low": None, "alarm": False}
    bare = {"release": "r", "answers": {}, "in_scope": False, "handoff": True, "reasons": [], "sentiment": mood}
    page = card(make_package(Conversation(()), bare, now=NOW))
    assert "A conversation to take over" in Words(page)
    assert "Mood" not in Words(page)


def test_the_picture_stays_within_its_frame():
    points = [MoodPoint(turn=turn, label="x", score=score) for turn, score in ((1, 1.0), (3, 0.0), (5, -1.0))]
    dots = place_points(points)
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in dots)
    assert [y for _, y in dots] == sorted(y for _, y in dots)
    assert dots[1][1] == HEIGHT / 2


@pytest.mark.browser
def test_axe_finds_nothing_on_a_card_even_in_a_narrow_frame(source, page):
    from axe_playwright_python.sync_playwright import Axe

    page.set_content(card(whole(source)))
    for width in (900, 280):
        page.set_viewport_size({"width": width, "height": 800})
        assert [rule["id"] for rule in Axe().run(page).response["violations"]] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_content('<iframe title="context" sandbox style="width: 300px; height: 600px"></iframe>')
    page.eval_on_selector("iframe", "(frame, html) => { frame.srcdoc = html; }", card(whole(source)))
    inside = page.frame_locator("iframe").locator("h1")
    assert inside.inner_text() == "Unknown charge"
