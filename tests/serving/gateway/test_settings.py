"""Each setting of gateway.yaml changes what happens."""

import threading
import time
from types import SimpleNamespace

import pytest

from labeling.config import load_config
from labeling.sources.events import SEGMENTS
from pipelines.packaged import configs_folder
from serving.gateway import serving, working
from serving.gateway.config import GATEWAY, GatewayConfig, Rates
from serving.gateway.repeating import Repeating
from tests.serving.gateway.stage import bearer, post

REFUND = {"text": "refund"}


def serve_with(stage, **changed):
    stage.config = stage.config.model_copy(update=changed)
    return stage.serve()


@pytest.fixture
def slow(monkeypatch):
    """Let each pass of the model, once it has ``begun``, wait until it ``may_go``, 30 seconds at most."""
    begun, may_go = threading.Event(), threading.Event()
    real = working.Worker.work

    def work(self, tickets):
        begun.set()
        may_go.wait(30)
        real(self, tickets)

    monkeypatch.setattr(working.Worker, "work", work)
    return SimpleNamespace(begun=begun, may_go=may_go)


def test_the_packaged_file_says_what_holds_without_it():
    assert load_config(configs_folder() / GATEWAY, GatewayConfig) == GatewayConfig()


def test_what_waited_too_long_is_handed_off_and_never_recorded(stage, slow):
    with serve_with(stage, timeout_seconds=0.05) as client:
        answer = post(client, "/v1/triage", REFUND).json()
        refused = post(client, "/v1/escalations", {"conversation_id": "c", "trigger": "agent"})
        slow.may_go.set()
    assert (answer["handoff"], answer["recorded"], answer["answers"]) == (True, False, {})
    assert [reason["signal"] for reason in answer["reasons"]] == ["timed_out"]
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert stage.events() == []


def test_what_comes_while_too_much_waits_is_refused_and_told_when_to_come(stage, slow):
    answered = []
    with serve_with(stage, largest_queue=2, largest_pass=1) as client:
        send = lambda: answered.append(post(client, "/v1/triage", REFUND))  # noqa: E731
        threads = [threading.Thread(target=send) for _ in range(6)]
        for thread in threads:
            thread.start()
            slow.begun.wait(30)  # the first one is being worked on: two may wait
        deadline = time.monotonic() + 30
        while len(answered) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        slow.may_go.set()
        for thread in threads:
            thread.join()
        passes = client.get("/metrics", headers=bearer("prometheus")).text
    assert sorted(answer.status_code for answer in answered) == [200, 200, 200, 429, 429, 429]
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answered if answer.status_code == 429)
    assert len(stage.events()) == 3
    assert 'cxloop_gateway_pass_messages_bucket{le="1"} 3\n' in passes


def test_limits_of_bodies_batches_and_rates(stage):
    limits = {"body_kilobytes": 1, "longest_batch": 2, "rates": Rates(assistant="4/minute")}
    with serve_with(stage, **limits) as client:
        assert post(client, "/v1/triage", {"text": "a" * 1024}).status_code == 413
        for count, status in ((3, 422), (2, 200), (2, 200), (2, 429)):
            answered = post(client, "/v1/triage/batch", {"messages": [REFUND] * count})
            assert answered.status_code == status
        assert 1 <= int(answered.headers["retry-after"]) <= 60
        assert post(client, "/v1/escalations", {"conversation_id": "c", "trigger": "agent"}, key="desk").is_success


def test_so_many_turns_are_read_and_answers_remembered_and_bytes_in_a_segment(stage):
    turns = [{"role": "customer", "text": "refund"}, *[{"role": "agent", "text": "yes"}] * 3]
    changed = {"longest_conversation": 3, "remembered_answers": 1, "segment_megabytes": 1e-6}
    with serve_with(stage, **changed) as client:
        unread = post(client, "/v1/triage", {"turns": turns}).json()["interaction_id"]
        read = post(client, "/v1/triage", {"turns": turns[:3]}).json()["interaction_id"]
        first, *_, again = [
            post(client, "/v1/triage", REFUND, **{"Idempotency-Key": key}).json() for key in ("a", "b", "a")
        ]
    events = {event["answer"]["interaction_id"]: event for event in stage.events()}
    assert ("interaction" in events[unread], "interaction" in events[read]) == (False, True)
    assert first["interaction_id"] == again["interaction_id"]
    assert len(stage.events()) == 5
    assert len(list(stage.home.gateway_log.glob(SEGMENTS))) == 5


def test_the_registry_is_asked_as_often_as_said(stage):
    counted = []
    for seconds in (0.01, 60):
        looks = []
        watch = Repeating(lambda looks=looks: looks.append(1), seconds=seconds, name="watch")
        watch.start()
        time.sleep(0.2)
        watch.close()
        counted.append(len(looks))
    assert counted[0] > 2
    assert counted[1] == 1


def test_where_it_listens_and_how_long_it_may_take_to_end():
    server = serving.make_server(None, GatewayConfig(address="127.0.0.2", port=99, shutdown_seconds=7))
    listens = server.config
    assert (listens.host, listens.port, listens.timeout_graceful_shutdown) == ("127.0.0.2", 99, 7)
