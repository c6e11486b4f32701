"""docs/examples/zendesk.yaml against a server that answers in Zendesk's documented shapes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from labeling.config import load_config
from labeling.errors import SourceError
from labeling.sources.mapping import map_rows
from labeling.sources.rest import read_rest
from labeling.sources.rest_api import Patience
from labeling.sources.source import RestSource, SourcesConfig
from tests.labeling.sources.helpdesk_server import RATINGS, TICKETS, Answer, Helpdesk, Server, rating, serving, ticket

EXAMPLE = Path(__file__).parents[3] / "docs/examples/zendesk.yaml"
HASTY = Patience(attempts=4, first_wait_seconds=0.01, longest_wait_seconds=0.05)
START = 1_777_000_000  # 2026-04-24T03:06:40Z


@pytest.fixture(autouse=True)
def login(monkeypatch) -> None:
    for source in ("TICKETS", "RATINGS"):
        monkeypatch.setenv(f"CXLOOP_SOURCE_ZENDESK_{source}_USER", "agent@example.com/token")
        monkeypatch.setenv(f"CXLOOP_SOURCE_ZENDESK_{source}_PASSWORD", "zendesk-api-token")


@pytest.fixture
def helpdesk() -> Helpdesk:
    fields = [{"id": 360001, "value": "topic_delivery"}, {"id": 360002, "value": "mood_bad"}]
    other = [{"id": 360002, "value": None}, {"id": 360001, "value": "topic_new"}]
    return Helpdesk(
        tickets=[
            ticket(1, updated=START, custom_fields=fields, tags=["vip", "segment_gold"]),
            ticket(2, updated=START + 60, custom_fields=other, assignee_id=None, via={"channel": "web", "source": {}}),
            ticket(3, updated=START + 60),
            ticket(4, updated=START + 90, description="", custom_fields=fields[:1]),
            ticket(5, updated=START + 120),
        ],
        ratings=[
            rating(71, ticket_id=1, score="good", updated=START),
            rating(72, ticket_id=2, score="bad", updated=START + 10),
            rating(73, ticket_id=3, score="offered", updated=START + 20),
        ],
    )


@pytest.fixture
def server(helpdesk) -> Iterator[Server]:
    with serving(helpdesk) as running:
        yield running


def load(server: Server) -> dict[str, RestSource]:
    sources = load_config(EXAMPLE, SourcesConfig).sources
    here = f"{server.url}/api/v2"
    loaded = [RestSource.model_validate({**source.model_dump(by_alias=True), "base_url": here}) for source in sources]
    return {source.name: source for source in loaded}


def collect(source: RestSource, state: dict[str, Any] | None = None) -> list[pl.DataFrame]:
    """Return the events of each map of ``source``, without the columns that are missing in all of them."""
    batches = list(read_rest(source, state={} if state is None else state, patience=HASTY))
    assert all(batch.refused == () for batch in batches)
    return [pl.concat([map_rows(batch.rows, each) for batch in batches]).drop("position") for each in source.maps]


def test_tickets_become_interactions_column_by_column(server):
    interactions, _, _ = collect(load(server)["zendesk_tickets"])
    assert interactions["interaction_id"].to_list() == ["zd-1", "zd-2", "zd-3", "zd-5"]  # 4 says nothing
    assert interactions.row(0, named=True) == {
        "interaction_id": "zd-1",
        "conversation_id": "zd-1",
        "turn": "1",
        "occurred_at": "2026-05-04T08:00:00Z",
        "updated_at": "2026-04-24T03:06:40Z",
        "channel": "email",
        "language": None,
        "segment": "gold",
        "text": "Where is my order 1?",
        "handled_by": "agent",
        "customer_id": "5001",
    }
    assert interactions["channel"].to_list() == ["email", "web", "email", "email"]
    assert interactions["segment"].to_list() == ["gold", None, None, None]


def test_custom_fields_become_corrections_column_by_column(server):
    _, intents, sentiments = collect(load(server)["zendesk_tickets"])
    nothing = {"previous_label": None, "reason": None}
    assert intents.rows(named=True)[0] == {
        "correction_id": "zd-intent-1",
        "interaction_id": "zd-1",
        "task": "intent",
        "label": "track_order",
        "agent_id": "9001",
        "corrected_at": "2026-04-24T03:06:40Z",
        **nothing,
    }
    assert intents["correction_id"].to_list() == ["zd-intent-1", "zd-intent-2", "zd-intent-4"]
    assert intents["label"].to_list() == [
        "track_order",
        "topic_new",
        "track_order",
    ]  # an unknown label is refused later
    assert intents["agent_id"].to_list() == ["9001", None, "9001"]
    assert sentiments.rows(named=True) == [
        {
            "correction_id": "zd-sentiment-1",
            "interaction_id": "zd-1",
            "task": "sentiment",
            "label": "negative",
            "agent_id": "9001",
            "corrected_at": "2026-04-24T03:06:40Z",
            **nothing,
        }
    ]


def test_ratings_become_escalations_column_by_column(server):
    (escalations,) = collect(load(server)["zendesk_ratings"])
    assert escalations.row(0, named=True) == {
        "escalation_id": "zd-rating-71",
        "conversation_id": "zd-1",
        "interaction_id": "zd-1",
        "escalated_at": "2026-05-04T09:00:00Z",
        "trigger": "customer",
        "needed": None,
        "resolved": None,
        "resolved_intent": None,
        "first_contact": None,
        "reopened": None,
        "csat": "5",
        "handle_seconds": None,
        "closed_at": "2026-04-24T03:06:40Z",
        "solved_by": None,
    }
    assert escalations["csat"].to_list() == ["5", "1", None]


def test_what_is_asked_for_is_what_zendesk_documents(server):
    for source in load(server).values():
        collect(source)
    assert {asked.headers["Accept"] for asked in server.asked} == {"application/json"}
    (tickets,) = [asked.query for asked in server.asked if asked.path == TICKETS]
    assert tickets == {"start_time": "1767225600", "exclude_deleted": "true", "per_page": "1000"}
    ratings = [asked.query for asked in server.asked if asked.path == RATINGS]
    first = {"score": "received", "start_time": "1767225600", "page[size]": "100"}
    assert ratings == [first, {**first, "page[after]": "2"}]


def paged(server: Server, rows: int = 2) -> RestSource:
    source = load(server)["zendesk_tickets"]
    return source.model_copy(update={"parameters": {**source.parameters, "per_page": rows}})


def test_the_next_run_goes_on_from_the_cursor(server, helpdesk):
    source, state = paged(server), {}
    assert collect(source, state)[0].height == 4
    asked = len(server.asked)
    assert collect(source, state)[0].height == 0
    helpdesk.tickets[0] = ticket(1, updated=START + 200, status="solved")
    assert collect(source, state)[0]["interaction_id"].to_list() == ["zd-1"]
    assert asked == 3
    assert all("start_time" not in each.query for each in server.asked[1:])
    assert state["cursor"] == helpdesk.cursor(helpdesk.tickets[0])


def test_limits_and_troubles_on_the_way_lose_nothing(server, helpdesk):
    limit = Answer({"error": "APIRateLimitExceeded"}, status=429, headers={"Retry-After": "60"})
    helpdesk.faults = [limit, Answer(b"<html>503</html>", status=503), Answer({"tickets": []}, missing=9), limit]
    with pytest.raises(SourceError, match="answered 429: also at attempt 4: run again later"):
        collect(paged(server))
    helpdesk.faults = [limit, Answer(b"<html>503</html>", status=503), Answer({"tickets": []}, missing=9)]
    assert collect(paged(server))[0].height == 4


def test_an_expired_cursor_starts_again_from_the_last_time(server, helpdesk, caplog):
    source, state = paged(server), {}
    collect(source, state)
    helpdesk.expired.add(state["cursor"])
    helpdesk.tickets.append(ticket(6, updated=START + 300))
    assert "zd-6" in collect(source, state)[0]["interaction_id"].to_list()
    restart = next(asked.query for asked in server.asked[4:] if "start_time" in asked.query)
    assert restart["start_time"] == str(START + 120 - 3600)
    (warning,) = caplog.messages
    assert warning == (
        "source zendesk_tickets: its server does not know our cursor any more (422): "
        f"starting again from {START + 120 - 3600}"
    )
    assert state["cursor"] == helpdesk.cursor(helpdesk.tickets[-1])


def test_ratings_start_again_some_weeks_before_the_newest(server, helpdesk):
    source, state = load(server)["zendesk_ratings"], {}
    collect(source, state)
    helpdesk.ratings[0] = rating(71, ticket_id=1, score="bad", updated=START + 500)
    assert collect(source, state)[0]["csat"].to_list() == ["1", "1", None]
    assert server.asked[-1].query["start_time"] == str(START + 20 - 2_592_000)


def test_a_wrong_token_is_named_and_not_told(server, monkeypatch):
    monkeypatch.setenv("CXLOOP_SOURCE_ZENDESK_TICKETS_PASSWORD", "wrong-token")
    with pytest.raises(SourceError) as caught:
        collect(load(server)["zendesk_tickets"])
    prefix = "CXLOOP_SOURCE_ZENDESK_TICKETS"
    assert str(caught.value).endswith(f"answered 401: check {prefix}_USER and {prefix}_PASSWORD, and its rights")
    assert "wrong-token" not in str(caught.value)
