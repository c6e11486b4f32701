"""What goes along when a person takes over, and what agents say of it."""

from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from labeling import tables as t
from serving.gateway.app import make_app
from serving.gateway.config import GatewayConfig
from tests.serving.gateway.stage import bearer, post

NOW = datetime(2026, 11, 23, 7, tzinfo=UTC)
TALK = {
    "turns": [
        {"role": "customer", "text": "you charged me for something I returned"},
        {"role": "assistant", "text": "What is your order number?"},
        {"role": "customer", "text": "it is A-17, I am kim@example.org <b>"},
    ],
    "customer_id": "kim",
}
FEEDBACK = {"interaction_id": "i1", "helped": "hindered", "missing": ["history", "facts"], "note": "kim@example.org"}


def close_case(stage):
    """Add a closed case like the one at hand."""
    about = {"conversation_id": "old", "interaction_id": "old-1"}
    said = {"text": "you billed something I had returned", "lot": "open", "handled_by": "agent", "turn": 0}
    times = {"occurred_at": NOW, "updated_at": NOW}
    stage.home.tables.merge(t.INTERACTIONS, t.INTERACTIONS.frame([about | said | times]))
    ended = {"escalation_id": "e", "trigger": "agent", "resolved": True, "escalated_at": NOW, "closed_at": NOW}
    stage.home.tables.merge(t.ESCALATIONS, t.ESCALATIONS.frame([about | ended]))


@pytest.fixture
def closed(stage):
    close_case(stage)
    return stage


def test_the_package_holds_what_was_said_and_what_solved_the_like(closed, small_releases):
    closed.add_release(small_releases[0])
    with closed.site() as site, TestClient(make_app(site), headers=bearer("bot")) as client:
        site.packages.refresh()
        answered = post(client, "/v1/handoff", TALK, key="desk").json()
        card = post(client, "/v1/handoff", TALK | {"interaction_id": answered["interaction_id"]}, Accept="text/html")
    package = answered["package"]
    assert (answered["recorded"], package["interaction_id"]) == (True, answered["interaction_id"])
    assert package["wants"][0]["answers"][0]["label"] in {"delivery", "refund"}
    assert [case["escalation_id"] for case in package["similar_cases"]] == ["e"]
    assert package["lacking"] == []
    assert "kim@example.org" not in str(answered)
    assert "A-17" in str(package["facts"]) + str(package["asked"])
    assert card.headers["content-type"].startswith("text/html")
    assert card.headers["content-security-policy"].startswith("default-src 'none'")
    assert "kim@example.org" not in card.text
    first, second = closed.events()
    assert (first["kind"], first["interaction"]["handled_by"]) == ("handoff", "agent")
    assert "interaction" not in second


@pytest.mark.parametrize(
    ("changed", "found"), [({}, []), ({"closed_cases_minutes": 1e-9}, ["e"]), ({"closed_cases": 0}, [])]
)
def test_closed_cases_are_read_as_often_and_so_many_as_said(stage, small_releases, changed, found):
    stage.add_release(small_releases[0])
    stage.config = GatewayConfig(reload_seconds=60, timeout_seconds=60, **changed)
    with stage.site() as site:
        site.packages.refresh_where_due()
        close_case(stage)
        if "closed_cases" in changed:
            site.packages.refresh()
        site.packages.refresh_where_due()
        with TestClient(make_app(site), headers=bearer("bot")) as client:
            package = post(client, "/v1/handoff", TALK, key="desk").json()["package"]
    assert [case["escalation_id"] for case in package["similar_cases"]] == found
    assert package["lacking"] == []


def test_without_a_release_the_package_still_comes_and_says_what_it_lacks(stage):
    with stage.serve() as client:
        package = post(client, "/v1/handoff", TALK).json()["package"]
    assert package["lacking"] == ["similar_cases", "history"]
    assert [why["signal"] for why in package["why"]] == ["no_release"]
    assert package["asked"]


def test_feedback_on_a_package_is_recorded_a_line_a_missing_part(stage):
    with stage.serve() as client:
        told = post(client, "/v1/context_feedback", FEEDBACK, key="desk").json()
        nothing = post(client, "/v1/context_feedback", {"interaction_id": "i1", "helped": "helped"}, key="desk").json()
        assert post(client, "/v1/context_feedback", FEEDBACK).status_code == 403
        assert post(client, "/v1/context_feedback", FEEDBACK | {"missing": ["soup"]}, key="desk").status_code == 422
        assert client.get("/metrics", headers=bearer("prometheus")).status_code == 200
    rows = [event["feedback"] for event in stage.events()]
    assert [row["missing"] for row in rows] == ["facts", "history", "nothing"]
    assert {row["feedback_id"] for row in rows} == {told["feedback_id"], nothing["feedback_id"]}
    assert rows[0]["note"] == "<EMAIL>"
