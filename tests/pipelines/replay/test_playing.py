from datetime import UTC, datetime

from labeling.home import Home
from pipelines.replay.feed import WEEK
from pipelines.replay.playing import _open_state
from tests.e2e.script import RATES, small_script


def test_the_hour_and_the_day_of_playing_change_nothing_that_is_said(tmp_path):
    starts, said = [], []
    for name, now in (("a", datetime(2026, 3, 9, 0, 30, tzinfo=UTC)), ("b", datetime(2026, 3, 11, 23, tzinfo=UTC))):
        home = Home(tmp_path / name)
        home.path.mkdir()
        script = small_script("label_studio")
        starts.append(_open_state(script, home, now).start)
        feed = script.feed(starts[-1])
        said.append([(message.interaction_id, message.text) for week in feed.weeks for message in week.messages])
    assert starts == [datetime(2026, 3, day, tzinfo=UTC) - RATES["label_studio"].weeks * WEEK for day in (9, 11)]
    assert len(said[0]) > 100
    assert said[0] == said[1]
