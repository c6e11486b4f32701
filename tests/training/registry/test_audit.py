"""Whatever is changed in the record is told with its place, all of it at once, and nothing else is."""

import sqlite3
import zipfile
from hashlib import sha256

import pytest

from labeling.errors import RegistryError
from tests.training.registry.stage import NOW
from training.registry.audit import verify
from training.registry.audit_export import AuditFailed, export_record
from training.registry.ledger import Ledger
from training.registry.registry import ANCHOR_TAG, RELEASE, VERDICT_TAG


@pytest.fixture
def check(record):
    """Return what an audit finds: place to faults."""

    def found(**options):
        audit = verify(record.ledger, record.registry, record.case_files, pause=0.0, **options)
        told = {fault.where: [] for fault in audit.faults}
        for fault in audit.faults:
            told[fault.where].append(fault.what)
        return {where: "; ".join(faults) for where, faults in told.items()}

    return found


def rewrite(record, *statements):
    """Change the ledger's file as somebody with the disk in hands would, and leave its guards as they were."""
    with sqlite3.connect(record.ledger.path) as connection:
        guards = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in guards:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        for _, sql in guards:
            connection.execute(sql)
    connection.close()


def forge(record, entries):
    """Put another ledger, whose own chain is sound, in the place of the record's."""
    record.ledger.path.unlink()
    forged = Ledger(record.ledger.path)
    for entry in entries:
        forged.append(entry.kind, entry.body, at=entry.at)


def test_a_record_that_nobody_touched_verifies(record, check):
    audit = verify(record.ledger, record.registry, record.case_files)
    assert audit.faults == ()
    assert (audit.entries, audit.witnesses, len(audit.case_files), audit.files) == (9, 12, 3, 6)
    assert audit.head == record.ledger.head().digest
    assert audit.anchors[f"{RELEASE} version 3"] == record.ledger.head().anchor
    assert check() == {}


def test_an_empty_home_verifies(stage, tmp_path):
    audit = verify(stage.ledger, stage.registry, tmp_path / "none")
    assert (audit.entries, audit.faults, audit.unnamed) == (0, (), ())


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE entries SET entry = replace(entry, 'ana', 'eve') WHERE number = 4", "has another digest"),
        ("UPDATE entries SET entry = replace(entry, ',', ', ') WHERE number = 4", "not in canonical form"),
        ("UPDATE entries SET entry = CAST(x'7b22ff7d' AS TEXT) WHERE number = 4", "is no entry"),
        ("UPDATE entries SET digest = 'f' || substr(digest, 2) || 'x' WHERE number = 4", "has another digest"),
        ("UPDATE entries SET entry = '[1]' WHERE number = 4", "is no entry"),
        ("UPDATE entries SET entry = 7 WHERE number = 4", "is no entry"),
    ],
)
def test_a_changed_entry_is_told(record, check, statement, told):
    rewrite(record, statement)
    assert told in check()["ledger entry 4"]


def test_entries_cut_and_reordered_are_told(record, check):
    rewrite(record, "DELETE FROM entries WHERE number = 4")
    assert "what stood between was cut" in check()["ledger entry 5"]
    rewrite(
        record,
        "UPDATE entries SET number = CASE number WHEN 2 THEN -3 ELSE -2 END WHERE number IN (2, 3)",
        "UPDATE entries SET number = -number WHERE number < 0",
    )
    assert "it was moved" in check()["ledger entry 2"]


def test_all_faults_are_told_not_the_first_alone(record, check):
    one, two = (entry.body["case_file"] for entry in record.ledger.entries("judged")[:2])
    rewrite(record, "UPDATE entries SET entry = 'torn' WHERE number IN (2, 5)")
    (record.case_files / one / "gates.json").write_text("{}")
    (record.case_files / two / "gates.json").unlink()
    record.registry.tag(RELEASE, "2", {ANCHOR_TAG: "nonsense"})
    told = check()
    for place in ("ledger entry 2", "ledger entry 5", f"{RELEASE} version 2"):
        assert place in told
    assert told[f"case file {one[:12]}, gates.json"] == "was changed"
    assert "is missing" in told[f"case file {two[:12]}, gates.json"]


def test_a_cut_tail_shows_in_the_head_file_and_in_the_registry_each_alone(record, check):
    rewrite(record, "DELETE FROM entries WHERE number > 7")
    told = check()
    assert "cut or rewritten" in told["ledger.head line 8"]
    assert "cut or rewritten" in told[f"{RELEASE} version 3"]
    lines = record.ledger.head_file.path.read_text().splitlines()
    record.ledger.head_file.path.write_text("".join(f"{line}\n" for line in lines[:7]))
    assert set(check()) == {f"{RELEASE} version 3"}


def test_a_ledger_rewritten_as_a_whole_shows_by_the_registry_alone(record, check):
    entries = record.ledger.entries()
    entries[3].body["reviewer"] = "eve"
    record.ledger.head_file.path.unlink()
    forge(record, entries)
    assert set(check()) == {f"{RELEASE} version {version}" for version in (1, 2, 3)}


def test_who_rewrites_the_registry_too_is_shown_by_an_export_kept_elsewhere(record, check, tmp_path):
    export_record(record.ledger, record.registry, record.case_files, tmp_path / "kept.zip")
    entries = record.ledger.entries()
    entries[3].body["reviewer"] = "eve"
    record.ledger.head_file.path.unlink()
    forge(record, entries)
    for version, entry in (("1", 5), ("2", 6), ("3", 9)):
        record.registry.tag(RELEASE, version, {ANCHOR_TAG: record.ledger.entries()[entry - 1].anchor})
    assert check() == {}, "who holds both stores can make all of it anew"
    assert list(check(earlier=tmp_path / "kept.zip")) == [f"kept.zip line {number}" for number in range(4, 10)]
    (tmp_path / "torn.zip").write_bytes(b"PK")
    assert "is no export" in check(earlier=tmp_path / "torn.zip")["torn.zip"]


def test_a_head_file_removed_or_changed_is_told(record, check):
    path = record.ledger.head_file.path
    path.write_text(path.read_text().replace("3:", "3;"))
    assert "holds no anchor" in check()["ledger.head line 3"]
    path.unlink()
    assert "it was removed" in check()["ledger.head"]


def test_files_swapped_added_and_replaced_by_links_are_told(record, check, tmp_path):
    one, two = sorted(path for path in record.case_files.iterdir())[:2]
    first, second = (one / "case.json").read_bytes(), (two / "case.json").read_bytes()
    (one / "case.json").write_bytes(second)
    (two / "case.json").write_bytes(first)
    (one / "more.json").write_text("[]")
    (one / "empty").mkdir()
    (two / "gates.json").rename(tmp_path / "gates.json")
    (two / "gates.json").symlink_to(tmp_path / "gates.json")
    told = check()
    assert "not the case file's name" in told[f"case file {one.name[:12]}, case.json"]
    assert "was added" in told[f"case file {one.name[:12]}, more.json"]
    assert "was added" in told[f"case file {one.name[:12]}, empty/"]
    assert "is a link" in told[f"case file {two.name[:12]}, gates.json"]


def test_a_case_file_removed_is_told_and_one_that_nobody_names_is_no_fault(record, check):
    one = min(record.case_files.iterdir())
    one.rename(one.with_name("elsewhere"))
    assert check() == {f"case file {one.name[:12]}": "is missing: its folder was removed or replaced"}
    one.with_name("elsewhere").rename(one)
    (record.case_files / f"{'0' * 64}.partial").mkdir()
    audit = verify(record.ledger, record.registry, record.case_files)
    assert (audit.faults, audit.unnamed) == ((), (f"{'0' * 64}.partial",))


def test_a_case_file_that_contradicts_its_entry_or_is_named_by_a_path_is_told(record, check):
    digest = record.ledger.entries("judged")[1].body["case_file"]
    for case_file, verdict in ((digest, "promote"), ("../../etc", "hold")):
        body = {"version": "2", "case_file": case_file, "verdict": verdict, "champion": "1", "test": None}
        record.ledger.append("judged", body, at=NOW)
    told = check()
    assert "another verdict than ledger entry 10" in told[f"case file {digest[:12]}"]
    assert "no digest" in told["ledger entry 11"]


def test_a_registry_that_says_otherwise_or_is_down_is_told(record, check):
    record.registry.tag(RELEASE, "2", {VERDICT_TAG: "promote"})
    assert "gate_verdict is promote, the ledger says hold" in check()[f"{RELEASE} version 2"]

    class Down:
        def versions(self, name):
            raise RegistryError("the model registry cannot be used")

    one = min(record.case_files.iterdir())
    (one / "gates.json").unlink()
    audit = verify(record.ledger, Down(), record.case_files)
    assert [fault.where for fault in audit.faults] == ["model registry", f"case file {one.name[:12]}, gates.json"]


def test_a_file_that_is_no_database_is_a_fault_beside_the_others(record, check):
    record.ledger.path.write_bytes(b"not a database, but long enough to look like one" * 40)
    told = check()
    assert "restore it from a backup" in told["ledger"]
    assert f"{RELEASE} version 3" in told


def test_an_export_is_whole_the_same_every_time_and_only_of_what_verifies(record, tmp_path):
    zips = [tmp_path / name for name in ("one.zip", "two.zip")]
    for path in zips:
        export_record(record.ledger, record.registry, record.case_files, path)
    assert len({sha256(path.read_bytes()).hexdigest() for path in zips}) == 1
    with zipfile.ZipFile(zips[0]) as packed:
        assert len(packed.namelist()) == 4 + 6
    (record.case_files / record.ledger.entries()[0].body["case_file"] / "gates.json").unlink()
    with pytest.raises(AuditFailed, match="found 1 faults"):
        export_record(record.ledger, record.registry, record.case_files, tmp_path / "three.zip")
    assert sorted(path.name for path in tmp_path.glob("*.zip*")) == ["one.zip", "two.zip"]
