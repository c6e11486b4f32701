"""A small HTTP server on loopback that answers as it is told, and one that answers as Zendesk does."""

import base64
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

NOW = "Tue, 01 Dec 2026 12:00:00 GMT"
"""The servers' clock stands still."""


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    path: str
    query: dict[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What to answer: ``body`` as it is where it is bytes, else as JSON; ``missing`` more bytes are promised."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    missing: int = 0


Answers = Callable[[Asked], Answer]


class Server:
    """A running server: its address, and the requests that it got so far."""

    def __init__(self, answers: Answers) -> None:
        self.asked: list[Asked] = []
        heard = self.asked

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet: two of them wait for each other

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                asked = Asked(url.path, dict(parse_qsl(url.query, keep_blank_values=True)), dict(self.headers))
                heard.append(asked)
                answer = answers(asked)
                body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                headers = {"Content-Type": "application/json", "Content-Length": str(len(body) + answer.missing)}
                for name, value in {**headers, **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
                if answer.missing:
                    self.close_connection = True

            def date_time_string(self, timestamp: float | None = None) -> str:
                return NOW if timestamp is None else super().date_time_string(timestamp)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def serving(answers: Answers) -> Iterator[Server]:
    """Run a server that answers with ``answers`` (called from several threads)."""
    server = Server(answers)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def in_turn(*answers: Answer) -> Answers:
    """Give each of ``answers`` once, in order, and the last one for ever."""
    left = list(answers)
    return lambda _asked: left.pop(0) if len(left) > 1 else left[0]


TICKETS = "/api/v2/incremental/tickets/cursor.json"
RATINGS = "/api/v2/satisfaction_ratings.json"


class Helpdesk:
    """Answers as Zendesk documents it: the cursor-based incremental ticket export, and satisfaction ratings by cursor.

    ``tickets`` and ``ratings`` may grow between requests. ``faults`` are answered first, one a request.
    """

    def __init__(
        self,
        *,
        tickets: Sequence[Mapping[str, Any]] = (),
        ratings: Sequence[Mapping[str, Any]] = (),
        user: str = "agent@example.com/token",
        password: str = "zendesk-api-token",  # noqa: S107
        page_rows: int = 2,
    ) -> None:
        self.tickets, self.ratings, self.faults = list(tickets), list(ratings), list[Answer]()
        self.expired: set[str] = set()
        self.page_rows = page_rows
        self._authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def __call__(self, asked: Asked) -> Answer:
        if asked.headers.get("Authorization") != self._authorization:
            return Answer({"error": "Couldn't authenticate you"}, status=401)
        if self.faults:
            return self.faults.pop(0)
        if asked.path == TICKETS:
            return self._export(asked)
        return self._list_ratings(asked) if asked.path == RATINGS else Answer({"error": "InvalidEndpoint"}, status=404)

    def cursor(self, ticket: Mapping[str, Any]) -> str:
        """Return the cursor that stands after ``ticket``."""
        return base64.b64encode(f"{ticket['generated_timestamp']}.0||{ticket['id']}|".encode()).decode()

    def _export(self, asked: Asked) -> Answer:
        rows = sorted(self.tickets, key=lambda row: (row["generated_timestamp"], row["id"]))
        cursor = asked.query.get("cursor")
        if cursor in self.expired:
            return Answer({"error": "InvalidValue", "description": "Invalid cursor"}, status=422)
        if cursor is None and not asked.query.get("start_time", "").isdecimal():
            return Answer({"error": "StartTimeMissing", "description": "start_time is missing"}, status=422)
        if cursor is None:
            rows = [row for row in rows if row["generated_timestamp"] >= int(asked.query["start_time"])]
        else:
            moment, _, number, *_ = base64.b64decode(cursor).decode().split("|")
            rows = [row for row in rows if (row["generated_timestamp"], row["id"]) > (float(moment), int(number))]
        page = rows[: int(asked.query.get("per_page", self.page_rows))]
        after = self.cursor(page[-1]) if page else cursor
        return Answer(
            {
                "tickets": page,
                "after_url": f"https://example.zendesk.com{TICKETS}?cursor={after}" if after else None,
                "after_cursor": after,
                "before_url": None,
                "before_cursor": None,
                "end_of_stream": len(page) == len(rows),
            }
        )

    def _list_ratings(self, asked: Asked) -> Answer:
        since = int(asked.query.get("start_time", 0))
        rows = [row for row in self.ratings if _unix(row["updated_at"]) >= since]
        first = int(asked.query.get("page[after]", 0))
        last = first + self.page_rows
        query = urlencode({**asked.query, "page[after]": str(last)})
        return Answer(
            {
                "satisfaction_ratings": rows[first:last],
                "meta": {"has_more": last < len(rows), "after_cursor": str(last), "before_cursor": str(first)},
                "links": {"next": f"http://{asked.headers['Host']}{RATINGS}?{query}", "prev": None},
            }
        )


def ticket(number: int, *, updated: int, **changes: Any) -> dict[str, Any]:
    """Return a ticket in Zendesk's shape, last changed at ``updated`` (Unix seconds)."""
    return {
        "url": f"https://example.zendesk.com/api/v2/tickets/{number}.json",
        "id": number,
        "external_id": None,
        "via": {"channel": "email", "source": {"from": {"address": "jo@example.com"}, "to": {}, "rel": None}},
        "created_at": "2026-05-04T08:00:00Z",
        "updated_at": _iso(updated),
        "generated_timestamp": updated,
        "type": None,
        "subject": f"Ticket {number}",
        "raw_subject": f"Ticket {number}",
        "description": f"Where is my order {number}?",
        "priority": "normal",
        "status": "open",
        "recipient": None,
        "requester_id": 5000 + number,
        "submitter_id": 5000 + number,
        "assignee_id": 9001,
        "organization_id": None,
        "group_id": 77,
        "collaborator_ids": [],
        "has_incidents": False,
        "is_public": True,
        "due_at": None,
        "tags": ["order", "intent_delivery"],
        "custom_fields": [{"id": 360001, "value": None}, {"id": 360002, "value": None}],
        "satisfaction_rating": {"score": "unoffered"},
        "sharing_agreement_ids": [],
        "allow_channelback": False,
        **changes,
    }


def rating(number: int, *, ticket_id: int, score: str, updated: int) -> dict[str, Any]:
    """Return a satisfaction rating in Zendesk's shape."""
    return {
        "url": f"https://example.zendesk.com/api/v2/satisfaction_ratings/{number}.json",
        "id": number,
        "assignee_id": 9001,
        "group_id": 77,
        "requester_id": 5000 + ticket_id,
        "ticket_id": ticket_id,
        "score": score,
        "created_at": "2026-05-04T09:00:00Z",
        "updated_at": _iso(updated),
        "comment": None,
        "reason": "No reason provided",
        "reason_id": 0,
        "reason_code": 0,
    }


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _unix(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())
