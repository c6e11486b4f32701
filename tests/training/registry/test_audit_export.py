"""The steps of an export's README.txt, followed with the standard library alone, on a zip that is whole and on others.

Nothing of cxloop is used to verify: this is what somebody else's auditor does.
"""

import hashlib
import json
import shutil
import subprocess
import zipfile

import pytest

from training.registry.audit_export import export_record


@pytest.fixture
def files(record, tmp_path):
    export_record(record.ledger, record.registry, record.case_files, tmp_path / "record.zip")
    with zipfile.ZipFile(tmp_path / "record.zip") as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def sha256(contents):
    return hashlib.sha256(contents).hexdigest()


def step_1_files(files):
    sums = dict(reversed(line.split("  ", 1)) for line in files["SHA256SUMS"].decode().splitlines())
    return sums == {name: sha256(contents) for name, contents in files.items() if name != "SHA256SUMS"}


def step_2_ledger(files):
    previous = "0" * 64
    for number, line in enumerate(files["ledger.jsonl"].splitlines(), start=1):
        entry = json.loads(line)
        if (entry["number"], entry["previous"]) != (number, previous):
            return False
        previous = sha256(line)
    return True


def step_3_anchors(files):
    lines = files["ledger.jsonl"].splitlines()
    anchors = json.loads(files["anchors.json"])
    held = [f"{number}:{sha256(line)}" for number, line in enumerate(lines, start=1)]
    return anchors["head"] == held[-1] and bool(anchors["registry"]) and set(anchors["registry"].values()) <= set(held)


def step_4_case_files(files):
    bodies = [json.loads(line)["body"] for line in files["ledger.jsonl"].splitlines()]
    named = {body["case_file"] for body in bodies if isinstance(body.get("case_file"), str)}
    for digest in named:
        folder = f"case_files/{digest}/"
        case = files[f"{folder}case.json"]
        listed = json.loads(case)["files"]
        there = {name.removeprefix(folder) for name in files if name.startswith(folder)}
        if sha256(case) != digest or there != {*listed, "case.json"}:
            return False
        if any(sha256(files[folder + path]) != wanted for path, wanted in listed.items()):
            return False
    return len(named) == 3


def step_5_earlier(files, earlier):
    now, then = files["ledger.jsonl"].splitlines(), earlier["ledger.jsonl"].splitlines()
    return now[: len(then)] == then


def test_the_steps_hold_on_an_export(files):
    assert all(step(files) for step in (step_1_files, step_2_ledger, step_3_anchors, step_4_case_files))
    assert step_5_earlier(files, files)
    said = files["README.txt"].decode()
    assert all(f"\n{number}. " in said for number in range(1, 6))
    assert "SHA-256" in said


def test_the_steps_fail_where_something_was_changed(files):
    lines = files["ledger.jsonl"].splitlines()
    case = next(name for name in files if name.endswith("/gates.json"))
    assert not step_1_files({**files, "README.txt": b"trust us"})
    assert not step_2_ledger({**files, "ledger.jsonl": b"\n".join([*lines[:3], *lines[4:]])})
    assert not step_2_ledger({**files, "ledger.jsonl": files["ledger.jsonl"].replace(b'"ana"', b'"eve"')})
    assert not step_3_anchors({**files, "ledger.jsonl": b"\n".join(lines[:-1])})
    assert not step_4_case_files({**files, case: b"{}"})
    assert not step_4_case_files({**files, case.replace("gates", "more"): b"[]"})
    assert not step_5_earlier({**files, "ledger.jsonl": b"\n".join(lines[:-1])}, files)


def test_sha256sum_takes_the_sums_of_an_export(files, tmp_path):
    if not shutil.which("sha256sum"):
        pytest.skip("sha256sum is not installed here")
    for name, contents in files.items():
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_bytes(contents)
    command = ["sha256sum", "-c", "SHA256SUMS"]
    checked = subprocess.run(command, cwd=tmp_path / "out", capture_output=True, check=False)
    assert checked.returncode == 0
    assert checked.stdout.count(b": OK") == len(files) - 1
