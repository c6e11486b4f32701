"""The gateway as its own process: killed under load, every answer that was given is recorded exactly once."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter

import httpx

from tests.serving.gateway.stage import bearer, post

_COMMAND = (sys.executable, "-c", "from pipelines.cli import main; main()")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(stage, port: int) -> subprocess.Popen[bytes]:
    command = [*_COMMAND, "serve", "--home", str(stage.home.path), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                return process
        except httpx.HTTPError:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.1)
    raise AssertionError("the gateway did not start")


class Load:
    """Clients that ask one numbered message after the other until they are cut off; recorded ``answers`` by number."""

    def __init__(self, port: int, clients: int = 4) -> None:
        self.answers: dict[str, dict] = {}
        self._threads = [threading.Thread(target=self._ask, args=(port, client)) for client in range(clients)]
        for thread in self._threads:
            thread.start()

    def _ask(self, port: int, client: int) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=bearer("bot"), timeout=30) as http:
            for number in range(100_000):
                name = f"{client}-{number}"
                try:
                    answered = post(http, "/v1/triage", {"text": f"message {name}"}, **{"Idempotency-Key": name})
                except httpx.HTTPError:
                    return
                if answered.status_code == 200 and answered.json()["recorded"]:
                    self.answers[name] = answered.json()

    def wait(self, answers: int) -> None:
        deadline = time.monotonic() + 60
        while len(self.answers) < answers and time.monotonic() < deadline:
            time.sleep(0.01)

    def end(self) -> None:
        for thread in self._threads:
            thread.join()


def test_after_a_kill_every_answer_is_in_the_log_exactly_once(stage):
    process = start(stage, port := free_port())
    load = Load(port)
    load.wait(60)
    process.send_signal(signal.SIGKILL)
    load.end()
    process.wait()
    assert len(load.answers) >= 60
    counted = Counter(event["answer"]["interaction_id"] for event in stage.events())
    assert set(counted.values()) == {1}
    assert {answer["interaction_id"] for answer in load.answers.values()} <= counted.keys()
    with stage.serve() as client:
        for name, answer in load.answers.items():
            again = post(client, "/v1/triage", {"text": f"message {name}"}, **{"Idempotency-Key": name})
            assert again.json() == answer
    assert Counter(event["answer"]["interaction_id"] for event in stage.events()) == counted


def test_stopped_it_answers_what_is_under_way_and_leaves_nothing_out(stage):
    process = start(stage, port := free_port())
    load = Load(port, clients=2)
    load.wait(10)
    process.terminate()
    load.end()
    assert process.wait(30) == 0
    assert {answer["interaction_id"] for answer in load.answers.values()} == {
        event["answer"]["interaction_id"] for event in stage.events()
    }
