import copy
import json
import time
from contextlib import suppress
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from labeling.errors import SourceError
from labeling.sources import rest
from labeling.sources.records import ROW_POSITION
from labeling.sources.rest import read_rest
from labeling.sources.rest_api import Patience
from labeling.sources.source import RestSource
from tests.labeling.sources.helpdesk_server import Answer, Answers, Asked, in_turn, serving

HASTY = Patience(attempts=3, first_wait_seconds=0.01, longest_wait_seconds=0.05, silence_seconds=5)
CURSOR = {"kind": "cursor", "next": "next", "parameter": "cursor", "keep": True}
TOKEN = "t0p-secret"


def make(url: str, **fields: Any) -> RestSource:
    maps = [{"table": "corrections", "columns": {"correction_id": "id", "label": "label"}}]
    raw = {"name": "crm", "kind": "rest", "base_url": url, "endpoint": "v1/labels", "records": "rows", "maps": maps}
    return RestSource.model_validate({**raw, **fields})


def row(number: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "label": f"label {number}", **more}


def rows(*numbers: int) -> list[dict[str, Any]]:
    return [row(number) for number in numbers]


def read(source: RestSource, state: dict[str, Any] | None = None, patience: Patience = HASTY) -> list[Any]:
    return list(read_rest(source, state={} if state is None else state, patience=patience))


def ids(batches: list[Any]) -> list[str]:
    return [number for batch in batches for number in batch.rows["id"]]


def ask(answers: Answers, patience: Patience = HASTY, **fields: Any) -> list[Any]:
    with serving(answers) as server:
        return read(make(server.url, **fields), patience=patience)


def fail(answers: Answers, patience: Patience = HASTY, **fields: Any) -> str:
    with pytest.raises(SourceError) as caught:
        ask(answers, patience, **fields)
    message = str(caught.value)
    assert message.startswith("source crm: "), message
    assert TOKEN not in message
    assert "?" not in message, message
    return message


# pages


def test_one_page_becomes_one_batch():
    (batch,) = ask(in_turn(Answer({"rows": [row(1, score=2.50), row(2, label=None), row(3, label=["a", "b"])]})))
    assert (batch.origin, batch.is_last, len(batch.version)) == ("v1/labels:1", True, 64)
    assert batch.rows.rows() == [(1, "1", "label 1"), (2, "2", None), (3, "3", "a\x1fb")]


def test_numbers_keep_the_digits_they_came_with():
    (batch,) = ask(in_turn(Answer(b'{"rows": [{"id": 12345678901234567890.50, "label": true}]}')))
    assert batch.rows.rows() == [(1, "12345678901234567890.50", "true")]


def test_a_list_without_an_object_around_it_is_a_page_too():
    assert ids(ask(in_turn(Answer(rows(1, 2))), records="")) == ["1", "2"]


def test_a_page_without_rows_is_an_empty_batch():
    (batch,) = ask(in_turn(Answer({"rows": []})))
    assert batch.rows.schema == pl.Schema({ROW_POSITION: pl.Int64, "id": pl.String, "label": pl.String})
    assert batch.rows.is_empty()
    assert batch.is_last


def test_a_long_page_makes_several_batches(monkeypatch):
    monkeypatch.setattr(rest, "BATCH_ROWS", 2)
    batches = ask(in_turn(Answer({"rows": rows(1, 2, 3, 4, 5)})))
    assert [batch.is_last for batch in batches] == [False, False, True]
    assert [position for batch in batches for position in batch.rows[ROW_POSITION]] == [1, 2, 3, 4, 5]
    assert {batch.origin for batch in batches} == {"v1/labels:1"}


def test_a_very_large_page_is_read_whole():
    (batch,) = ask(in_turn(Answer({"rows": [row(number, label="x" * 1000) for number in range(20_000)]})))
    assert batch.rows.height == 20_000


def test_links_in_the_body_are_followed():
    def answer(asked: Asked) -> Answer:
        page = int(asked.query.get("p", 1))
        links = {"next": f"/v1/labels?p={page + 1}&token=1" if page < 3 else None}
        return Answer({"rows": rows(page, page + 1), "links": links})

    with serving(answer) as server:
        batches = read(make(server.url, parameters={"size": 2}, paging={"kind": "link", "next": "links.next"}))
    assert ids(batches) == ["1", "2", "2", "3", "3", "4"]  # rows that come twice stay twice: the merge knows them
    assert [batch.origin for batch in batches] == ["v1/labels:1", "v1/labels:2", "v1/labels:3"]
    assert [asked.query for asked in server.asked] == [
        {"size": "2"},
        {"p": "2", "token": "1"},
        {"p": "3", "token": "1"},
    ]


def test_links_in_the_header_are_followed():
    def answer(asked: Asked) -> Answer:
        link = {"Link": f'<http://{asked.headers["Host"]}/v1/labels?page=2>; rel="next"'}
        return Answer(rows(2)) if asked.query else Answer(rows(1), headers=link)

    assert ids(ask(answer, records="", paging={"kind": "link"})) == ["1", "2"]


def test_a_next_link_after_the_last_page_is_not_followed():
    def answer(asked: Asked) -> Answer:
        return Answer({"rows": rows(1), "next": "/v1/labels?again", "meta": {"has_more": False}})

    paging = {"kind": "link", "next": "next", "more": "meta.has_more"}
    assert ids(ask(answer, paging=paging)) == ["1"]


def test_pages_are_numbered_until_one_is_empty():
    def answer(asked: Asked) -> Answer:
        page = int(asked.query["page"])
        return Answer({"rows": rows(page) if page < 3 else []})

    assert ids(ask(answer, paging={"kind": "page", "parameter": "page", "first": 0})) == ["0", "1", "2"]


def test_offsets_go_on_by_what_was_received():
    def answer(asked: Asked) -> Answer:
        offset = int(asked.query["offset"])
        return Answer({"rows": rows(*range(7))[offset : offset + 3]})

    with serving(answer) as server:
        paging = {"kind": "offset", "parameter": "offset"}
        assert ids(read(make(server.url, paging=paging))) == [str(number) for number in range(7)]
    assert [asked.query["offset"] for asked in server.asked] == ["0", "3", "6", "7"]


def test_a_flag_ends_numbered_pages():
    def answer(asked: Asked) -> Answer:
        return Answer({"rows": rows(int(asked.query["page"])), "last": asked.query["page"] == "2"})

    assert ids(ask(answer, paging={"kind": "page", "parameter": "page", "end": "last"})) == ["1", "2"]


# where the next run goes on


def changes(stored: list[dict[str, Any]], *, page_rows: int = 2, expired: tuple[str, ...] = ()) -> Answers:
    """An API whose cursor is the number of rows left behind, and that knows ``since``."""

    def answer(asked: Asked) -> Answer:
        cursor = asked.query.get("cursor")
        if cursor in expired:
            return Answer({"error": "gone"}, status=410)
        first = int(cursor) if cursor else 0
        if not cursor and (since := asked.query.get("since")):
            first = next((at for at, each in enumerate(stored) if each["at"] >= since), len(stored))
        page = stored[first : first + page_rows]
        last = first + len(page)
        return Answer({"rows": page, "next": str(last), "end": last == len(stored)})

    return answer


def dated(*numbers: int) -> list[dict[str, Any]]:
    return [row(number, at=f"2026-05-{number:02}T10:00:00Z") for number in numbers]


KEPT = {
    "paging": {**CURSOR, "end": "end"},
    "parameters": {"since": "{start}"},
    "start_field": "at",
    "start_overlap_seconds": 0,
}
TIMED = {
    "paging": {"kind": "cursor", "next": "next", "parameter": "cursor", "end": "end"},
    "parameters": {"since": "{start}"},
    "start_field": "at",
    "start_overlap_seconds": 0,
}


def test_a_kept_cursor_brings_only_what_is_new():
    stored, state = dated(1, 2, 3), {}
    with serving(changes(stored)) as server:
        source = make(server.url, **KEPT)
        assert ids(read(source, state)) == ["1", "2", "3"]
        assert ids(read(source, state)) == []
        stored += dated(4, 5, 6)
        assert ids(read(source, state)) == ["4", "5", "6"]
        assert ids(read(source, state)) == []
    assert (state["cursor"], state["start"]) == ("6", "1778061600.0")
    assert json.loads(json.dumps(state)) == state
    assert server.asked[0].query == {}
    assert all(set(asked.query) == {"cursor"} for asked in server.asked[1:])


def test_a_start_brings_only_what_is_new_and_never_goes_back():
    stored, state = dated(1, 2, 3), {}
    with serving(changes(stored)) as server:
        source = make(server.url, start_at="2026-05-02T12:00:00+02:00", **TIMED)
        assert ids(read(source, state)) == ["2", "3"]
        stored += dated(4)
        assert ids(read(source, state)) == ["3", "4"]
        del stored[2:]
        stored += [row(9, at="2026-05-04T10:00:00Z"), row(10, at="2026-05-01T10:00:00Z")]
        assert ids(read(source, state)) == ["9", "10"]
        assert ids(read(source, state)) == ["9", "10"]
    starts = [asked.query["since"] for asked in server.asked]
    assert list(dict.fromkeys(starts)) == ["2026-05-02T10:00:00Z", "2026-05-03T10:00:00Z", "2026-05-04T10:00:00Z"]


def test_a_start_is_written_as_the_server_wants_it():
    for form, overlap, rows_, wanted in [
        ("unix", {"start_overlap_seconds": 10}, [row(1, at="2026-05-01T10:00:00.75+02:00")], "1777622390"),
        ("unix", {}, [row(1, at=1777622400), row(2, at=5)], "1777622340"),
        ("iso", {"start_overlap_seconds": 0}, [row(1, at="2026-05-01 10:00:00.9")], "2026-05-01T10:00:00Z"),
        ("number", {}, [row(1, at=41), row(2, at=7)], "41"),
    ]:
        with serving(in_turn(Answer({"rows": rows_}))) as server:
            fields = {"parameters": {"q": "x>{start}"}, "start_field": "at", "start_format": form, **overlap}
            source, state = make(server.url, **fields), {}
            read(source, state)
            read(source, state)
        assert [asked.query for asked in server.asked] == [{}, {"q": f"x>{wanted}"}]


def test_a_row_without_a_time_or_with_one_in_the_future_is_given_and_moves_nothing():
    found = [row(1), row(2, at=None), row(3, at="soon"), row(4, at="9999-01-01T00:00:00Z"), row(5, at=["x"]), "odd"]
    with serving(in_turn(Answer({"rows": [*found, *dated(6)]}))) as server:
        state: dict[str, Any] = {}
        (batch,) = read(make(server.url, **{**TIMED, "paging": {"kind": "none"}}), state)
    assert batch.rows["id"].to_list() == ["1", "2", "3", "4", "5", "6"]
    assert state["start"] == "1778061600.0"


@pytest.mark.parametrize("fields", [KEPT, TIMED])
def test_a_run_that_ends_anywhere_loses_nothing(fields):
    stored = dated(*range(1, 12))
    stored[3], stored[8] = stored[8], stored[3]  # pages need not be in the order of time
    with serving(changes(stored, page_rows=3)) as server:
        source = make(server.url, **fields)
        for taken in range(5):
            state: dict[str, Any] = {}
            covered, pages = [], read_rest(source, state=state, patience=HASTY)
            for _ in range(taken):
                covered.append(next(pages))
            if taken:
                next(pages, None)  # the code after the yield runs, and the next batch is lost
            pages.close()
            again = json.loads(json.dumps(state))
            assert set(ids(covered)) | set(ids(read(source, again))) == {str(number) for number in range(1, 12)}


def test_the_state_changes_only_after_its_batch_was_taken():
    with serving(changes(dated(1, 2, 3))) as server:
        state: dict[str, Any] = {}
        pages = read_rest(make(server.url, **KEPT), state=state, patience=HASTY)
        next(pages)
        assert "cursor" not in state
        next(pages)
        assert state["cursor"] == "2"
        assert "start" not in state
        assert next(pages, None) is None
        assert "start" in state


@pytest.mark.parametrize("status", [400, 404, 410, 422])
def test_a_cursor_that_the_server_forgot_starts_again_from_the_last_time_once(status, caplog):
    stored, state = dated(1, 2, 3), {}
    with serving(changes(stored)) as server:
        source = make(server.url, **KEPT)
        read(source, state)
    stored += dated(4, 5)

    def answer(asked: Asked) -> Answer:
        forgot = asked.query.get("cursor") == "3"
        return Answer({"error": "secret text"}, status=status) if forgot else changes(stored)(asked)

    with serving(answer) as other:
        moved = {**state, "place": rest._Walk(make(other.url, **KEPT), {})._state["place"]}
        assert ids(read(make(other.url, **KEPT), moved)) == ["3", "4", "5"]
    assert moved["cursor"] == "5"
    (warning,) = caplog.messages
    assert warning == (
        f"source crm: its server does not know our cursor any more ({status}): starting again from 2026-05-03T10:00:00Z"
    )
    assert [asked.query for asked in other.asked] == [
        {"cursor": "3"},
        {"since": "2026-05-03T10:00:00Z"},
        {"cursor": "4"},
    ]


def test_a_start_that_is_refused_too_is_an_error_and_keeps_the_cursor():
    with serving(in_turn(Answer({"error": 1}, status=422))) as server:
        source = make(server.url, **KEPT)
        state = {**rest._Walk(source, {})._state, "cursor": "7", "left": [], "start": "1777622400"}
        with pytest.raises(SourceError, match="answered 422: check endpoint and parameters"):
            read(source, state)
    assert len(server.asked) == 2
    assert (state["cursor"], state["start"]) == ("7", "1777622400")


def test_the_start_is_the_largest_of_all_pages_and_stays_when_a_server_gives_old_rows_only():
    pages = [(9, "a", False), (3, "b", True), (2, "c", True)]
    with serving(in_turn(*(Answer({"rows": dated(n), "next": to, "end": end}) for n, to, end in pages))) as server:
        source, state = make(server.url, **TIMED), {}
        read(source, state)
        assert state["start"] == "1778320800.0"
        read(source, state)
        assert state["start"] == "1778320800.0"


def test_a_forgotten_cursor_does_not_outlive_the_page_that_replaced_it():
    with serving(in_turn(Answer({}, status=410), Answer({"rows": rows(1), "next": None}))) as server:
        source = make(server.url, paging=CURSOR)
        state = {**rest._Walk(source, {})._state, "cursor": "7", "left": []}
        assert ids(read(source, state)) == ["1"]
    assert "cursor" not in state


def test_what_is_known_of_one_endpoint_says_nothing_of_another():
    state: dict[str, Any] = {}
    with serving(changes(dated(1, 2))) as server:
        read(make(server.url, **KEPT), state)
        assert ids(read(make(server.url, **KEPT), state)) == []
        assert ids(read(make(server.url, **KEPT, endpoint="v2/labels"), state)) == ["1", "2"]


# servers that go in circles


def test_a_cursor_that_comes_again_ends_the_run():
    message = fail(
        in_turn(Answer({"rows": rows(1), "next": "a"}), Answer({"rows": rows(2), "next": "a"})), paging=CURSOR
    )
    assert "leads back to a page that was read before" in message
    circle = [Answer({"rows": rows(1), "next": "a"}), Answer({"rows": rows(2), "next": "b"})] * 5
    assert "leads back" in fail(in_turn(*circle), paging=CURSOR)
    assert "leads back" in fail(
        in_turn(Answer({"rows": rows(1), "next": "/x"})), paging={"kind": "link", "next": "next"}
    )


def test_a_cursor_that_goes_backwards_never_moves_ours():
    answers = [("1", False), ("2", False), ("3", True), ("1", True), ("2", False)]
    with serving(in_turn(*(Answer({"rows": rows(1), "next": n, "end": end}) for n, end in answers))) as server:
        source, state = make(server.url, paging={**CURSOR, "end": "end"}), {}
        read(source, state)
        kept = copy.deepcopy(state)
        assert state["cursor"] == "3"
        for _ in range(2):
            with pytest.raises(SourceError, match="leads back to a page that was read before"):
                read(source, state)
        assert state == kept


def test_pages_that_are_all_the_same_end_the_run():
    message = fail(in_turn(Answer({"rows": rows(1)})), paging={"kind": "page", "parameter": "pge"})
    assert "answers the same page over and over: check paging.parameter pge" in message
    counted = iter(range(10_000))
    message = fail(lambda _: Answer({"rows": [], "next": str(next(counted))}), paging=CURSOR)
    assert "over and over" in message


def test_pages_that_contradict_themselves_are_errors():
    more = {**CURSOR, "more": "more"}
    assert "leads to none at next" in fail(in_turn(Answer({"rows": rows(1), "more": True})), paging=more)
    assert "found nothing: check paging" in fail(in_turn(Answer({"rows": rows(1), "next": "a"})), paging=more)
    odd = Answer({"rows": rows(1), "next": {"customer": "Jo"}})
    assert "needed a text at next, found an object" in fail(in_turn(odd), paging=CURSOR)


def test_a_next_page_at_another_server_is_refused_without_asking_it():
    with serving(in_turn(Answer({"rows": rows(9)}))) as other:
        for link in (
            other.url,
            "http://localhost:1",
            "//evil.example/x",
            "https://127.0.0.1",
            "file:///etc/passwd",
            "http://[",
        ):
            message = fail(
                in_turn(Answer({"rows": rows(1), "next": f"{link}/v1?token={TOKEN}"})),
                paging={"kind": "link", "next": "next"},
            )
            assert "leads to a" in message
    assert other.asked == []


# logins


def test_secrets_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("CXLOOP_SOURCE_CRM_TOKEN", f"{TOKEN}\n")
    monkeypatch.setenv("CXLOOP_SOURCE_CRM_USER", "jo@example.com/token")
    monkeypatch.setenv("CXLOOP_SOURCE_CRM_PASSWORD", TOKEN)
    with serving(in_turn(Answer({"rows": rows(1)}))) as server:
        for auth in ("none", "bearer", "basic"):
            read(make(server.url, auth=auth))
    assert [asked.headers.get("Authorization") for asked in server.asked] == [
        None,
        f"Bearer {TOKEN}",
        "Basic am9AZXhhbXBsZS5jb20vdG9rZW46dDBwLXNlY3JldA==",
    ]


def test_what_netrc_holds_is_not_sent(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login jo password {TOKEN}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serving(in_turn(Answer({"rows": rows(1)}))) as server:
        read(make(server.url))
    assert "Authorization" not in server.asked[0].headers


@pytest.mark.parametrize(("auth", "variable"), [("bearer", "TOKEN"), ("basic", "USER"), ("basic", "PASSWORD")])
def test_a_missing_secret_is_named(auth, variable, monkeypatch):
    for part in {"TOKEN", "USER", "PASSWORD"} - {variable}:
        monkeypatch.setenv(f"CXLOOP_SOURCE_CRM_{part}", TOKEN)
    monkeypatch.setenv(f"CXLOOP_SOURCE_CRM_{variable}", " ")
    message = fail(in_turn(Answer()), auth=auth)
    assert message.endswith(f"needs CXLOOP_SOURCE_CRM_{variable} in the environment: set it")


def test_a_secret_that_no_header_can_hold_is_not_quoted(monkeypatch):
    monkeypatch.setenv("CXLOOP_SOURCE_CRM_TOKEN", f"{TOKEN}\r\nX: y")
    assert "needs printable ASCII" in fail(in_turn(Answer()), auth="bearer")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_login_says_what_to_check(status, monkeypatch):
    monkeypatch.setenv("CXLOOP_SOURCE_CRM_TOKEN", TOKEN)
    message = fail(in_turn(Answer({"error": TOKEN}, status=status)), auth="bearer", parameters={"key": "k"})
    assert message.endswith(f"/v1/labels answered {status}: check CXLOOP_SOURCE_CRM_TOKEN, and its rights")
    assert "auth: it is none" in fail(in_turn(Answer(status=status)))


def test_a_redirect_within_the_server_is_followed_with_the_login(monkeypatch):
    monkeypatch.setenv("CXLOOP_SOURCE_CRM_TOKEN", TOKEN)
    moved = Answer(status=307, headers={"Location": "/v2/labels?x=1"})
    with serving(in_turn(moved, Answer({"rows": rows(1)}))) as server:
        assert ids(read(make(server.url, auth="bearer"))) == ["1"]
    assert [asked.path for asked in server.asked] == ["/v1/labels", "/v2/labels"]
    assert server.asked[1].headers["Authorization"] == f"Bearer {TOKEN}"
    assert "redirects more than 5 times" in fail(in_turn(moved))


def test_a_redirect_to_another_server_does_not_carry_the_login(monkeypatch):
    monkeypatch.setenv("CXLOOP_SOURCE_CRM_TOKEN", TOKEN)
    with serving(in_turn(Answer({"rows": rows(1)}))) as other:
        moved = Answer(status=302, headers={"Location": f"{other.url}/v1/labels"})
        assert "leads to another server (127.0.0.1)" in fail(in_turn(moved), auth="bearer")
    assert other.asked == []


# bad answers


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (Answer(b"<html>Sign in, Jo</html>", headers={"Content-Type": "text/html; charset=utf-8"}), "found text/html"),
        (Answer(b""), "found application/json (0 bytes)"),
        (Answer(b'{"rows": [{"id": 1}'), "needed JSON"),
        (Answer(b'{"rows": ' + b"[" * 200_000), "needed JSON"),
        (Answer(b"\xff\xfe\x00"), "needed JSON"),
        (Answer("text"), "needed a list at rows, found a text or a number"),
        (Answer(None), "needed a list at rows, found nothing"),
        (Answer(rows(1)), "needed a list at rows, found a list"),
        (Answer({"row": [], "count": 3}), "needed a list at rows, found keys row, count: check records"),
        (Answer({"rows": {"id": 1}}), "found keys rows"),
        (Answer({"rows": None}), "needed a list at rows"),
        (Answer({"jo@example.com": 1, "ok": 2}), "found keys …, ok:"),
        (Answer({}), "found keys none"),
        (Answer({}, status=404), "answered 404: there is no such resource: check base_url and endpoint"),
        (Answer({}, status=400), "answered 400: check endpoint and parameters"),
        (Answer(b"", status=204), "answered 204"),
    ],
)
def test_an_answer_of_another_form_is_an_error_and_says_nothing_of_its_content(answer, found):
    message = fail(in_turn(answer))
    assert found in message
    assert "Jo" not in message
    assert "jo@" not in message


def test_a_bad_record_is_refused_and_its_neighbours_live():
    found = [row(1), "text", row(2, label={"deep": "Jo"}), None, [row(3)], row(4, label=[[1]]), {}, row(5)]
    (batch,) = ask(in_turn(Answer({"rows": found})))
    assert batch.rows.rows() == [(1, "1", "label 1"), (7, None, None), (8, "5", "label 5")]
    codes = {refusal.position: refusal.code for refusal in batch.refused}
    nested, other = "nested_value", "not_an_object"
    assert codes == {2: other, 3: nested, 4: other, 5: other, 6: nested}
    assert "Jo" not in repr(batch.refused)


def test_a_record_that_is_not_utf_8_is_refused_alone():
    body = b'{"rows": [{"id": 1, "label": "caf\xe9"}, {"id": 2, "label": "caf\xc3\xa9"}, 3]}'
    (batch,) = ask(in_turn(Answer(body)))
    assert batch.rows.rows() == [(2, "2", "café")]
    assert [(refusal.position, refusal.code) for refusal in batch.refused] == [
        (1, "broken_encoding"),
        (3, "not_an_object"),
    ]
    assert len(batch.refused[0].content_digest) == 64


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["a", "2026-05-01"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "at", "next", "x"]), inner),
    max_leaves=8,
)
_BODIES = _VALUES | st.fixed_dictionaries({"rows": st.lists(_VALUES, max_size=4)}, optional={"next": _VALUES})
_FORMS = [{"kind": "none"}, CURSOR, {"kind": "link", "next": "next"}, {"kind": "offset", "parameter": "o"}]


def test_whatever_an_answer_holds_every_record_is_a_row_or_a_refusal():
    bodies: list[Any] = []

    def answer(asked: Asked) -> Answer:
        return Answer(bodies.pop(0) if bodies else {"rows": []})

    with serving(answer) as server:

        @settings(max_examples=150, deadline=None)
        @given(st.lists(_BODIES, min_size=1, max_size=3), st.sampled_from(_FORMS), st.booleans())
        def check(found: list[Any], paging: dict[str, Any], is_number: bool) -> None:
            bodies[:] = found
            form = "number" if is_number else "iso"
            timed = {"parameters": {"s": "{start}"}, "start_field": "at", "start_format": form}
            state: dict[str, Any] = {}
            pages = read_rest(make(server.url, paging=paging, **timed), state=state, patience=HASTY)
            with suppress(SourceError):
                for body, batch in zip([*found, {"rows": []}], pages, strict=False):
                    assert batch.rows.height + len(batch.refused) == len(body["rows"])
            assert json.loads(json.dumps(state)) == state

        check()


def test_json_that_is_nested_deep_is_a_row_a_refusal_or_an_error():
    for depth in (10, *range(850, 1000, 5), 5000):
        deep = b'{"rows": [{"id": ' + b"[" * depth + b"]" * depth + b"}, " + b'{"id": 2}]}'
        with suppress(SourceError):
            (batch,) = ask(in_turn(Answer(deep)))
            assert ids([batch]) == ["2"]
            assert batch.refused[0].code == "nested_value"


# servers that are busy, slow or gone


def test_a_server_that_asks_for_patience_gets_it():
    busy = Answer({"error": "slow down"}, status=429, headers={"Retry-After": "1"})
    before = time.monotonic()
    patience = Patience(attempts=3, first_wait_seconds=0.01, longest_wait_seconds=5)
    assert ids(ask(in_turn(busy, Answer({"rows": rows(1)})), patience)) == ["1"]
    assert time.monotonic() - before >= 1


def test_patience_has_an_end():
    busy = Answer({"error": "x"}, status=429, headers={"Retry-After": "3600"})
    with serving(in_turn(busy)) as server:
        before = time.monotonic()
        with pytest.raises(SourceError, match="answered 429: also at attempt 3: run again later"):
            read(make(server.url))
        assert time.monotonic() - before < 3
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_in_trouble_is_asked_again(status):
    trouble = Answer(b"<html>", status=status)
    assert ids(ask(in_turn(trouble, trouble, Answer({"rows": rows(1)})))) == ["1"]
    assert f"answered {status}: also at attempt 3" in fail(in_turn(trouble))


def test_a_body_that_breaks_off_is_asked_for_again():
    cut = Answer({"rows": rows(1, 2)}, missing=20)
    assert ids(ask(in_turn(cut, cut, Answer({"rows": rows(1, 2)})))) == ["1", "2"]
    assert "does not answer in full (" in fail(in_turn(cut))


def test_a_server_that_is_gone_is_not_an_empty_one():
    with serving(in_turn(Answer())) as server:
        source = make(server.url)
    with pytest.raises(SourceError, match=r"does not answer in full \(ConnectionError, up to 3 attempts\)"):
        read(source)


def test_a_silent_or_endless_server_is_left():
    def sleep(_asked: Asked) -> Answer:
        time.sleep(0.5)
        return Answer({"rows": []})

    hasty = Patience(attempts=2, first_wait_seconds=0.01, longest_wait_seconds=0.01, silence_seconds=0.1)
    assert "does not answer in full" in fail(sleep, hasty)
    small = Patience(attempts=2, answer_bytes=1000)
    assert "answers more than 1,000 bytes: ask for smaller pages" in fail(in_turn(Answer(b" " * 2000)), small)
    slow = Patience(attempts=2, first_wait_seconds=0.01, answer_seconds=0)
    assert "does not answer in full (Timeout" in fail(in_turn(Answer({"rows": []})), slow)


# the settings


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"base_url": "https://jo:secret@crm.example"}, "base_url"),
        ({"base_url": "https://crm.example/v1?key=1"}, "base_url"),
        ({"base_url": "ftp://crm.example"}, "base_url"),
        ({"base_url": "http://crm.example", "auth": "bearer"}, "needs https where a secret is sent"),
        ({"base_url": "http://127.0.0.1.crm.example", "auth": "bearer"}, "needs https"),
        ({"endpoint": "labels?key=1"}, "endpoint"),
        ({"records": "rows[1]"}, "a path needs keys"),
        ({"paging": {"kind": "cursor"}}, "needs next and parameter"),
        ({"paging": {"kind": "page"}}, "needs parameter"),
        ({"paging": {"kind": "link", "parameter": "p"}}, "does not use parameter: leave it out"),
        ({"paging": {"kind": "none", "keep": True}}, "does not use keep"),
        ({"paging": {**CURSOR, "more": "a", "end": "b"}}, "at most one of more and end"),
        ({"start_field": "at"}, "needs {start} in one of parameters"),
        ({"parameters": {"since": "{start}"}}, "and start_field or start_at"),
        ({"parameters": {"since": "{start}"}, "start_at": "yesterday"}, "start_at"),
        ({"parameters": {"since": "{start}"}, "start_at": "x", "start_format": "number"}, "needs a number"),
        (
            {"parameters": {"s": "{start}"}, "start_at": "1", "start_format": "number", "start_overlap_seconds": 5},
            "found start_format number",
        ),
    ],
)
def test_wrong_settings_are_found_before_anything_is_read(fields, fault):
    with pytest.raises(ValidationError) as caught:
        make(**{"url": "https://crm.example", **fields})
    assert any(fault in f"{each['loc']} {each['msg']}" for each in caught.value.errors())


def test_no_secret_reaches_the_log(monkeypatch, caplog):
    monkeypatch.setenv("CXLOOP_SOURCE_CRM_TOKEN", TOKEN)
    caplog.set_level("DEBUG")
    ask(in_turn(Answer({"rows": rows(1)})), auth="bearer")
    assert TOKEN not in caplog.text
