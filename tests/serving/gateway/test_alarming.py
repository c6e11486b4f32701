"""Alarms that last are told on the ledger: once while they are on, and at most once an hour."""

from datetime import UTC, datetime, timedelta

import pytest

from labeling.errors import LedgerError
from serving.gateway.alarming import Alarming
from serving.gateway.metrics import Metrics
from serving.notices import GATEWAY_ALARM, read_notices
from tests.serving.gateway.stage import wait_for
from training.registry.ledger import Ledger


class Played:
    """A ledger, alarms, and a clock that is moved by hand."""

    def __init__(self, folder) -> None:
        self.ledger, self.metrics = Ledger(folder / "ledger.sqlite"), Metrics()
        self.time = datetime(2026, 3, 2, tzinfo=UTC)
        self.start()

    def start(self) -> None:
        self.alarming = Alarming(self.ledger, self.metrics, now=lambda: self.time)

    def look(self, *states: str) -> list[str]:
        """Look once at each state of the alarm ``registry_down``; return what has been told so far."""
        for words in states:
            self.metrics.alarm("registry_down", words)
            self.alarming.look()
        return [entry.body["told"] for entry in self.ledger.entries(GATEWAY_ALARM)]


@pytest.fixture
def played(tmp_path):
    return Played(tmp_path)


def test_an_alarm_is_told_when_it_lasts_and_once(played):
    assert played.look("down", "", "down", "") == []
    assert played.look("down", "down", "still down", "still down") == ["down"]
    (notice,) = read_notices(played.ledger.entries())
    assert (notice.kind, notice.title) == ("gateway_alarm", "the gateway raises the alarm registry_down")
    assert notice.text.startswith("down\n")
    assert notice.facts == {"alarm": "registry_down", "told": "down"}


def test_an_alarm_that_comes_back_is_told_once_an_hour_whoever_told_it(played):
    played.look("first", "first")
    assert played.look("", "again", "again") == ["first"]
    played.start()
    assert played.look("again", "again") == ["first"]
    played.time += timedelta(hours=1)
    assert played.look("again", "again") == ["first"], "it was on all the time"
    assert played.look("", "second", "second") == ["first", "second"]


def test_a_ledger_that_cannot_be_written_is_tried_again(played):
    played.look("down")
    played.ledger.path.mkdir()
    with pytest.raises(LedgerError):
        played.alarming.look()
    played.ledger.path.rmdir()
    assert played.look("down") == ["down"]


def test_the_gateway_tells_its_alarms(stage):
    with stage.serve():
        wait_for(lambda: stage.ledger.entries(GATEWAY_ALARM))
    assert [entry.body["alarm"] for entry in stage.ledger.entries()] == ["no_release"]
