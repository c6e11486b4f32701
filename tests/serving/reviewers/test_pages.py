"""What people read on the reviewers' page, and what still stands when a part of it cannot be read."""

import re
import sqlite3
import threading
from contextlib import contextmanager
from datetime import timedelta

import polars as pl
import pytest

from labeling.errors import RegistryError
from labeling.tables import INTERACTIONS
from tests.serving.reviewers.stage import sign_in
from tests.training.judging.sample_case import INTENTS, TASK


class Away:
    """A registry that nobody can reach."""

    def versions(self, name):
        raise RegistryError("the model registry cannot be used (the list of versions): see that it runs")


class Slow:
    """A registry that answers when it is let."""

    def __init__(self, registry):
        self.registry, self.let = registry, threading.Event()

    def versions(self, name):
        self.let.wait(20)
        return self.registry.versions(name)


@pytest.fixture
def client(played):
    client = played.client()
    sign_in(client)
    return client


def rows_of(page: str, region: str) -> list[list[str]]:
    """Return the rows of the table in a region, each cell as text."""
    body = page.split(f'aria-label="{region}"', 1)[1].split("<tbody>", 1)[1].split("</tbody>", 1)[0]
    cells = [re.split(r"<t[hd][^>]*>", row)[1:] for row in body.split("<tr>")[1:]]
    return [[" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in row] for row in cells]


def test_the_first_page_shows_what_waits_and_what_is_live(played, client):
    page = client.get("/").text
    assert f'href="/challengers/{played.challenger}"' in page
    assert "Release <a href=" in page
    assert f"before it, release {int(played.champion) - 1}" in page
    rows = rows_of(page, "Releases judged against this champion")
    assert [row[0] for row in rows] == [f"Release {played.held}", f"Release {played.inconclusive}"]
    assert "too few cases to tell" in rows[1][3]


def test_a_home_without_anything_says_so(stage):
    client = stage.client()
    page = sign_in(client).text
    assert "No challenger waits" in page
    assert "the first challenger that is approved becomes the champion" in page
    assert "Nothing was decided yet" in client.get("/history").text


def test_a_challenger_is_shown_beside_its_champion(played, client):
    page = client.get(f"/challengers/{played.challenger}").text
    card = played.case(played.challenger).scorecards(TASK)
    assert f"beside champion {played.champion}" in page
    assert (
        f"{card['challenger'].accuracy:.1%} right of 300 test cases, the champion {card['champion'].accuracy:.1%}"
        in page
    )
    assert f"{card['champion'].accuracy_low:.1%} to {card['champion'].accuracy_high:.1%}" in page
    assert "200 rows added" in page
    assert "agent-31" in page
    assert 'aria-label="Calibration: the challenger is' in page
    assert "4,200 messages" in page
    assert len(rows_of(page, f"Labels of {TASK}")) == len(card["challenger"].labels)
    assert {row[0] for row in rows_of(page, "By channel")} == {"chat", "email", "phone"}


def test_an_inconclusive_verdict_says_what_it_lacks_and_costs(played, client):
    page = client.get(f"/challengers/{played.inconclusive}").text
    assert "That is not a yes" in page
    gates = rows_of(page, "Verdict of each gate")
    assert [row[0].split()[-1] for row in gates] == ["failed", "undecided", "undecided", "waived", "passed", "passed"]
    could_show = next(row for row in gates if "card_timing" in row[1])
    assert could_show[2:6] == [
        "5 cases: 90 points at 80% power",
        "a drop of 50 points",
        "19% could see a drop of 90 points with 5 cases",
        f"9 cases more Waive intent {INTENTS[7]} Why this slice may go unproven Waive this slice",
    ]
    assert "about 340 labels more" in page


def test_changed_cases_are_filtered_ordered_and_cut_into_pages(played, client):
    address = f"/challengers/{played.challenger}"
    rows = rows_of(client.get(address).text, "Changed cases")
    kinds = [row[1].split()[0] for row in rows]
    assert kinds == sorted(kinds, key=["lost", "unlabelled", "both", "won"].index)
    lost = rows_of(client.get(address, params={"kind": "lost"}).text, "Changed cases")
    assert len(lost) == kinds.count("lost") > 0
    assert all(row[2] == row[3].split()[0] for row in lost)
    label = lost[0][2]
    named = rows_of(client.get(address, params={"label": label}).text, "Changed cases")
    assert named
    assert all(label in " ".join(row[2:5]) for row in named)
    spanish = rows_of(client.get(address, params={"slice": "language:es"}).text, "Changed cases")
    assert {row[5] for row in spanish} == {"es"}
    fresh = client.get(address, params={"sample": "fresh", "cases": "-challenger_confidence"}).text
    sure = [int(re.search(r"(\d+)% sure", row[4])[1]) for row in rows_of(fresh, "Changed cases")]
    assert sure == sorted(sure, reverse=True)
    assert len(sure) == 40


def test_nonsense_in_the_address_is_passed_over(played, client):
    asked = {"task": "x", "cases": "x", "labels": "'", "page": "-7", "slice": "text:a", "kind": "x", "entry": "1 OR 1"}
    answer = client.get(f"/challengers/{played.challenger}", params=asked)
    assert answer.status_code == 200
    assert "0 of" in answer.text


def test_labels_stand_in_the_order_asked_for(played, client):
    address = f"/challengers/{played.challenger}"
    changes = [row[4] for row in rows_of(client.get(address).text, f"Labels of {TASK}")]
    known = [float(change) for change in changes if change != "–"]
    assert known == sorted(known)
    assert changes[len(known) :] == ["–"] * (len(changes) - len(known))
    names = [row[0] for row in rows_of(client.get(address, params={"labels": "label"}).text, f"Labels of {TASK}")]
    assert names == sorted(names)


def test_texts_are_shown_as_text_and_erased_ones_as_erased(stage):
    stage.crown()
    version = stage.challenge()
    stage.write_texts(version)
    tables = stage.home.tables
    changed = stage.case(version).answers(TASK).filter(pl.col("champion") != pl.col("challenger"))["interaction_id"]
    stored = tables.read(INTERACTIONS, where=pl.col("interaction_id") == changed[0])
    hostile = pl.lit('<script>alert(1)</script>"><img src=x>')
    tables.merge(INTERACTIONS, stored.with_columns(text=hostile, updated_at=pl.col("updated_at") + timedelta(days=1)))
    tables.delete(INTERACTIONS, pl.col("interaction_id") == changed[1])
    client = stage.client()
    sign_in(client)
    page = client.get(f"/challengers/{version}").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&gt;&lt;img src=x&gt;" in page
    assert "erased" in [row[0] for row in rows_of(page, "Changed cases")]


def test_a_case_file_that_was_changed_is_told_and_the_rest_stands(stage):
    version = stage.challenge()
    case = stage.case(version)
    with (case.folder / "scorecards" / f"{TASK}.json").open("a") as file:
        file.write(" ")
    client = stage.client()
    sign_in(client)
    answer = client.get(f"/challengers/{version}")
    assert answer.status_code == 200
    assert "The case file was changed since it was written" in answer.text
    assert f"scorecards/{TASK}.json was changed" in answer.text
    assert "200 rows added" in answer.text
    assert 'value="approve"' not in answer.text
    assert client.get(f"/challengers/{version}/files/scorecards/{TASK}.json").status_code == 503
    (case.folder / "case.json").write_text("{}")
    answer = client.get(f"/challengers/{version}")
    assert answer.status_code == 503
    assert "The case file is not what it was" in answer.text
    assert client.get("/").status_code == 200


def test_a_version_that_was_deleted_is_told_and_cannot_be_decided_on(stage):
    version = stage.challenge()
    client = stage.client()
    sign_in(client)
    stage.registry._client.delete_model_version("cxloop-triage", version)
    page = client.get(f"/challengers/{version}").text
    assert "This version was deleted from the model registry" in page
    assert 'name="decision"' not in page
    assert "200 rows added" in page


def test_pages_stand_while_the_registry_is_away(played):
    client = played.client(registry=Away())
    assert "see that it runs" in sign_in(client).text
    assert "200 rows added" in client.get(f"/challengers/{played.challenger}").text


def test_pages_do_not_wait_for_a_slow_registry(played):
    slow = Slow(played.registry)
    client = played.client(registry=slow)
    assert "does not answer now" in sign_in(client).text
    assert client.get("/").elapsed.total_seconds() < 0.4
    slow.let.set()
    assert "does not answer now" not in [client.get("/").text, client.get("/").text][1]


def test_what_the_ledger_said_stands_while_it_is_locked(stage, monkeypatch):
    monkeypatch.setattr("serving.reviewers.records._LEDGER_SECONDS", 0.1)
    version = stage.challenge()
    client, late = stage.client(), stage.client()
    sign_in(client)
    with _held(stage.home.ledger_path):
        page = client.get(f"/challengers/{version}").text
        assert "was locked by another process" in page
        assert "What stands here is what the ledger said at" in page
        assert 'name="decision"' not in page
        answer = sign_in(late)
        assert answer.status_code == 503
        assert "The ledger cannot be used" in answer.text
    assert 'name="decision"' in client.get(f"/challengers/{version}").text


def test_the_history_names_every_champion_and_every_decision(stage):
    first, second = stage.crown(), stage.crown()
    stage.decide("rollback", second, note="refunds <b>misrouted</b>")
    rejected = stage.challenge()
    stage.decide("reject", rejected, note="too slow")
    client = stage.client()
    sign_in(client)
    page = client.get("/history").text
    reigns = rows_of(page, "Champions")
    assert [row[0] for row in reigns] == [f"Release {first}", f"Release {second}", f"Release {first}"]
    assert reigns[0][2:4] == ["live", f"came back: ben took {second} back"]
    assert "refunds &lt;b&gt;misrouted&lt;/b&gt;" in page
    assert [row[2] for row in rows_of(page, "Decisions")] == ["reject", "rollback", "approve", "approve"]


def test_files_of_the_case_file_are_handed_out_as_downloads(played, client):
    case = played.case(played.challenger)
    answer = client.get(f"/challengers/{played.challenger}/files/model_card.md")
    assert answer.content == case.read("model_card.md")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-type"] == "application/octet-stream"
    for path in ("case.json", "../../ledger.sqlite", "%2e%2e/%2e%2e/secrets.env", ""):
        assert client.get(f"/challengers/{played.challenger}/files/{path}").status_code == 404


@pytest.mark.parametrize(
    "path", ["/nothing", "/challengers/99", "/challengers/x", "/challengers/0", "/challengers/1/x"]
)
def test_a_page_that_is_not_there_says_so_in_words(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert "Not found" in answer.text
    assert "What waits" in answer.text


@contextmanager
def _held(path):
    """Hold a SQLite file so that nobody else can read it."""
    held = sqlite3.connect(path, isolation_level=None)
    held.execute("PRAGMA locking_mode = EXCLUSIVE")
    held.execute("PRAGMA journal_mode = DELETE")
    held.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        held.execute("ROLLBACK")
        held.execute("PRAGMA locking_mode = NORMAL")
        held.execute("PRAGMA journal_mode = WAL")
        held.close()
