"""The picture of arrivals: what it counts by day, and that it is a picture."""

import base64
import re
from datetime import timedelta

from assets.arrivals_plot import arrivals_by_day, plot_arrivals
from labeling.tables import DELIVERIES
from tests.assets.conftest import NOW


def deliveries(days: int):
    noted = [
        {"source": source, "origin": str(day), "stored": 3, "parked": 2, "collected_at": NOW - timedelta(days=day)}
        for day in range(days)
        for source in ("crm", "chat")
    ]
    return DELIVERIES.frame(noted)


def test_rows_are_summed_over_sources_by_day_of_collection():
    found = arrivals_by_day(deliveries(3))
    assert found["stored"].to_list() == [6, 6, 6]
    assert found["parked"].to_list() == [4, 4, 4]
    assert found["quarantined"].to_list() == [0, 0, 0]
    assert found["day"].is_sorted()
    assert arrivals_by_day(deliveries(70)).height == 60


def test_one_day_is_a_picture_already():
    picture = plot_arrivals(deliveries(1), "corrections")
    drawn = re.fullmatch(r"!\[corrections by day\]\(data:image/png;base64,(.+)\)", picture)
    assert drawn
    assert base64.b64decode(drawn[1]).startswith(b"\x89PNG")
