"""A person is erased everywhere, whatever is killed on the way, and nothing of them comes back."""

import gzip
import json
import shutil
import sqlite3
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from assets.erasing import ERASURE, ErasureRequest, erase, look
from assets.feedback import take_in
from assets.maintenance import maintain_job
from assets.retention import keep_to_periods
from assets.settings import load_settings
from assets.training import open_activations
from labeling import tables as t
from labeling.desk.cases import build_cases, review_rows
from labeling.desk.fake import FakeReviewDesk
from labeling.digests import digest
from labeling.erasing import ORDER
from labeling.errors import ConfigError, DecisionRefused, DeskUnavailable, StorageError
from labeling.sources.arrivals import customer_key
from tests.assets.conftest import NOW, StockedHome
from tests.training.judging.sample_case import sample_description
from training.encoder import EncoderSpec
from training.features import digest_text
from training.judging.case_file import CaseFile, write_case_file
from training.model_folder import ModelDescription
from training.registry.registry import MEMBERS_TAG, RELEASE, ModelPackage, RunRecord
from training.registry.standing import CHALLENGER_NAMED

ANA = "customer-ana-7714"
BEN = "customer-ben-2209"
WORD = "zyxgloop"
CANARIES = (WORD, ANA)
ASKED = ErasureRequest(customers=(ANA,), reviewer="dpo", note="ticket 12")


class Killed(BaseException):
    """The process is gone."""


def message(name: str, talk: str, turn: int, customer: str, text: str) -> dict:
    at = (NOW - timedelta(days=2) + timedelta(minutes=turn)).isoformat()
    return {
        "interaction_id": name,
        "conversation_id": talk,
        "turn": turn,
        "occurred_at": at,
        "customer_id": customer,
        "text": text,
        "handled_by": "ai",
    }


MESSAGES = (
    message("a1", "talk-1", 1, ANA, f"where is my {WORD}"),
    message("a2", "talk-2", 1, ANA, "hello there"),
    message("b1", "talk-2", 2, BEN, "it is mine, not hers"),
    message("b2", "talk-3", 1, BEN, "hello there"),
)


def deliver(stocked: StockedHome, table: t.Table, name: str, *events: dict) -> Path:
    path = stocked.home.inbox / table.name / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path


def collect(stocked: StockedHome) -> None:
    assert not take_in(stocked.loop, t.INTERACTIONS, t.CORRECTIONS, t.ESCALATIONS).unread


def correct(name: str, interaction: str, label: str) -> dict:
    at = (NOW - timedelta(days=1)).isoformat()
    made = {"correction_id": name, "interaction_id": interaction, "task": "intent", "label": label}
    return {**made, "agent_id": "agent-1", "corrected_at": at, "reason": f"about {interaction}"}


@pytest.fixture
def desk(stocked):
    """Where people answer."""
    desk = stocked.loop.open_desk()
    desk.open_project(stocked.loop.settings.taxonomy)
    return desk


@pytest.fixture
def lived_in(stocked, desk):
    """A home in which Ana and Ben wrote, were corrected, and were read at the desk."""
    label = stocked.loop.settings.taxonomy.tasks[0].labels[0].name
    deliver(stocked, t.INTERACTIONS, "first", *MESSAGES, {"interaction_id": "a8", "customer_id": ANA, "text": WORD})
    deliver(stocked, t.CORRECTIONS, "first", correct("k1", "a1", label), correct("k2", "b2", label))
    collect(stocked)
    assert stocked.tables.read(t.INTERACTIONS).height == 4
    assert stocked.tables.read(t.QUARANTINE)["customer_key"].to_list() == [customer_key(stocked.home.key(), ANA)]
    names = [one["interaction_id"] for one in MESSAGES]
    stocked.labels(dict.fromkeys(names, label))
    queued = [{"interaction_id": name, "case_id": f"case-{name}"} for name in names]
    stocked.put(t.REVIEW_QUEUE, *queued, score=1.0, overlap=1, blind=True)
    send(stocked, desk)
    desk.answer("case-a1", "ann-1", {"intent": label}, NOW)
    desk.answer("case-b2", "ann-1", {"intent": label}, NOW)
    stocked.put(t.REVIEWS, *review_rows(desk.fetch(None)).to_dicts())
    stocked.put(t.PREDICTIONS, *({"interaction_id": name} for name in names), task="intent", model_version="1")
    digests = [{"text_digest": digest_text(stocked.home.key(), one["text"])} for one in MESSAGES]
    stocked.put(t.FEATURES, *digests, encoder_digest="e", feature=[1.0, 2.0])
    stocked.put(t.TRAINING_SETS, *frozen(stocked, names, label))
    return stocked


def send(stocked: StockedHome, desk: FakeReviewDesk) -> list[str]:
    cases = build_cases(stocked.tables, project=desk.open_project(stocked.loop.settings.taxonomy), champion=None)
    sent = [
        {"case_id": one.case_id, "interaction_id": case.interaction_id, "project_id": one.project_id}
        for case, one in zip(cases, desk.send(cases), strict=True)
    ]
    stocked.put(t.REVIEW_TASKS, *sent)
    return [one["case_id"] for one in sent]


def frozen(stocked: StockedHome, names: list[str], label: str) -> list[dict]:
    texts = {one["interaction_id"]: one["text"] for one in MESSAGES}
    rows = [
        {
            "interaction_id": name,
            "label": label,
            "weight": 0.9,
            "text_digest": digest_text(stocked.home.key(), texts[name]),
            "split": "train",
        }
        for name in names
    ]
    content = [tuple(row.values()) for row in rows]
    named = digest({"task": "intent", "labels": (label,), "rows": content})
    return [{"training_set_id": named, "task": "intent", **row} for row in rows]


def run(stocked: StockedHome, request: ErasureRequest = ASKED, tell=lambda line: None):
    return erase(stocked.loop, request, open_desk=lambda: nullcontext(stocked.loop.open_desk()), tell=tell)


def contents(stocked: StockedHome) -> dict[str, list]:
    return {table.name: sorted(stocked.tables.read(table).rows(), key=str) for table in t.TABLES}


def files_with(home: Path, *words: str) -> set[str]:
    """Return the files under ``home``, but for the inbox, that hold one of ``words`` in any form that we know."""
    found = set()
    for path in home.rglob("*"):
        if not path.is_file() or path.is_relative_to(home / "inbox"):
            continue
        held = path.read_bytes()
        if path.suffix == ".parquet":
            held += str(pl.read_parquet(path, hive_partitioning=False).rows()).encode()
        if held[:2] == b"\x1f\x8b":
            held += gzip.decompress(held)
        if any(word.encode() in held for word in words):
            found.add(path.relative_to(home).as_posix())
    return found


def test_a_customer_is_gone_from_every_table_and_from_the_desk(lived_in, desk):
    done = run(lived_in)
    assert done.rows == {
        "review_queue": 2,
        "interactions": 2,
        "review_tasks": 2,
        "reviews": 1,
        "corrections": 1,
        "labels": 2,
        "predictions": 2,
        "quarantine": 1,
        "features": 1,
    }
    assert done.desk_cases == 3
    assert sorted(lived_in.tables.read(t.INTERACTIONS)["interaction_id"]) == ["b1", "b2"]
    assert [answer.case_id for answer in desk.fetch(None)] == ["case-b2"]
    assert send(lived_in, desk) == ["case-b1"]
    assert lived_in.tables.read(t.FEATURES).height == 2


def test_what_training_kept_between_runs_goes_as_a_whole(lived_in):
    assert keep_activations(lived_in, "hello there")
    run(lived_in)
    assert not lived_in.home.training.exists()


def keep_activations(stocked: StockedHome, *texts: str) -> list[Path]:
    """Keep what a frozen layer might say of ``texts``; return the files of the cache."""
    import torch

    cache = open_activations(stocked.loop)
    cache.keep("e" * 64, 3, {name: torch.zeros((2, 4), dtype=torch.float16) for name in cache.digests(texts)})
    return sorted((stocked.home.training / "activations").glob("*/*.safetensors"))


def test_no_byte_under_the_home_holds_the_person_s_words_or_id(lived_in):
    home = lived_in.home.path
    assert files_with(home, WORD)
    run(lived_in)
    assert files_with(home, *CANARIES, "where is my", "talk-1") == set()


def test_the_words_stand_in_the_desk_s_file_before_and_not_after(lived_in):
    path = lived_in.home.path / "fake-desk" / "desk.sqlite"
    assert b"case-a1" in path.read_bytes()
    run(lived_in)
    assert b"case-a1" not in path.read_bytes()


def test_a_second_run_finds_nothing_left_and_changes_nothing(lived_in):
    first = run(lived_in)
    assert first.entry is not None
    before = contents(lived_in)
    again = run(lived_in)
    assert (again.is_nothing, again.entry, again.rows) == (True, None, {})
    assert contents(lived_in) == before
    assert len(lived_in.loop.open_ledger().entries(ERASURE)) == 1


def test_the_receipt_holds_digests_and_counts_and_nobody_s_id(lived_in):
    done = run(lived_in)
    (entry,) = lived_in.loop.open_ledger().entries(ERASURE)
    assert entry == done.entry
    assert entry.body["rows"] == done.rows
    assert entry.body["customers"] == [customer_key(lived_in.home.key(), ANA)]
    assert len(entry.body["interactions"]) == 3
    assert (entry.body["reviewer"], entry.body["note"]) == ("dpo", "ticket 12")
    said = json.dumps(entry.body)
    assert not any(f'"{name}"' in said for name in ("a1", "a2", "a8", ANA))
    assert WORD not in said
    lived_in.loop.open_ledger().verify([entry.anchor])


def steps_of(stocked: StockedHome) -> list[str]:
    told: list[str] = []
    run(stocked, tell=told.append)
    return told


def test_killed_before_any_step_the_same_command_completes_it(lived_in, tmp_path):
    """Between the two, the sources send everything again, and cases go out."""
    pristine = tmp_path / "pristine"
    shutil.copytree(lived_in.home.path, pristine)
    steps = steps_of(lived_in)
    wanted, rows = contents(lived_in), lived_in.loop.open_ledger().entries(ERASURE)[0].body["rows"]
    assert len(steps) == 10 + 2 * len(ORDER)  # each table loses rows, and then the files that held them
    alike = [number for number, step in enumerate(steps) if step.startswith("removing the files")]
    for number in sorted(set(range(len(steps))) - set(alike[1:-1])):
        shutil.rmtree(lived_in.home.path)
        shutil.copytree(pristine, lived_in.home.path)
        told: list[str] = []

        def tell(line: str, told: list[str] = told, before: int = number) -> None:
            if len(told) == before:
                raise Killed
            told.append(line)

        with pytest.raises(Killed):
            run(lived_in, tell=tell)
        if number % 4 == 0:
            deliver(lived_in, t.INTERACTIONS, "again", *MESSAGES)
            collect(lived_in)
        desk = lived_in.loop.open_desk()
        send(lived_in, desk)
        run(lived_in)
        assert len(lived_in.loop.open_ledger().entries(ERASURE)) == 1, steps[number]
        (entry,) = lived_in.loop.open_ledger().entries(ERASURE)
        assert entry.body["rows"] == rows, steps[number]
        send(lived_in, desk)
        assert sorted(lived_in.tables.read(t.INTERACTIONS)["interaction_id"]) == ["b1", "b2"], steps[number]
        left = contents(lived_in)
        for table in ("corrections", "labels", "predictions", "reviews", "features", "review_queue", "erasures"):
            assert left[table] == wanted[table], (steps[number], table)
        assert sorted(lived_in.tables.read(t.REVIEW_TASKS)["case_id"]) == ["case-b1", "case-b2"], steps[number]
        assert [answer.case_id for answer in desk.fetch(None)] == ["case-b2"], steps[number]
        assert files_with(lived_in.home.path, *CANARIES) == set(), steps[number]


def test_what_is_delivered_again_is_refused(lived_in):
    run(lived_in)
    later = message("a5", "talk-9", 1, ANA, f"again the {WORD}")
    deliver(lived_in, t.INTERACTIONS, "again", *MESSAGES, later)
    deliver(lived_in, t.CORRECTIONS, "again", correct("k1", "a1", "x"), correct("k9", "a2", "x"))
    collect(lived_in)
    assert sorted(lived_in.tables.read(t.INTERACTIONS)["interaction_id"]) == ["b1", "b2"]
    assert lived_in.tables.read(t.PARKED).is_empty()
    assert lived_in.tables.read(t.CORRECTIONS)["correction_id"].to_list() == ["k2"]
    assert files_with(lived_in.home.path, *CANARIES) == set()
    assert run(lived_in).is_nothing


def test_what_a_stopped_collection_left_on_disk_goes_too(lived_in):
    late = [message(name, "talk-5", 1, ANA, f"late {WORD}") for name in ("a6", "a7")]
    deliver(lived_in, t.INTERACTIONS, "late", *late)
    blocked = lived_in.home.path / "tables" / "interactions"
    blocked.rename(blocked.with_name("away"))
    blocked.write_text("no folder")
    with pytest.raises(StorageError):
        collect(lived_in)
    blocked.unlink()
    blocked.with_name("away").rename(blocked)
    assert any("collecting" in name for name in files_with(lived_in.home.path, WORD))
    assert run(lived_in).rows["interactions"] == 4
    assert files_with(lived_in.home.path, *CANARIES) == set()
    collect(lived_in)
    assert sorted(lived_in.tables.read(t.INTERACTIONS)["interaction_id"]) == ["b1", "b2"]


def test_one_interaction_goes_and_the_person_may_go_on_writing(lived_in):
    done = run(lived_in, ErasureRequest(interactions=("a1",), reviewer="dpo", note="wrong window"))
    assert done.rows["interactions"] == 1
    deliver(lived_in, t.INTERACTIONS, "again", *MESSAGES, message("a6", "talk-1", 3, ANA, "hello again"))
    collect(lived_in)
    assert sorted(lived_in.tables.read(t.INTERACTIONS)["interaction_id"]) == ["a2", "a6", "b1", "b2"]


def test_looking_changes_nothing(lived_in):
    lived_in.tables.delete(t.TRAINING_SETS, pl.lit(value=True))  # else the registry is asked, which makes its database
    before, bytes_before = contents(lived_in), everything_in(lived_in.home.path)
    found = look(lived_in.loop, ASKED)
    assert found.rows["interactions"] == 2
    assert found.desk_cases == 3
    assert contents(lived_in) == before
    assert everything_in(lived_in.home.path) == bytes_before


def everything_in(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"}


def test_files_that_hold_an_id_are_named_and_left_alone(lived_in):
    path = lived_in.home.inbox / "interactions" / "packed.csv.gz"
    path.write_bytes(gzip.compress(f"interaction_id,customer_id\nx1,{ANA}\n".encode()))
    pl.DataFrame({"customer_id": [BEN]}).write_parquet(path.with_name("ben.parquet"))
    pl.DataFrame({"customer_id": [ANA]}).write_parquet(path.with_name("ana.parquet"))
    (path.parent / "longer.jsonl").write_text(json.dumps({"customer_id": f"{ANA}1"}))
    found = look(lived_in.loop, ASKED).mentions
    assert found == (
        "inbox/corrections/first.jsonl",
        "inbox/interactions/ana.parquet",
        "inbox/interactions/first.jsonl",
        "inbox/interactions/packed.csv.gz",
    )


@pytest.mark.parametrize(
    ("change", "needs"),
    [
        ({"customers": ()}, "--customer or --interaction"),
        ({"customers": ("",)}, "--customer or --interaction"),
        ({"reviewer": " "}, "--reviewer NAME"),
        ({"reviewer": "a\nb"}, "--reviewer NAME"),
        ({"note": ""}, "--note WHY"),
        ({"note": "x" * 2_001}, "--note WHY"),
        ({"note": f"asked by {ANA}"}, "holds an id"),
    ],
)
def test_a_request_that_cannot_stand_in_the_ledger_is_refused(lived_in, change, needs):
    fields = {"customers": (ANA,), "reviewer": "dpo", "note": "ticket 12"} | change
    before = contents(lived_in)
    with pytest.raises(DecisionRefused, match=needs) as refused:
        run(lived_in, ErasureRequest(**fields))
    assert ANA not in str(refused.value)
    assert contents(lived_in) == before


def test_a_desk_that_does_not_answer_stops_it_before_any_row_is_gone(lived_in):
    def closed():
        raise DeskUnavailable("no desk")

    with pytest.raises(DeskUnavailable):
        erase(lived_in.loop, ASKED, open_desk=closed, tell=lambda line: None)
    assert lived_in.tables.read(t.INTERACTIONS).height == 4
    assert run(lived_in).entry is not None


def test_training_sets_stay_as_they_were_and_verify(lived_in):
    before = lived_in.tables.read(t.TRAINING_SETS)
    done = run(lived_in)
    after = lived_in.tables.read(t.TRAINING_SETS)
    assert after.equals(before)
    rows = after.select("interaction_id", "label", "weight", "text_digest", "split").rows()
    named = digest({"task": "intent", "labels": (rows[0][1],), "rows": rows})
    assert done.affected.training_sets == (named,)


def judged_on(stocked: StockedHome, *names: str) -> CaseFile:
    rows = json.dumps([{"interaction_id": name, "truth": "fee"} for name in names])
    about = sample_description().model_copy(update={"version": names[0]})
    return write_case_file(stocked.home.case_files, about, {"answers/intent.json": rows, "gates.json": "[]"})


def test_case_files_that_name_it_stay_verify_and_stand_in_the_receipt(lived_in):
    theirs, others = judged_on(lived_in, "a1", "b1"), judged_on(lived_in, "b1", "b2")
    assert look(lived_in.loop, ASKED).case_files == (theirs.digest,)

    def tell(line: str) -> None:
        if line == "removing what training kept between runs":
            lived_in.tables.delete(t.TRAINING_SETS, pl.lit(value=True))  # no row tells any more who goes
            raise Killed

    with pytest.raises(Killed):
        run(lived_in, tell=tell)
    done = run(lived_in)
    assert done.case_files == (theirs.digest,)
    assert done.entry is not None
    assert done.entry.body["case_files"] == [theirs.digest]
    for case in (theirs, others):
        CaseFile.open(case.folder).verify()


def register(stocked: StockedHome, registry, folder: Path, training_set: str, key: str) -> str:
    """Register a model that says that it learnt from ``training_set``."""
    folder.mkdir()
    (folder / "label.txt").write_text("refund")
    about = ModelDescription(
        task="intent",
        labels=("a", "b"),
        temperature=1.0,
        recipe={},
        training_set_id=training_set,
        encoder=EncoderSpec.model_validate(stocked.loop.settings.recipe.encoder.model_dump()),
        encoder_digest="e",
    )
    (folder / "model.json").write_text(about.model_dump_json())
    code = Path(__file__).parents[1] / "training" / "registry" / "echo_model.py"
    answers = pd.DataFrame({"label": ["refund"], "length": [2.0]})
    package = ModelPackage(folder, code, (), ("mlflow",), ("ours",), ("hi",), answers)
    return registry.register("cxloop-intent", package, RunRecord("intent", key), key=key, tags={}).version.version


def test_the_models_trained_on_it_are_named_and_whether_they_need_retraining(lived_in, tmp_path):
    registry = lived_in.loop.open_registry()
    learnt = lived_in.tables.read(t.TRAINING_SETS)["training_set_id"][0]
    old = register(lived_in, registry, tmp_path / "old", learnt, "old")
    live = register(lived_in, registry, tmp_path / "live", learnt, "live")
    other = register(lived_in, registry, tmp_path / "other", "another set", "other")
    client = registry._client
    client.create_registered_model(RELEASE)
    for member in (old, live, other):
        client.create_model_version(RELEASE, "/nowhere", tags={MEMBERS_TAG: json.dumps({"cxloop-intent": member})})
    ledger = lived_in.loop.open_ledger()
    ledger.append(CHALLENGER_NAMED, {"version": "2", "members": {"cxloop-intent": live}}, at=NOW)
    done = run(lived_in)
    assert [(one.version, one.releases, one.needs_retraining) for one in done.affected.versions] == [
        (old, ("1",), False),
        (live, ("2",), True),
    ]
    assert done.affected.needs_retraining
    assert done.entry is not None
    assert done.entry.body["versions"] == [
        {"name": "cxloop-intent", "version": old, "needs_retraining": False},
        {"name": "cxloop-intent", "version": live, "needs_retraining": True},
    ]
    shutil.rmtree(registry.download("cxloop-intent", old))
    (lived_in.home.path / "ledger.sqlite").unlink()
    assert look(lived_in.loop, ErasureRequest(interactions=("b2",))).affected.unknown == (f"cxloop-intent {old}",)


def keep_for(stocked: StockedHome, **days: int) -> None:
    settings = stocked.home.configs / "settings.yaml"
    import yaml

    said = yaml.safe_load(settings.read_text())
    said["retention"] = days
    settings.write_text(yaml.safe_dump(said))
    load_settings(stocked.home.configs)
    stocked.loop._settings = None


def test_rows_past_their_period_go_with_all_that_hangs_on_them(lived_in, desk):
    at = (NOW - timedelta(days=40)).isoformat()
    deliver(lived_in, t.INTERACTIONS, "old", message("o1", "talk-8", 1, BEN, "an old word") | {"occurred_at": at})
    collect(lived_in)
    lived_in.put(t.PREDICTIONS, {"interaction_id": "o1", "task": "intent", "model_version": "1"})
    lived_in.put(
        t.REVIEW_QUEUE, {"interaction_id": "o1", "case_id": "case-o1", "score": 1.0, "overlap": 1, "blind": True}
    )
    assert "case-o1" in send(lived_in, desk)
    keep_for(lived_in, interactions=30)
    [young] = keep_activations(lived_in, "hello there")
    assert len(keep_activations(lived_in, "an old word")) == 2
    assert keep_to_periods(lived_in.loop) == {"review_queue": 1, "predictions": 1, "review_tasks": 1, "interactions": 1}
    assert keep_to_periods(lived_in.loop) == {}
    assert lived_in.tables.read(t.INTERACTIONS).height == 4
    assert lived_in.tables.read(t.PREDICTIONS).height == 4
    assert keep_activations(lived_in) == [young]
    assert desk.remove(["case-o1"]) == 0
    keep_for(lived_in, interactions=0)
    assert keep_to_periods(lived_in.loop) == {}


@pytest.mark.parametrize("table", [t.PREDICTIONS, t.CORRECTIONS, t.ESCALATIONS, t.QUARANTINE], ids=lambda one: one.name)
def test_each_table_has_a_period_of_its_own(stocked, table):
    column = table.event_time
    for name, days in (("old", 31), ("new", 29)):
        stocked.put(table, {**dict.fromkeys(table.key, name), column: NOW - timedelta(days=days)})
    keep_for(stocked, **{table.name: 30})
    assert keep_to_periods(stocked.loop) == {table.name: 1}
    assert stocked.tables.read(table)[table.key[0]].to_list() == ["new"]


def test_without_a_desk_what_stands_there_waits(lived_in, monkeypatch):
    deliver(lived_in, t.INTERACTIONS, "old", message("o1", "talk-8", 1, BEN, "an old word"))
    collect(lived_in)
    keep_for(lived_in, interactions=1)
    shutil.rmtree(lived_in.home.path / "fake-desk")
    (lived_in.home.path / "fake-desk").write_text("no folder")
    assert keep_to_periods(lived_in.loop) == {"interactions": 1, "waiting for the desk": 4}
    assert sorted(lived_in.tables.read(t.INTERACTIONS)["interaction_id"]) == ["a1", "a2", "b1", "b2"]


def test_what_came_back_while_it_was_erased_goes_with_the_next_maintenance(lived_in):
    kept = {table: lived_in.tables.read(table) for table in (t.INTERACTIONS, t.PREDICTIONS)}
    run(lived_in)
    for table, rows in kept.items():
        lived_in.tables.merge(table, rows)
    keep_for(lived_in)
    assert keep_to_periods(lived_in.loop) == {"predictions": 2, "interactions": 2}
    assert sorted(lived_in.tables.read(t.INTERACTIONS)["interaction_id"]) == ["b1", "b2"]


def test_maintenance_says_by_counts_what_it_did(lived_in):
    keep_for(lived_in, corrections=0, interactions=1)
    done = maintain_job.execute_in_process(resources={"loop": lived_in.loop}, instance=lived_in.instance)
    assert done.success
    assert lived_in.tables.read(t.INTERACTIONS).is_empty()
    told = [event.user_message for event in lived_in.instance.all_logs(done.run_id)]
    assert "4 of interactions have reached their period of retention" in told


def test_an_erasure_that_was_not_finished_is_told_by_maintenance(lived_in):
    def tell(line: str) -> None:
        if line == "taking cases off the desk":
            raise Killed

    with pytest.raises(Killed):
        run(lived_in, tell=tell)
    keep_for(lived_in)
    done = maintain_job.execute_in_process(resources={"loop": lived_in.loop}, instance=lived_in.instance)
    told = [event.user_message for event in lived_in.instance.all_logs(done.run_id)]
    assert any("1 erasures were begun and not finished" in line for line in told)
    assert lived_in.tables.read(t.INTERACTIONS)["interaction_id"].n_unique() == 2


def test_periods_are_days_and_a_home_that_names_none_keeps_everything(stocked):
    kept = stocked.loop.settings.services.retention
    assert (kept.interactions, kept.quarantine) == (0, 90)
    keep_for(stocked)
    assert set(stocked.loop.settings.services.retention.model_dump().values()) == {0}
    with pytest.raises(ConfigError, match=r"retention\.interactions"):
        keep_for(stocked, interactions=-1)


def test_the_database_of_an_old_desk_is_written_anew(tmp_path):
    from labeling.desk.database import DATABASE, shrink_database

    assert shrink_database(tmp_path / "none")
    database = sqlite3.connect(tmp_path / DATABASE)
    database.executescript("PRAGMA journal_mode=wal; CREATE TABLE a (b TEXT);")
    database.execute("INSERT INTO a VALUES (?)", (WORD,))
    database.commit()
    database.executescript("PRAGMA secure_delete=OFF; DELETE FROM a;")
    database.close()
    assert WORD.encode() in (tmp_path / DATABASE).read_bytes()
    assert shrink_database(tmp_path)
    assert not any(WORD.encode() in path.read_bytes() for path in tmp_path.rglob("*"))
