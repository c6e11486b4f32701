"""What is answered while something is broken: truly told, and as before once it is mended."""

from serving.release import Release
from tests.serving.gateway.stage import disk_full_at, post

REFUND = {"text": "please refund me"}
ESCALATION = {"conversation_id": "c", "trigger": "agent"}


def signals(answer) -> list[str]:
    return [reason["signal"] for reason in answer["reasons"]]


def test_on_a_full_disk_messages_are_handed_off_and_nothing_is_claimed(stage, small_releases):
    stage.add_release(small_releases[0])
    with stage.serve() as client:
        first = post(client, "/v1/triage", REFUND).json()
        with disk_full_at(1):
            full = post(client, "/v1/triage", REFUND, **{"Idempotency-Key": "k"}).json()
            refused = post(client, "/v1/escalations", ESCALATION)
            ready = client.get("/ready")
        again = post(client, "/v1/triage", REFUND, **{"Idempotency-Key": "k"}).json()
        alarms = client.get("/ready").json()["alarms"]
    assert (full["handoff"], full["recorded"], full["answers"], signals(full)) == (True, False, {}, ["not_recorded"])
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert (ready.status_code, ready.json()["alarms"]) == (503, ["not_recorded"])
    assert (again["recorded"], again["interaction_id"], alarms) == (True, full["interaction_id"], [])
    assert [event["answer"]["interaction_id"] for event in stage.events()] == [
        answer["interaction_id"] for answer in (first, again)
    ]


def test_a_release_that_fails_hands_off_and_is_told(stage, small_releases, monkeypatch, caplog):
    stage.add_release(small_releases[0])
    with stage.serve() as client:
        with monkeypatch.context() as broken:
            broken.setattr(Release, "read", _fail)
            answer = post(client, "/v1/triage", REFUND).json()
            alarms = client.get("/ready").json()["alarms"]
        mended = post(client, "/v1/triage", REFUND).json()
        over = client.get("/ready").json()["alarms"]
    assert (answer["handoff"], answer["recorded"], signals(answer)) == (True, True, ["release_failed"])
    assert (alarms, over) == (["release_failed"], [])
    assert mended["answers"]
    assert "release 1 could not answer (RuntimeError)" in caplog.text
    assert "please" not in caplog.text


def _fail(*_args, **_more):
    raise RuntimeError("please refund me")
