"""What people are told of each ledger entry, and what they never are; and what notices.yaml may say."""

from datetime import UTC, datetime

import pytest

from labeling.config import parse_config
from labeling.errors import ConfigError
from serving.notices import NoticesConfig, read_notices
from training.registry.ledger import Ledger

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
CANARY = "my card 4111 is gone"
CASE = "c" * 64
FOUND = {"name": "cxloop-triage", "version": None, "what": "alias champion", "found": "2", "expected": "1"}


@pytest.fixture
def told(tmp_path):
    """Return the one notice that an entry calls for, None where it calls for none."""
    ledger = Ledger(tmp_path / "ledger.sqlite")

    def tell(kind, **body):
        notices = list(read_notices([ledger.append(kind, body, at=NOW)]))
        assert len(notices) <= 1
        return notices[0] if notices else None

    return tell


def test_a_challenger_that_waits_is_told(told):
    notice = told("challenger_named", version="4", members={}, replaces="3", case_file=CASE, authors=["ben"])
    assert (notice.kind, notice.title) == ("challenger_waits", "cxloop-triage version 4 waits for a decision")
    assert "takes the place of version 3" in notice.text
    assert notice.facts == {"version": "4", "replaces": "3", "case_file": CASE}


@pytest.mark.parametrize(
    ("verdict", "words"), [("hold", "did not pass its gates"), ("inconclusive", "need more cases")]
)
def test_gates_that_were_not_passed_are_told(told, verdict, words):
    notice = told("judged", version="4", case_file=CASE, verdict=verdict, champion="1")
    assert notice.kind == "gate_failed"
    assert words in notice.text
    assert told("judged", version="5", case_file=CASE, verdict="promote", champion="1") is None


def test_a_new_champion_is_told_without_the_note(told):
    body = {"version": "4", "reviewer": "ana", "note": CANARY, "champion_before": "1"}
    approved = told("decision", decision="approve", champion_after="4", **body)
    assert approved.kind == "champion_changed"
    assert "ana approved it: version 4 answers in place of version 1" in approved.text
    assert CANARY not in f"{approved.title} {approved.text} {approved.facts}"
    back = told("decision", decision="rollback", **{**body, "champion_before": "4", "champion_after": "1"})
    assert "ana took the champion back: version 1 answers in place of version 4" in back.text
    for kind in ("approve", "reject", "more_evidence", "waive"):
        assert told("decision", decision=kind, champion_after="1", **body) is None, "the champion is the same"


def test_the_alarm_and_what_was_put_right_are_told(told):
    other = {**FOUND, "what": "alias challenger"}
    notice = told("alarm", findings=[FOUND, other], new=[FOUND])
    assert notice.kind == "alias_tampered"
    assert "alias champion is 2, the ledger says 1" in notice.text
    assert "challenger" not in notice.text, "what was told before"
    move = {"name": "cxloop-triage", "alias": "champion", "found": "2", "put": "1"}
    assert "cxloop-triage@champion: 2 -> 1" in told("alias_put_right", moves=[move]).text


def test_other_entries_are_nobody_s_news(told):
    for kind in ("alias_moved", "alarm_over", "erasure", "tag_put_right"):
        assert told(kind, findings=[]) is None


def test_a_wrong_config_tells_every_fault():
    apprise = {"name": "team", "through": "apprise", "url_from": "URL"}
    wrong = [
        {**apprise, "name": "Team!"},
        {**apprise, "url_from": "https://secret"},
        {**apprise, "tell": ["everything"]},
        {"name": "hook", "through": "webhook", "url_from": "URL"},
        {"name": "post", "through": "post", "url_from": "URL"},
    ]
    with pytest.raises(ConfigError) as caught:
        parse_config({"channels": wrong, "attempts": 0}, NoticesConfig, name="notices.yaml")
    places = {fault.split(": ")[1].rpartition(".")[2] for fault in caught.value.faults}
    assert places == {"name", "url_from", "tell", "0", "secret_from", "4", "attempts"}
    assert "https://secret" not in str(caught.value)
    with pytest.raises(ConfigError, match="found team more than once"):
        parse_config({"channels": [apprise, apprise]}, NoticesConfig, name="notices.yaml")
