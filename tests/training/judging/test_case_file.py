import hashlib
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from labeling.digests import canonical_json
from labeling.errors import CaseFileError
from tests.training.judging.sample_case import (
    TASK,
    build_sample_case,
    sample_contents,
    sample_description,
    sample_gates,
    sample_interactions,
)
from training.judging.case_file import CaseFile, list_case_files, write_case_file
from training.judging.curves import draw_curves

DOCUMENT = Path(__file__).parents[3] / "docs" / "case-file.md"


@pytest.fixture(scope="module")
def contents():
    return sample_contents(cases=300, with_plots=False)


@pytest.fixture
def case(tmp_path, contents):
    return write_case_file(tmp_path, sample_description(), contents.documents())


def test_what_was_found_reads_back(case, contents):
    found, evidence = CaseFile.open(case.folder), contents.grounds.tasks[TASK]
    assert found.about.model_dump(exclude={"files"}) == sample_description().model_dump(exclude={"files"})
    assert [gate for _, gate in sample_gates()] == [*found.gates[TASK], *found.gates[""]]
    assert found.scorecards(TASK) == {"challenger": evidence.challenger, "champion": evidence.champion}
    assert found.answers(TASK).select(evidence.answers.columns).equals(evidence.answers)
    assert found.answers(TASK)["reference"].null_count() == 300
    assert found.disagreements(TASK)["truth"].to_list() == evidence.disagreements["truth"].to_list()
    assert found.curves(TASK)["champion"] == draw_curves(evidence.answers, "champion")
    assert set(found.curves(TASK)) == {"challenger", "champion"}
    assert found.data(TASK) == evidence.data
    assert found.next_week() == contents.next_week
    assert found.training_set(TASK).height == 300
    assert found.read_text("model_card.md") == contents.model_card


def test_the_confusion_counts_the_wrong_answers_of_each(case, contents):
    answers, found = contents.grounds.tasks[TASK].answers, case.confusion(TASK)
    for who in ("champion", "challenger"):
        assert found[who].sum() == (answers[who] != answers["truth"]).sum()
    first = found.row(0, named=True)
    pair = answers.filter(pl.col("truth") == first["truth"])
    assert first["challenger"] == (pair["challenger"] == first["answered"]).sum()
    changes = (found["challenger"] - found["champion"]).abs().to_list()
    assert changes == sorted(changes, reverse=True)


def test_its_name_is_the_digest_of_canonical_json_and_the_same_evidence_has_one_name(case, tmp_path, contents):
    raw = (case.folder / "case.json").read_bytes()
    assert raw == canonical_json(json.loads(raw))
    assert write_case_file(tmp_path, sample_description(), contents.documents()).digest == case.digest
    later = sample_description().model_copy(update={"look": 5})
    other = write_case_file(tmp_path, later, contents.documents())
    assert list_case_files(tmp_path) == tuple(sorted((case.digest, other.digest)))


def change(path, edit):
    path.write_bytes(edit(path.read_bytes()))


def test_any_change_is_noticed(case):
    folder = case.folder
    for path in [path for path in sorted(folder.rglob("*")) if path.is_file()]:
        kept = path.read_bytes()
        for edit in (lambda raw: raw[:-1], lambda raw: bytes([raw[0] ^ 1]) + raw[1:], lambda raw: raw + b"\n"):
            change(path, edit)
            name = path.relative_to(folder).as_posix()
            assert case.find_faults() == (f"{name} was changed",)
            with pytest.raises(CaseFileError, match="was changed"):
                CaseFile.open(folder).read(name)
            path.write_bytes(kept)
    case.verify()


def test_files_that_are_gone_added_or_links_are_noticed(case, tmp_path, contents):
    card = case.folder / "model_card.md"
    card.rename(tmp_path / "elsewhere.md")
    with pytest.raises(CaseFileError, match=r"model_card\.md, found none that can be read \(FileNotFoundError\)"):
        case.read("model_card.md")
    card.symlink_to(tmp_path / "elsewhere.md")
    (case.folder / "plots").mkdir()
    (case.folder / "plots" / "new.svg").touch()
    assert case.find_faults() == ("model_card.md is missing", "plots/new.svg was added")
    with pytest.raises(CaseFileError, match=r"missing; plots/new\.svg was added: restore"):
        case.verify()
    with pytest.raises(CaseFileError, match="was changed since"):
        write_case_file(tmp_path, sample_description(), contents.documents())


def test_one_that_was_rewritten_as_a_whole_has_another_name(case):
    rewritten = json.loads((case.folder / "case.json").read_bytes()) | {"verdict": "promote"}
    (case.folder / "case.json").write_bytes(canonical_json(rewritten))
    with pytest.raises(CaseFileError, match=r"needs the case\.json that names it"):
        CaseFile.open(case.folder)
    assert case.find_faults() == ("case.json was changed",)


def test_one_of_a_later_schema_or_that_leads_elsewhere_is_refused(case, tmp_path):
    said = json.loads((case.folder / "case.json").read_bytes())
    for wrong in ({"schema_version": 2}, {"files": {"../x": "0" * 64}}, {"files": {"gates.json": "0"}}):
        raw = canonical_json(said | wrong)
        (case.folder / "case.json").write_bytes(raw)
        named = case.folder.rename(tmp_path / hashlib.sha256(raw).hexdigest())
        with pytest.raises(CaseFileError, match="another schema version than 1"):
            CaseFile.open(named)
        named.rename(case.folder)
    for path in ("../x", "/x", "a/b/c", "a/..", "case.json", ""):
        with pytest.raises(ValidationError):
            write_case_file(tmp_path, sample_description(), {path: ""})
    with pytest.raises(CaseFileError, match=r"needs case\.json, found none"):
        CaseFile.open(tmp_path / "none")


def test_a_killed_write_leaves_nothing_half(tmp_path, contents):
    documents = contents.documents()
    for delay in range(12):
        about = sample_description().model_copy(update={"look": delay + 1})
        child = os.fork()
        if not child:
            write_case_file(tmp_path, about, documents)
            os._exit(0)
        time.sleep(delay * 0.002)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for name in list_case_files(tmp_path):
            CaseFile.open(tmp_path / name).verify()
        whole = write_case_file(tmp_path, about, documents)
        assert [path.name for path in tmp_path.iterdir() if path.name not in list_case_files(tmp_path)] == []
        whole.verify()


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CaseFileError, match=r"cannot be written to .* free some space"):
        write_case_file(tmp_path / "file", sample_description(), {})


def test_no_text_is_in_it(case):
    texts = sample_interactions(case)["text"].to_list()
    assert len(texts) > 250
    stored = "".join(case.read_text(path) for path in case.about.files)
    assert not [text for text in texts if text in stored]


def test_it_verifies_with_the_commands_of_the_document(case):
    block = re.search(r"```sh\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    script = "set -e\n" + block[1].replace(".cxloop/case_files/DIGEST", str(case.folder))

    def run():
        return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)  # noqa: S607

    assert run().stdout.splitlines() == ["case.json: OK", "files: OK", "nothing added: OK"]
    (case.folder / "more.txt").touch()
    assert run().stdout.splitlines() == ["case.json: OK", "files: OK"]
    change(case.folder / "gates.json", lambda raw: raw.replace(b"failed", b"passed"))
    assert run().stdout.splitlines() == ["case.json: OK", "gates.json: FAILED"]
    change(case.folder / "case.json", lambda raw: raw.replace(b"improve", b"refresh"))
    assert run().stdout.splitlines() == ["case.json: FAILED"]


def test_the_whole_sample_is_of_the_size_that_the_page_must_show(tmp_path):
    case = build_sample_case(tmp_path, with_plots=False)
    answers = case.answers(TASK)
    assert (answers.height, len(case.scorecards(TASK)["challenger"].labels)) == (3000, 78)
    assert {answers[name].n_unique() for name in ("language", "channel", "segment")} == {3}
    assert {gate.verdict for gates in case.gates.values() for gate in gates} == {
        "passed", "failed", "undecided", "waived",
    }  # fmt: skip
