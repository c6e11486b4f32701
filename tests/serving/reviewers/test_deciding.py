"""Who may decide on the page, and what happens to everything else that is sent to it."""

import threading

import pytest

from labeling.errors import RegistryError
from serving.reviewers import deciding
from tests.mlflow_fixture import locked
from tests.serving.reviewers.stage import PageStage, forms, sign_in
from tests.training.judging.sample_case import INTENTS
from tests.training.registry.stage import PEOPLE, TOKENS
from training.registry.registry import RELEASE
from training.registry.standing import DECISION, read_standing

NOTE = "fewer refunds misrouted"


def decisions(stage) -> list[dict]:
    return [dict(entry.body) for entry in stage.ledger.entries(DECISION)]


@pytest.fixture
def waiting(stage):
    """A home in which a first release waits; ``version`` is its version."""
    stage.version = stage.challenge()
    return stage


@pytest.fixture(scope="module")
def shared(tmp_path_factory, migrated_mlflow):
    """The same for all tests in which nothing may be recorded."""
    stage = PageStage(tmp_path_factory.mktemp("shared") / "home", migrated_mlflow)
    stage.version = stage.challenge(authors=("Cleo P <cleo@example.org>",))
    return stage


@pytest.fixture
def refusing(shared):
    """``shared``, which must hold no decision afterwards."""
    yield shared
    assert decisions(shared) == []
    shared.write_people()


def open_form(client, version: str) -> tuple[str, dict[str, str]]:
    """Return where the decision on ``version`` is sent, and its hidden fields."""
    address = f"/challengers/{version}/decision"
    return address, forms(client.get(f"/challengers/{version}").text)[address]


def test_a_reviewer_approves_with_a_note(waiting):
    client = waiting.client()
    sign_in(client, "ana")
    address, form = open_form(client, waiting.version)
    answer = client.post(address, data=form | {"decision": "approve", "note": NOTE})
    assert answer.status_code == 200
    assert "approve of version 1 by ana" in answer.text
    assert decisions(waiting)[0] | {"champion_after": "1", "note": NOTE} == decisions(waiting)[0]
    assert decisions(waiting)[0]["case_file"] == waiting.case("1").digest
    assert waiting.registry.alias(RELEASE, "champion") == "1"
    assert "Approved by ana" in client.get("/challengers/1").text


@pytest.mark.parametrize("kind", ["reject", "more_evidence"])
def test_a_reviewer_rejects_or_asks_for_more_evidence(waiting, kind):
    client = waiting.client()
    sign_in(client, "ana")
    address, form = open_form(client, waiting.version)
    client.post(address, data=form | {"decision": kind, "note": NOTE})
    assert [(entry["decision"], entry["note"]) for entry in decisions(waiting)] == [(kind, NOTE)]
    assert waiting.champion is None


def test_a_rollback_while_mlflow_is_locked_is_told_and_happens_once(stage, impatient_mlflow):
    _, second, third = stage.crown(), stage.crown(), stage.crown()
    client = stage.client()
    sign_in(client, "ana")
    page = client.get("/history").text
    for how, recorded in (("EXCLUSIVE", 3), ("IMMEDIATE", 4)):
        with locked(stage.registry, how):
            answer = client.post("/rollback", data=forms(page)["/rollback"] | {"note": NOTE})
        page = answer.text
        assert answer.status_code == 503
        assert "database is locked" in page
        assert f">{NOTE}</textarea>" in page
        assert (len(decisions(stage)), stage.registry.alias(RELEASE, "champion")) == (recorded, third)
    assert "is recorded, but the aliases could not be moved yet" in page
    answer = client.post("/rollback", data=forms(page)["/rollback"] | {"note": NOTE})
    assert answer.status_code == 200
    assert (len(decisions(stage)), stage.registry.alias(RELEASE, "champion")) == (4, second)


def test_a_slice_is_waived_by_name(stage):
    version = stage.judge("inconclusive")
    client = stage.client()
    sign_in(client, "ana")
    address = f"/challengers/{version}/waiver"
    form = forms(client.get(f"/challengers/{version}").text)[address]
    page = client.post(address, data=form | {"note": "seen by hand"}).text
    assert decisions(stage)[0]["slice"] == ["intent", INTENTS[7]]
    assert "Waived by ana" in page
    assert address not in forms(page)


def test_two_approvals_take_two_people(waiting):
    waiting.write_people(required_approvals=2)
    for name, said in (("ana", "1 of 2 approvals"), ("ben", "2 of 2 approvals")):
        assert waiting.champion is None
        client = waiting.client()
        sign_in(client, name)
        address, form = open_form(client, waiting.version)
        assert said in client.post(address, data=form | {"decision": "approve", "note": NOTE}).text
    assert waiting.champion == waiting.version


@pytest.mark.parametrize("path", ["/", "/history", "/challengers/1", "/challengers/1/files/gates.json"])
def test_nobody_reads_anything_without_signing_in(refusing, path):
    answer = refusing.client(follow_redirects=False).get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?next=")


@pytest.mark.parametrize("token", ["", "cxl_ana_wrong", "cxl_nobody_x", TOKENS["ana"] + "x", "x" * 100_000])
def test_a_wrong_token_lets_nobody_in(refusing, token):
    client = refusing.client()
    answer = client.post("/sign-in", data=forms(client.get("/sign-in").text)["/sign-in"] | {"token": token})
    assert answer.status_code == 401
    assert "this token is nobody&#39;s" in answer.text.lower()
    assert client.get("/", follow_redirects=False).status_code == 303


def test_signing_in_leads_on_only_within_the_page(refusing):
    client = refusing.client(follow_redirects=False)
    for wanted, expected in (
        ("/history", "/history"),
        ("//evil.example/x", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
    ):
        form = forms(client.get("/sign-in").text)["/sign-in"]
        answer = client.post("/sign-in", data=form | {"token": TOKENS["ana"], "next": wanted})
        assert answer.headers["location"] == expected


def test_the_cookie_is_kept_from_scripts_and_other_sites(refusing):
    client = refusing.client(follow_redirects=False)
    form = forms(client.get("/sign-in").text)["/sign-in"]
    cookie = client.post("/sign-in", data=form | {"token": TOKENS["ana"]}).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKENS["ana"] not in cookie


def test_a_changed_or_foreign_cookie_signs_nobody_in(refusing):
    client = refusing.client()
    sign_in(client)
    cookie = client.cookies["cxloop_session"]
    for forged in (cookie[:-1] + ("A" if cookie[-1] != "A" else "B"), "x", "", client.cookies["cxloop_visit"]):
        fresh = refusing.client(follow_redirects=False, cookies={"cxloop_session": forged})
        assert fresh.get("/").status_code == 303


def test_a_session_ends_with_signing_out_a_new_token_and_the_person(refusing):
    def signed_in():
        client = refusing.client(follow_redirects=True)
        sign_in(client)
        return client

    client = signed_in()
    cookie = client.cookies["cxloop_session"]
    client.post("/sign-out", data=forms(client.get("/").text)["/sign-out"])
    client.cookies.set("cxloop_session", cookie)
    assert client.get("/", follow_redirects=False).status_code == 303

    people = PEOPLE.model_dump(mode="json")["people"]
    for changed in ([people[1]], [people[0] | {"token": people[1]["token"]}, people[1]]):
        client = signed_in()
        refusing.write_people(people=changed)
        assert client.get("/", follow_redirects=False).status_code == 303
        refusing.write_people()


def test_a_reader_sees_everything_and_sends_nothing(refusing):
    client, reviewer = refusing.client(), refusing.client()
    sign_in(client, "rita")
    sign_in(reviewer, "ana")
    address, form = open_form(reviewer, refusing.version)
    for path in ("/", "/history", f"/challengers/{refusing.version}"):
        page = client.get(path)
        assert page.status_code == 200
        assert set(forms(page.text)) == {"/sign-out"}
    assert "Deciding takes the role reviewer" in page.text
    for path in (address, f"/challengers/{refusing.version}/waiver", "/rollback"):
        answer = client.post(path, data=form | {"decision": "approve", "note": NOTE})
        assert answer.status_code == 403
        assert "role reviewer" in answer.text


def test_an_author_is_offered_no_approval_and_refused_one(refusing):
    client = refusing.client()
    sign_in(client, "cleo")
    page = client.get(f"/challengers/{refusing.version}").text
    assert "You are among its authors" in page
    assert 'value="approve"' not in page
    address, form = open_form(client, refusing.version)
    answer = client.post(address, data=form | {"decision": "approve", "note": NOTE})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"content-type": "text/plain"},
    ],
)
def test_a_form_from_another_site_is_refused(refusing, headers):
    client = refusing.client()
    sign_in(client)
    address, form = open_form(client, refusing.version)
    answer = client.post(address, data=form | {"decision": "approve", "note": NOTE}, headers=headers)
    assert answer.status_code == 403


def test_a_form_needs_its_own_token_of_its_own_visitor_for_its_own_purpose(refusing):
    ana, ben = refusing.client(), refusing.client()
    sign_in(ana, "ana")
    sign_in(ben, "ben")
    address, form = open_form(ana, refusing.version)
    sent = {"decision": "approve", "note": NOTE}
    signed_out = forms(ben.get("/").text)["/sign-out"]
    for foreign in ({}, {"form": ""}, {"form": form["form"][:-2] + "xx"}, form, signed_out):
        assert ben.post(address, data=foreign | sent).status_code == 403
    assert refusing.client(follow_redirects=False).post(address, data=form | sent).status_code == 401


def test_a_form_that_is_sent_again_does_nothing(waiting):
    client = waiting.client()
    sign_in(client)
    address, form = open_form(client, waiting.version)
    sent = form | {"decision": "more_evidence", "note": NOTE}
    assert client.post(address, data=sent).status_code == 200
    answer = client.post(address, data=sent)
    assert answer.status_code == 409
    assert "This form was sent before" in answer.text
    assert len(decisions(waiting)) == 1


def test_a_form_is_refused_after_a_restart(refusing):
    client = refusing.client()
    sign_in(client)
    address, form = open_form(client, refusing.version)
    later = refusing.client(cookies=client.cookies)
    answer = later.post(address, data=form | {"decision": "approve", "note": NOTE})
    assert answer.status_code == 409
    assert "started anew" in answer.text


def test_a_form_that_shows_an_older_case_file_is_refused(waiting):
    client = waiting.client()
    sign_in(client)
    address, form = open_form(client, waiting.version)
    waiting.judge_again(waiting.version)
    waiting.name(waiting.version)
    answer = client.post(address, data=form | {"decision": "approve", "note": NOTE})
    assert answer.status_code == 409
    assert "judged again since you looked" in answer.text
    assert NOTE in answer.text
    assert waiting.champion is None


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"decision": "approve", "note": " \n"}, "needs a note"),
        ({"decision": "crown", "note": NOTE}, "none was pressed"),
        ({"note": NOTE}, "none was pressed"),
        ({"decision": "reject", "note": "é" * 3_000}, "A note holds up to 2,000 characters, found 3,000"),
    ],
)
def test_what_cannot_be_taken_comes_back_with_its_note(refusing, sent, said):
    client = refusing.client()
    sign_in(client)
    address, form = open_form(client, refusing.version)
    answer = client.post(address, data=form | sent)
    assert answer.status_code == 409
    assert said in answer.text.replace("&#39;", "'")
    assert f">{sent['note']}</textarea>".strip() in answer.text
    assert address in forms(answer.text)


def test_a_megabyte_of_markup_is_refused_in_words(refusing):
    client = refusing.client()
    sign_in(client)
    address, form = open_form(client, refusing.version)
    answer = client.post(address, data=form | {"decision": "reject", "note": "<script>alert(1)</script>" * 40_000})
    assert answer.status_code == 413
    assert "a form holds up to 256 kib" in answer.text.lower()
    assert "<script>alert" not in answer.text


def test_markup_in_a_note_stays_text(waiting):
    client = waiting.client()
    sign_in(client)
    address, form = open_form(client, waiting.version)
    note = "</textarea><script>alert(1)</script>"
    client.post(address, data=form | {"decision": "more_evidence", "note": note})
    for path in ("/", "/history", f"/challengers/{waiting.version}"):
        assert "<script>alert" not in client.get(path).text
    assert "&lt;script&gt;" in client.get("/history").text


def test_signing_in_and_deciding_are_limited(refusing):
    client = refusing.client()
    sign_in(client)
    address, form = open_form(client, refusing.version)
    answers = [client.post(address, data=form).status_code for _ in range(21)]
    assert 429 not in answers[:20]
    assert answers[20] == 429
    guesses = [sign_in(client, "ben") for _ in range(10)]
    assert guesses[-1].status_code == 429
    assert 1 <= int(guesses[-1].headers["retry-after"]) <= 61
    assert "wait" in guesses[-1].text


PROXY = {"header": "X-Forwarded-User", "addresses": ["127.0.0.1"]}


def test_a_named_proxy_vouches_for_people(waiting):
    waiting.write_people(proxy=PROXY)
    client = waiting.client(headers={"X-Forwarded-User": "cleo@example.org"})
    address, form = open_form(client, waiting.version)
    client.post(address, data=form | {"decision": "approve", "note": NOTE})
    assert decisions(waiting)[0]["reviewer"] == "cleo"


def test_a_forged_header_is_refused(refusing):
    from starlette.testclient import TestClient

    refusing.write_people(proxy=PROXY)
    app = refusing.app()
    for address, headers in (
        ("10.0.0.9", [("X-Forwarded-User", "ana")]),
        ("10.0.0.9", [("X-Forwarded-User", "ana"), ("X-Forwarded-For", "127.0.0.1")]),
        ("127.0.0.1", [("X-Forwarded-User", "ana"), ("X-Forwarded-User", "ben")]),
        ("127.0.0.1", [("X-Forwarded-User", "stranger")]),
        ("127.0.0.1", [("X-Forwarded-User", "")]),
    ):
        answer = TestClient(app, client=(address, 1), follow_redirects=False).get("/", headers=headers)
        assert answer.status_code == 403
        assert "You may not do this" in answer.text


def test_cookies_are_kept_to_https_where_the_proxy_speaks_it(refusing):
    for proxy, is_secure in ((None, False), (PROXY, True)):
        refusing.write_people(proxy=proxy)
        answer = refusing.client().get("/sign-in", headers={"X-Forwarded-Proto": "https"})
        assert ("Secure" in answer.headers["set-cookie"]) == is_secure


def test_a_header_says_nothing_where_no_proxy_is_named(refusing):
    client = refusing.client(headers={"X-Forwarded-User": "ana"}, follow_redirects=False)
    assert client.get("/").status_code == 303


class Away:
    """A registry that answers until ``gone``."""

    gone = False

    def __init__(self, registry):
        self._registry = registry

    def __getattr__(self, name):
        if self.gone:
            raise RegistryError("the model registry cannot be used: see that it runs, then run again")
        return getattr(self._registry, name)


def test_a_decision_waits_for_the_registry_with_its_note(waiting):
    registry = Away(waiting.registry)
    client = waiting.client(registry=registry)
    sign_in(client)
    address, form = open_form(client, waiting.version)
    registry.gone = True
    answer = client.post(address, data=form | {"decision": "approve", "note": NOTE})
    assert answer.status_code == 503
    assert "The model registry cannot be used" in answer.text
    assert f">{NOTE}</textarea>" in answer.text
    registry.gone = False
    client.post(address, data=forms(answer.text)[address] | {"decision": "approve", "note": NOTE})
    assert waiting.champion == waiting.version


def test_a_decision_on_a_registry_that_hangs_says_where_to_look(waiting, monkeypatch):
    monkeypatch.setattr(deciding, "_PATIENCE_SECONDS", 0.1)
    let = threading.Event()

    class Hanging(Away):
        def __getattr__(self, name):
            if self.gone:
                let.wait(10)
            return getattr(self._registry, name)

    registry = Hanging(waiting.registry)
    client = waiting.client(registry=registry)
    sign_in(client)
    address, form = open_form(client, waiting.version)
    registry.gone = True
    answer = client.post(address, data=form | {"decision": "approve", "note": NOTE})
    let.set()
    assert answer.status_code == 504
    assert "look at the history before you decide again" in answer.text
    assert read_standing(waiting.ledger.entries()).judged


def test_every_answer_carries_the_security_headers(refusing):
    client = refusing.client()
    sign_in(client)
    for path in ("/", "/sign-in", "/nothing", "/static/reviewers.js", "/health"):
        headers = client.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
    assert client.get("/").headers["cache-control"] == "no-store"
    for path in ("/", "/history", f"/challengers/{refusing.version}"):
        page = client.get(path).text
        assert "style=" not in page
        assert "<script>" not in page
        assert " onclick" not in page


def test_a_broken_settings_file_lets_nobody_in_and_says_why(stage):
    (stage.home.configs / "reviewers.yaml").write_text("people: 3\n")
    answer = stage.client().get("/")
    assert answer.status_code == 503
    assert "reviewers.yaml" in answer.text


def test_a_fault_of_the_page_itself_tells_no_details(refusing):
    class Broken:
        def versions(self, name):
            raise ZeroDivisionError("a secret")

    client = refusing.client(registry=Broken(), raise_server_exceptions=False)
    answer = sign_in(client)
    assert answer.status_code == 500
    assert "ZeroDivisionError" in answer.text
    assert "a secret" not in answer.text
    assert "script-src" in answer.headers["content-security-policy"]
