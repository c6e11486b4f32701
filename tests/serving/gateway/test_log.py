import os
import threading
from datetime import UTC, datetime, timedelta

import pytest

from labeling.errors import HomeError
from labeling.sources.events import SEGMENTS, BrokenLine, decode_event, encode_event, read_lines
from serving.gateway.log import EventLog, GroupCommit, LogFault
from serving.gateway.repeats import Repeats
from tests.serving.gateway.stage import disk_full_at

NOW = datetime(2026, 11, 23, 7, tzinfo=UTC)


def line(number: int) -> bytes:
    return encode_event({"v": 1, "number": number, "repeat": f"r{number}", "asked": f"a{number}"})


def open_log(folder, *, segment_bytes: int = 1 << 20, now=lambda: NOW) -> EventLog:
    return EventLog(folder, segment_bytes=segment_bytes, now=now)


def numbers(folder) -> list[int]:
    paths = sorted(folder.glob(SEGMENTS))
    return [event["number"] for path in paths for _, one in read_lines(path) if (event := decode_event(one))]


def test_what_was_appended_is_there_and_is_found_by_its_place(tmp_path):
    log = open_log(tmp_path)
    first = log.append([line(1), line(2)])
    second = log.append([line(3)])
    assert [decode_event(log.read(place))["number"] for place in (*first, *second)] == [1, 2, 3]
    assert numbers(tmp_path) == [1, 2, 3]
    log.close()


def test_a_line_that_is_not_what_was_written_is_noticed():
    written = line(7)
    assert decode_event(written)["number"] == 7
    for place in (3, 15, 40):
        with pytest.raises(BrokenLine):
            decode_event(written[:place] + b"\x07" + written[place + 1 :])
    assert decode_event(b" " * 30 + b"\n") is None


def test_a_killed_writer_s_unfinished_line_is_cut_off_and_no_other(tmp_path):
    log = open_log(tmp_path)
    place = log.append([line(1)])[0]
    log.close()
    with (tmp_path / place.segment).open("ab") as file:
        file.write(line(2)[:-9])
    assert numbers(tmp_path) == [1]
    log = open_log(tmp_path)
    log.append([line(3)])
    assert (tmp_path / place.segment).stat().st_size == place.length
    assert numbers(tmp_path) == [1, 3]
    log.close()


def test_a_log_has_one_writer(tmp_path):
    log = open_log(tmp_path)
    with pytest.raises(HomeError, match="stop that one first"):
        open_log(tmp_path)
    log.close()
    open_log(tmp_path).close()


def test_segments_are_closed_by_size_and_by_age(tmp_path):
    now = NOW
    log = open_log(tmp_path, segment_bytes=3 * len(line(1)), now=lambda: now)
    segments = [log.append([line(number)])[0].segment for number in range(4)]
    assert len(set(segments[:3])) == 1
    assert segments[3] != segments[0]
    now += timedelta(days=1)
    assert log.append([line(4)])[0].segment not in segments
    log.close()


def test_on_a_full_disk_all_lines_of_a_write_are_there_or_none(tmp_path):
    log = open_log(tmp_path)
    room = log.append([line(1)])[0].length
    with disk_full_at(2 * room + room // 2):
        for _ in range(3):
            with pytest.raises(LogFault):
                log.append([line(2), line(3)])
    assert numbers(tmp_path) == [1]
    log.append([line(4)])
    assert numbers(tmp_path) == [1, 4]
    assert len(list(tmp_path.glob(SEGMENTS))) == 1
    log.close()


def test_all_that_waits_is_synchronised_at_once_and_each_hears_of_its_own(tmp_path, monkeypatch):
    synchronised, is_begun, may_go = [], threading.Event(), threading.Event()
    real = os.fdatasync

    def slow(descriptor):
        synchronised.append(descriptor)
        is_begun.set()
        may_go.wait(10)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", slow)
    log = open_log(tmp_path)
    commit, found = GroupCommit(log), {}
    commit.append(lambda: [line(0)], lambda places: found.update({0: places}))
    is_begun.wait(10)
    for number in range(1, 6):
        commit.append(lambda n=number: [line(n)], lambda places, n=number: found.update({n: places}))
    may_go.set()
    commit.close()
    assert len(synchronised) == 2
    assert numbers(tmp_path) == list(range(6))
    assert [decode_event(log.read(found[number][0]))["number"] for number in range(6)] == list(range(6))


def test_the_newest_requests_are_remembered_and_no_more_than_may_be(tmp_path):
    log = open_log(tmp_path, segment_bytes=2 * len(line(1)))
    for number in range(5):
        log.append([line(number)])
    known = Repeats(log, most=3)
    assert [known.find(f"r{number}") is not None for number in range(5)] == [False, False, True, True, True]
    assert known.read(known.find("r4"))["number"] == 4
    assert known.find("r4").asked == "a4"
    log.close()
