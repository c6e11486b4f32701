"""A source is unusual only against its own history, and only where there is enough of it."""

from datetime import timedelta

import pytest

from assets.usual import MANY_TIMES, MIN_DAYS, find_unusual
from labeling.tables import DELIVERIES
from tests.assets.conftest import NOW


def history(days: range, *, source: str = "crm", rows: int = 10, every: int = 1):
    return [
        {"source": source, "origin": str(day), "rows": rows, "collected_at": NOW - timedelta(days=day)}
        for day in days[::every]
    ]


def unusual(rows):
    return [(one.source, one.code) for one in find_unusual(DELIVERIES.frame(rows), now=NOW)]


def test_a_source_without_enough_history_is_never_unusual():
    rows = history(range(1, MIN_DAYS))
    rows += history(range(1), rows=100_000)
    assert unusual(rows) == []


def test_a_flood_is_unusual_for_its_own_source_only():
    rows = history(range(1, 20)) + history(range(1, 20), source="chat", rows=1_000)
    today = [{"origin": "now", "rows": 500, "collected_at": NOW}]
    assert unusual([*rows, {"source": "chat", **today[0]}]) == []
    assert unusual([*rows, {"source": "crm", **today[0]}]) == [("crm", "volume")]


@pytest.mark.parametrize(("days", "found"), [(MANY_TIMES, []), (MANY_TIMES + 1, [("crm", "freshness")])])
def test_a_silence_far_longer_than_ever_is_unusual(days, found):
    assert unusual(history(range(int(days), int(days) + 20))) == found


def test_a_source_that_comes_once_a_week_may_be_silent_for_weeks():
    assert unusual(history(range(20, 90), every=7)) == []


def test_empty_deliveries_are_no_arrivals():
    assert unusual(history(range(1, 20), rows=0)) == []
    assert unusual([]) == []
