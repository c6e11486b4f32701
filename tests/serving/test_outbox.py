"""Notices reach a real server at least once, in order, under one id each, through everything that goes wrong."""

import base64
import hashlib
import hmac
import json
import multiprocessing
import os
import signal
from datetime import UTC, datetime, timedelta

import pytest

from labeling.delta import Tables
from labeling.tables import NOTICES
from serving.notices import NoticesConfig
from serving.outbox import deliver, is_due, read_dead
from tests.serving.receiver import receiving
from training.registry.ledger import Ledger

BEGAN = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(b"a key of this test").decode()


class Outbox:
    """A ledger with two releases on hold, a webhook and a clock that is set by hand."""

    def __init__(self, folder, port):
        self.ledger, self.tables = Ledger(folder / "ledger.sqlite"), Tables(folder / "tables")
        self.at = BEGAN
        self.environment = {"HOOK": f"http://127.0.0.1:{port}/hook", "SECRET": SECRET}
        self.channels = [{"name": "hook", "through": "webhook", "url_from": "HOOK", "secret_from": "SECRET"}]
        self.settings = {"attempts": 3, "first_wait_seconds": 60, "timeout_seconds": 0.3}

    @property
    def config(self):
        return NoticesConfig.model_validate({"channels": self.channels, **self.settings})

    def now(self):
        self.at += timedelta(microseconds=1)
        return self.at

    def hold(self, version):
        body = {"version": version, "case_file": "c" * 64, "verdict": "hold", "champion": None}
        return self.ledger.append("judged", body, at=self.at)

    def send(self, **options):
        return deliver(self.ledger.entries(), self.config, self.tables, **self._where, **options)

    @property
    def is_due(self):
        return is_due(self.ledger.entries(), self.config, self.tables, **self._where)

    @property
    def _where(self):
        return {"environment": self.environment, "now": self.now}

    @property
    def states(self):
        rows = self.tables.read(NOTICES).sort("entry", "kind").iter_rows(named=True)
        return [(row["entry"], row["state"], row["attempts"]) for row in rows if row["state"] != "begun"]


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def outbox(tmp_path, receiver):
    outbox = Outbox(tmp_path, receiver.port)
    outbox.send()
    for version in ("1", "2"):
        outbox.hold(version)
    return outbox


def versions(receiver):
    return [json.loads(body)["data"]["version"] for _, body in receiver.got]


def test_each_notice_is_sent_once_in_order_and_signed(outbox, receiver):
    assert outbox.is_due
    assert outbox.send().sent == 2
    assert outbox.send().sent == 0
    assert not outbox.is_due
    assert versions(receiver) == ["1", "2"]
    assert outbox.states == [(1, "sent", 1), (2, "sent", 1)]
    headers, body = receiver.got[0]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(b"a key of this test", signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert int(headers["webhook-timestamp"]) == int(BEGAN.timestamp())
    assert json.loads(body)["type"] == "cxloop.gate_failed"


def test_a_receiver_that_fails_then_takes_it_gets_the_same_id_and_the_order_holds(outbox, receiver):
    receiver.answers = [500]
    done = outbox.send()
    assert (done.sent, done.waiting) == (0, 1)
    assert not outbox.is_due, "its time has not come"
    assert outbox.send().sent == 0
    outbox.at += timedelta(seconds=61)
    assert outbox.is_due
    assert outbox.send().sent == 2
    assert versions(receiver) == ["1", "1", "2"]
    assert receiver.ids[0] == receiver.ids[1] != receiver.ids[2]
    assert outbox.states == [(1, "sent", 2), (2, "sent", 1)]


def test_waits_double_and_a_dead_letter_lets_the_next_go_until_it_is_retried(outbox, receiver):
    receiver.answers = [500, 302, 404]
    for seconds, waits in ((0, 1), (61, 1), (61, 1), (60, 0)):
        outbox.at += timedelta(seconds=seconds)
        assert outbox.send().waiting == waits
    assert versions(receiver) == ["1", "1", "1", "2"]
    assert outbox.states == [(1, "dead", 3), (2, "sent", 1)]
    [dead] = read_dead(outbox.tables).iter_rows(named=True)
    assert (dead["channel"], dead["kind"], dead["fault"]) == ("hook", "gate_failed", "the receiver answered 404")
    assert not outbox.is_due
    receiver.answers = [503]
    assert outbox.send(retry=True).dead == 1
    assert outbox.send(retry=True).sent == 1
    assert set(receiver.ids[:3]) == set(receiver.ids[4:]), "the same id as ever"
    assert read_dead(outbox.tables).is_empty()


def test_a_receiver_that_is_slow_or_not_there_is_not_waited_for(outbox, receiver):
    receiver.answers = [1.0]
    assert outbox.send().waiting == 1
    outbox.environment["HOOK"] = "http://127.0.0.1:1/hook"
    outbox.at += timedelta(seconds=61)
    assert outbox.send().waiting == 1
    fault = outbox.tables.read(NOTICES, columns=["fault"])["fault"].drop_nulls().to_list()
    assert "the receiver could not be reached (ConnectError)" in fault
    assert not any("127.0.0.1" in text for text in fault)


def _send_and_die(folder, port):
    outbox = Outbox(folder, port)
    outbox.tables.merge = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    outbox.send()


def test_killed_between_sending_and_recording_it_is_sent_again_under_the_same_id(outbox, receiver, tmp_path):
    victim = multiprocessing.get_context("spawn").Process(target=_send_and_die, args=(tmp_path, receiver.port))
    victim.start()
    victim.join(60)
    assert victim.exitcode == -signal.SIGKILL
    assert versions(receiver) == ["1"]
    assert outbox.states == []
    outbox.send()
    assert versions(receiver) == ["1", "1", "2"]
    assert receiver.ids[0] == receiver.ids[1]


def test_apprise_takes_notices_too_and_each_channel_its_own_kinds(outbox, receiver):
    outbox.channels = [
        {"name": "team", "through": "apprise", "url_from": "CHAT"},
        {"name": "audit", "through": "apprise", "url_from": "CHAT", "tell": ["alias_tampered"]},
    ]
    outbox.environment["CHAT"] = f"json://127.0.0.1:{receiver.port}/chat"
    outbox.settings["timeout_seconds"] = 5
    assert outbox.send().sent == 0, "a new channel is not told of what was before it"
    outbox.hold("3")
    receiver.answers = [500]
    assert (outbox.send().waiting, outbox.send(retry=True).sent) == (1, 1)
    first, second = (json.loads(body) for _, body in receiver.got)
    assert first == second
    assert first["title"] == "cxloop-triage version 3: hold"
    assert "ledger entry 3, notice " in first["message"]
    assert [row[:2] for row in outbox.states] == [(3, "sent")]


def test_a_new_channel_begins_with_the_challenger_that_waits(outbox, receiver):
    body = {"version": "7", "members": {}, "replaces": None, "case_file": "c" * 64}
    outbox.ledger.append("challenger_named", body, at=outbox.at)
    outbox.hold("8")
    outbox.channels[0]["name"] = "new"
    assert outbox.send().sent == 2
    assert versions(receiver) == ["7", "8"]


def test_a_channel_that_lacks_its_variable_is_told_and_holds_up_no_other(outbox, receiver):
    outbox.channels.insert(0, {"name": "lame", "through": "apprise", "url_from": "NOT_SET"})
    outbox.channels.insert(0, {**outbox.channels[1], "name": "crooked", "secret_from": "WRONG"})
    outbox.environment["WRONG"] = "whsec_%%%"
    done = outbox.send()
    assert done.sent == 2
    assert "crooked needs base64" in done.unready[0]
    assert "channel lame needs the environment variable NOT_SET" in done.unready[1]
    assert not any("%%%" in told or SECRET in told for told in done.unready)
    assert not outbox.is_due
