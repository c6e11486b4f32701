"""The table and the page: every week, every figure, and no text that could act."""

import io
import re

import pytest
from rich.console import Console

from pipelines.replay.report import phase_table, week_table, write_report
from pipelines.replay.results import LivePrediction, Measured, ReplayResult, WeekResult

HOSTILE = "<script>alert(1)</script>"


def week(number, **changed):
    plain = {
        "champion": str(number + 1),
        "accuracy": {"intent": Measured(0.5 + number / 10, 0.4, 0.9), "sentiment": Measured(0.75, 0.7, 0.8)},
        "messages": 60,
        "corrections": 9,
        "handoffs": 12,
        "labels": 40 + number,
        "verdict": "promote",
    }
    return WeekResult(week=number, **plain | changed)


@pytest.fixture
def result():
    none_yet = week(0, champion="", accuracy={}, verdict="inconclusive")
    predictions = [LivePrediction(HOSTILE, {"intent": ("refund", 0.876)}, True, "low_confidence:intent")]
    return ReplayResult("A replay", [none_yet, week(1), week(2)], predictions, {"retrain": 12.34, "people": 1.0}, 97)


def show(table):
    written = io.StringIO()
    Console(file=written, width=160).print(table)
    return written.getvalue()


def test_the_table_has_a_row_a_week_and_dashes_where_nothing_was_live(result):
    shown = show(week_table(result))
    rows = [line.split() for line in shown.splitlines() if re.match(r"\s*\d", line)]
    assert rows == [
        ["0", "none", "–", "–", "–", "–", "40", "inconclusive"],
        ["1", "2", "60.0%", "75.0%", "15.0", "12", "41", "promote"],
        ["2", "3", "70.0%", "75.0%", "15.0", "12", "42", "promote"],
    ]
    assert "97 sealed test cases" in shown


def test_the_time_of_each_phase_is_told_and_summed(result):
    shown = show(phase_table(result))
    assert re.search(r"retrain\s+12\.3", shown)
    assert re.search(r"all\s+13\.3", shown)


def test_the_page_holds_every_week_three_plots_and_nothing_from_elsewhere(result, tmp_path):
    page = tmp_path / "reports" / "replay.html"
    write_report(result, page)
    html = page.read_text(encoding="utf-8")
    assert html.count("<tr><td>") == 3
    assert html.count("<svg") == 3
    assert "70.0%" in html
    assert "[40.0, 90.0]" in html
    assert not re.search(r"""(src|href)=["']?https?:""", html)


def test_a_text_in_the_page_is_text(result, tmp_path):
    write_report(result, tmp_path / "replay.html")
    html = (tmp_path / "replay.html").read_text(encoding="utf-8")
    assert HOSTILE not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "steps aside: low_confidence:intent" in html


def test_weeks_without_any_champion_can_be_told(tmp_path):
    weeks = [week(number, champion="", accuracy={}, messages=0, verdict="") for number in range(2)]
    empty = ReplayResult("A replay", weeks, [], {"messages": 1.0}, 0)
    write_report(empty, tmp_path / "replay.html")
    assert (tmp_path / "replay.html").read_text(encoding="utf-8").count("<svg") == 3
    assert "none" in show(week_table(empty))
