"""Whoever moves an alias or a tag by hand raises the alarm, once; what can be put right is put right."""

import pytest

from labeling.errors import LedgerError
from tests.training.registry.stage import NOW, add_release, decide
from training.registry.alarm import ALARM, ALARM_OVER, TAG_PUT_RIGHT, put_tags_right, read_alarm, watch_registry
from training.registry.aliases import reconcile
from training.registry.registry import (
    ANCHOR_TAG,
    CASE_FILE_TAG,
    MEMBERS_TAG,
    PARITY_TAG,
    RELEASE,
    VERDICT_TAG,
)

TAGS = (VERDICT_TAG, PARITY_TAG, MEMBERS_TAG, CASE_FILE_TAG)


@pytest.fixture
def watch(record):
    """Return a function that looks once and says what is wrong."""
    return lambda: [
        f"{found.where}: {found.told}" for found in watch_registry(record.ledger, record.registry, now=NOW, pause=0.0)
    ]


def alarms(record):
    return [entry.kind for entry in record.ledger.entries() if entry.kind in {ALARM, ALARM_OVER, TAG_PUT_RIGHT}]


def put_right(record):
    reconcile(record.ledger, record.registry, now=NOW)
    return put_tags_right(record.ledger, record.registry, now=NOW)


def test_what_the_loop_does_itself_raises_no_alarm(record, watch):
    assert watch() == []
    record.apply(decide("approve", "3"))
    assert watch() == []
    record.apply(decide("rollback", "3"))
    four = add_release(record.registry)
    record.judge(four, "hold")
    assert watch() == []
    assert alarms(record) == []


def test_an_alias_moved_by_hand_is_recorded_once_and_its_end_too(record, watch):
    record.registry.set_alias(RELEASE, "champion", "2")
    assert watch() == ["cxloop-triage: alias champion is 2, the ledger says 1"]
    assert watch() == watch()
    assert alarms(record) == [ALARM]
    record.registry.remove_alias("cxloop-intent", "champion")
    assert "cxloop-intent: alias champion is not there, the ledger says 1" in watch()
    assert [len(entry.body["new"]) for entry in record.ledger.entries(ALARM)] == [1, 1]
    assert len(read_alarm(record.ledger.entries())) == 2

    put_right(record)
    assert watch() == []
    assert alarms(record) == [ALARM, ALARM, ALARM_OVER]
    record.registry.set_alias(RELEASE, "champion", "2")
    watch()
    assert alarms(record)[-1] == ALARM, "moved again, it is told again"


def test_each_tag_that_bears_a_decision_is_watched_and_put_right(record, watch):
    before = {tag: record.registry.version(RELEASE, "3").tags[tag] for tag in TAGS}
    record.registry.tag(RELEASE, "3", dict.fromkeys(TAGS, "somebody@example.org wrote this"))
    told = "cxloop-triage version 3: tag {} is another text of 31 characters, the ledger says {}"
    assert sorted(watch()) == sorted(told.format(tag, value) for tag, value in before.items())
    assert "somebody" not in str(record.ledger.rows()), "what a hand wrote goes into no record"
    assert len(put_right(record)) == len(TAGS)
    assert before.items() <= record.registry.version(RELEASE, "3").tags.items()
    assert watch() == []
    assert alarms(record) == [ALARM, TAG_PUT_RIGHT, ALARM_OVER]


def test_a_verdict_made_promote_by_hand_is_noticed(record, watch):
    record.registry.tag(RELEASE, "2", {VERDICT_TAG: "promote"})
    assert watch() == ["cxloop-triage version 2: tag gate_verdict is promote, the ledger says hold"]


def test_members_in_another_order_are_the_same(record, watch):
    record.registry.tag(RELEASE, "3", {MEMBERS_TAG: '{ "cxloop-intent" : "3" }'})
    assert watch() == []


def test_an_anchor_set_back_is_put_right_and_one_that_the_ledger_lacks_is_left(record, watch):
    record.registry.tag(RELEASE, "1", {ANCHOR_TAG: record.ledger.entries()[0].anchor})
    assert "cxloop.ledger_anchor is 1:" in watch()[0]
    assert len(put_right(record)) == 1
    assert watch() == []

    record.registry.tag(RELEASE, "1", {ANCHOR_TAG: f"2:{'0' * 64}"})
    assert "no entry of the ledger: the tag was changed, or the ledger was cut" in watch()[0]
    with pytest.raises(LedgerError, match="lacks entry 2"):
        reconcile(record.ledger, record.registry, now=NOW)
    assert put_tags_right(record.ledger, record.registry, now=NOW) == []
    assert record.registry.version(RELEASE, "1").tags[ANCHOR_TAG] == f"2:{'0' * 64}"


def test_the_newest_entry_is_anchored_at_the_next_look_but_not_beside_a_cut(record, watch):
    newest = record.ledger.append("note", {}, at=NOW)
    watch()
    assert record.registry.version(RELEASE, "3").tags[ANCHOR_TAG] == newest.anchor
    record.registry.tag(RELEASE, "1", {ANCHOR_TAG: f"2:{'0' * 64}"})
    record.ledger.append("note", {}, at=NOW)
    watch()
    assert record.registry.version(RELEASE, "3").tags[ANCHOR_TAG] == newest.anchor


def test_a_version_that_was_deleted_is_told_once_and_is_not_for_putting_right(record, watch):
    record.registry._client.delete_model_version(RELEASE, "3")
    assert watch() == ["cxloop-triage version 3: is not registered any more: the ledger names it"]
    assert not any(found.can_be_put_right for found in read_alarm(record.ledger.entries()))


def test_what_is_gone_at_the_second_look_was_on_its_way(record):
    class Slow:
        """The registry as it was a moment ago, once."""

        looks = 0

        def __getattr__(self, name):
            return getattr(record.registry, name)

        def versions(self, name):
            self.looks += 1
            found = record.registry.versions(name)
            for version in found[:1] if self.looks == 1 else []:
                version.tags.pop(VERDICT_TAG)
            return found

    assert watch_registry(record.ledger, Slow(), now=NOW, pause=0.0) == []
    assert alarms(record) == []


def test_a_ledger_that_is_gone_raises_the_alarm_on_a_new_one(record, watch):
    for path in record.ledger.path.parent.glob("ledger.*"):
        path.unlink()
    assert [told[:23] for told in watch()] == [f"cxloop-triage version {version}" for version in (1, 2, 3)]
    assert alarms(record) == [ALARM]
    with pytest.raises(LedgerError, match="lacks entry"):
        reconcile(record.ledger, record.registry, now=NOW)


def test_a_registry_without_releases_is_left_alone(stage):
    assert watch_registry(stage.ledger, stage.registry, now=NOW) == []
    assert stage.ledger.entries() == []
