import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from labeling.digests import keyed_digest
from labeling.erasing import Traces
from labeling.sources.arrivals import customer_mark
from labeling.sources.event_erasing import erase_events, find_events, find_interactions, remove_segments
from labeling.sources.events import decode_event, encode_event, read_lines

KEY = b"key"
ANA = frozenset([keyed_digest(KEY, "customer", "ana")])
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def message(name: str, customer: str, conversation: str) -> bytes:
    interaction = {"interaction_id": name, "customer_id": customer_mark(KEY, customer), "conversation_id": conversation}
    return encode_event({"v": 1, "interaction": {**interaction, "text": f"words of {customer}"}})


LINES = (
    message("a1", "ana", "c1"),
    message("b1", "ben", "c2"),
    encode_event({"v": 1, "correction": {"correction_id": "k", "interaction_id": "a1"}}),
    encode_event({"v": 1, "escalation": {"escalation_id": "e", "conversation_id": "c1"}}),
    encode_event({"v": 1, "answer": {}}),
)


@pytest.fixture
def segment(tmp_path):
    path = tmp_path / "00000001-x.jsonl"
    path.write_bytes(b"".join(LINES) + b'{"damaged": "a1"}\n')
    return path


def test_a_person_s_lines_are_blanked_and_no_other_moves(segment):
    folder, size = segment.parent, segment.stat().st_size
    assert find_interactions(folder, ANA, key=KEY) == {"a1"}
    theirs = Traces(customers=ANA, interactions=frozenset(["a1"]), conversations=frozenset(["c1"]))
    assert erase_events(folder, theirs, key=KEY) == 3
    assert segment.stat().st_size == size
    assert b"ana" not in segment.read_bytes()
    assert b'"a1"' not in segment.read_bytes().replace(b'{"damaged": "a1"}', b"")
    left = [line for _, line in read_lines(segment)]
    assert [decode_event(line) is None for line in left[:5]] == [True, False, True, True, False]
    assert (left[1], left[4]) == (LINES[1], LINES[4])
    assert list(find_events(folder, theirs, key=KEY)) == []
    assert erase_events(folder, theirs, key=KEY) == 0


def test_nobody_is_found_in_a_log_that_is_not_there(tmp_path):
    assert find_interactions(tmp_path / "none", ANA, key=KEY) == frozenset()
    assert erase_events(tmp_path / "none", Traces(customers=ANA), key=KEY) == 0


def test_segments_go_once_they_are_old_and_were_taken_in_but_never_the_newest(tmp_path):
    sizes = {}
    for number, age in ((1, 40), (2, 40), (3, 1), (4, 40)):
        path = tmp_path / f"{number:08}-x.jsonl"
        path.write_text(json.dumps(number) + "\n")
        written = (NOW - timedelta(days=age)).timestamp()
        os.utime(path, (written, written))
        sizes[path.name] = path.stat().st_size
    read = {**sizes, "00000002-x.jsonl": 1}
    assert remove_segments(tmp_path, read=read, before=NOW - timedelta(days=30)) == 1
    assert sorted(path.name[7] for path in tmp_path.iterdir()) == ["2", "3", "4"]
