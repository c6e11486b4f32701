"""The same request twice: one record and one answer, whether its client, the gateway or the network failed between."""

import threading

from tests.serving.gateway.stage import post

REFUND = {"text": "please refund me"}


def test_a_repeated_request_is_recorded_once_even_after_a_restart(stage, small_releases):
    stage.add_release(small_releases[0])
    keyed = {"Idempotency-Key": "k1"}
    with stage.serve() as client:
        first = post(client, "/v1/triage", REFUND, **keyed)
        assert post(client, "/v1/triage", REFUND, **keyed).json() == first.json()
        reused = post(client, "/v1/triage", {"text": "another"}, **keyed)
        assert (reused.status_code, "stands for one request" in reused.json()["detail"]) == (422, True)
    with stage.serve() as client:
        assert post(client, "/v1/triage", REFUND, **keyed).json() == first.json()
        assert post(client, "/v1/triage", REFUND).json()["interaction_id"] != first.json()["interaction_id"]
    assert len(stage.events()) == 2


def test_repeats_under_a_client_s_own_ids_and_within_a_batch(stage, small_releases):
    stage.add_release(small_releases[0])
    mine = REFUND | {"interaction_id": "i1"}
    escalation = {"conversation_id": "c1", "trigger": "agent", "escalation_id": "e1"}
    with stage.serve() as client:
        answers = post(client, "/v1/triage/batch", {"messages": [mine, mine]}).json()["answers"]
        assert answers[0] == answers[1] == post(client, "/v1/triage", mine).json()
        edited = post(client, "/v1/triage", mine | {"text": "where is my parcel"}).json()
        for sent in (escalation, escalation, escalation | {"resolved": True}):
            post(client, "/v1/escalations", sent)
    assert edited["interaction_id"] == "i1"
    assert [event["kind"] for event in stage.events()] == ["triage", "triage", "escalation", "escalation"]
    assert stage.events()[-1]["escalation"]["resolved"] is True


def test_the_same_request_at_the_same_time_is_asked_once(stage, small_releases):
    stage.add_release(small_releases[0])
    answers = []
    with stage.serve() as client:
        send = lambda: answers.append(post(client, "/v1/triage", REFUND, **{"Idempotency-Key": "k"}).json())  # noqa: E731
        threads = [threading.Thread(target=send) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(answers) == 6
    assert all(answer == answers[0] for answer in answers)
    assert len(stage.events()) == 1
