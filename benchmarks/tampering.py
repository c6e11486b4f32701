"""Does `audit verify` notice every change of the stored ledger and case files?

Protocol, fixed before the run. One record of 15 judged releases: 43 ledger entries, 15 case files of eight files
each, anchors on the versions of a real MLflow store, where the newest entry is anchored as the sensor does it every
half minute. The attacker holds the home (ledger, head file, case files), not the registry. 10,000 changes, 2,000 for
each of five seeds, each on a fresh copy, of one of these kinds in turn, place and size drawn:

- *byte of an entry*: one byte of an entry's text in the ledger's file becomes another; *byte of a digest*: the same of
  a stored digest.
- *entries cut*: one to five in a row, not the newest; *entries reordered*: two change places, numbers kept in order.
- *tail cut*: the newest one to twenty; half the time the head file is cut to match.
- *rewritten*: one value of one entry is changed and every digest from there on recomputed, head file included.
- *forged*: the same, and the whole ledger is of a new file; *entry slipped in*: an entry is added in the middle and all
  that follow are recomputed, head file included.
- *byte of a file*: one byte of a case file's file becomes another; *files swapped*: two of different content change
  places, within a case file or between two; *file removed*; *file added*; *case file removed*; *case file replaced*: by
  another one's contents; *case file rewritten*: a file and case.json are changed to match, the folder keeps its name or
  gets the new one.
- *head file*: a byte of a line becomes another, or the file is removed.

A change counts as noticed where `verify` tells at least one fault. False alarms are counted on the untouched record,
once a kind and seed.

    python -m benchmarks.tampering
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.harness.record import Record, Remembered, make_record, open_ledger
from benchmarks.harness.results import Figure, SeedResults, write_result
from labeling.digests import canonical_json, digest
from training.registry.audit import verify
from training.registry.ledger import GENESIS, Ledger

SEEDS: Final = list(range(5))
CHANGES: Final = 2_000
RELEASES: Final = 15
PROTOCOL: Final = {"changes": CHANGES, "releases": RELEASES, "version": 1}
Rows = list[tuple[int, str, str]]


def main() -> None:
    """Make every change that has no result yet, and write the figures."""
    parser = argparse.ArgumentParser(description="which changes of the record an audit notices")
    parser.add_argument("--seeds", type=int, default=len(SEEDS))
    parser.add_argument("--changes", type=int, default=CHANGES, help="a seed's; fewer for a quick look, unpublished")
    asked = parser.parse_args()
    kept, seeds = SeedResults("tampering", PROTOCOL | {"changes": asked.changes}), SEEDS[: asked.seeds]
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        record, registry = make_record(Path(folder) / "record", releases=RELEASES)
        for seed in seeds:
            if kept.find(seed, "changes") is None:
                kept.keep(seed, "changes", run_seed(record, registry, Path(folder), seed=seed, changes=asked.changes))
            print(f"seed {seed}:", kept.find(seed, "changes"), flush=True)
    if asked.changes == CHANGES:
        _write(kept, seeds)


def run_seed(record: Record, registry: Remembered, folder: Path, *, seed: int, changes: int) -> dict[str, Any]:
    """Make ``changes`` changes; return how many of each kind were made and noticed, false alarms, and seconds."""
    rng = np.random.default_rng(seed)
    made: dict[str, int] = dict.fromkeys(KINDS, 0)
    noticed: dict[str, int] = dict.fromkeys(KINDS, 0)
    alarms, seconds = 0, []
    for number in range(changes):
        kind = list(KINDS)[number % len(KINDS)]
        copy = record.copy(folder / "copy")
        if made[kind] == 0:
            alarms += _is_noticed(copy, registry)
        KINDS[kind](copy, rng)
        began = time.perf_counter()
        noticed[kind] += _is_noticed(copy, registry)
        seconds.append(time.perf_counter() - began)
        made[kind] += 1
        shutil.rmtree(copy.folder)
    missed = [kind for kind in KINDS if noticed[kind] < made[kind]]
    return {"made": made, "noticed": noticed, "alarms": alarms, "missed": missed, "seconds": float(np.mean(seconds))}


def _is_noticed(record: Record, registry: Remembered) -> bool:
    return bool(verify(open_ledger(record.folder), registry, record.case_files, pause=0.0).faults)


def change_entry_byte(record: Record, rng: np.random.Generator) -> None:
    """Another byte in an entry's text, in the file itself."""
    rows = record.rows()
    _change_byte_in(record.ledger_path, rows[rng.integers(len(rows))][1].encode(), rng)


def change_digest_byte(record: Record, rng: np.random.Generator) -> None:
    """Another byte in a stored digest: the one in the table, not the one that the next entry names."""
    rows = record.rows()
    number, text, sum_ = rows[rng.integers(len(rows))]
    place = int(rng.integers(len(sum_)))
    wrong = sum_[:place] + chr((ord(sum_[place]) + int(rng.integers(1, 20)) - 33) % 90 + 33) + sum_[place + 1 :]
    wrong = wrong if wrong != sum_ else f"x{sum_[1:]}"
    record.store([row if row[0] != number else (number, text, wrong) for row in rows])


def cut_entries(record: Record, rng: np.random.Generator) -> None:
    """Up to five entries in a row, not the newest."""
    rows = record.rows()
    first = int(rng.integers(len(rows) - 6))
    record.store(rows[:first] + rows[first + int(rng.integers(1, 6)) :])


def reorder_entries(record: Record, rng: np.random.Generator) -> None:
    """Two entries change places."""
    rows = record.rows()
    one, two = sorted(int(place) for place in rng.choice(len(rows), 2, replace=False))
    rows[one], rows[two] = (rows[one][0], *rows[two][1:]), (rows[two][0], *rows[one][1:])
    record.store(rows)


def cut_tail(record: Record, rng: np.random.Generator) -> None:
    """The newest one to twenty entries; half the time the head file too."""
    rows = record.rows()
    left = rows[: len(rows) - int(rng.integers(1, 21))]
    record.store(left)
    if rng.random() < 0.5:
        record.store_head(left)


def rewrite_chain(record: Record, rng: np.random.Generator) -> None:
    """One value of one entry, and every digest after it, head file included."""
    rows = record.rows()
    place = int(rng.integers(len(rows)))
    rows = _reseal(rows, place, lambda sealed: _change_value(sealed, rng))
    record.store(rows)
    record.store_head(rows)


def forge_ledger(record: Record, rng: np.random.Generator) -> None:
    """The same in a new file of the ledger."""
    rows = record.rows()
    place = int(rng.integers(len(rows)))
    rows = _reseal(rows, place, lambda sealed: _change_value(sealed, rng))
    for path in record.folder.glob("ledger.*"):
        path.unlink()
    Ledger(record.ledger_path).rows()
    with Ledger(record.ledger_path).transaction():
        pass
    record.store(rows)
    record.store_head(rows)


def slip_entry_in(record: Record, rng: np.random.Generator) -> None:
    """One more entry in the middle; all that follow count one further."""
    rows = record.rows()
    place = int(rng.integers(1, len(rows)))
    rows = _reseal([*rows[:place], rows[place - 1], *rows[place:]], place, lambda sealed: {**sealed, "kind": "note"})
    record.store(rows)
    record.store_head(rows)


def change_file_byte(record: Record, rng: np.random.Generator) -> None:
    """Another byte in a file of a case file."""
    path = _draw_file(record, rng)
    _change_byte_in(path, path.read_bytes(), rng)


def swap_files(record: Record, rng: np.random.Generator) -> None:
    """Two files of different content change places."""
    one = _draw_file(record, rng)
    two = next(path for path in iter(lambda: _draw_file(record, rng), None) if path.read_bytes() != one.read_bytes())
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


def remove_file(record: Record, rng: np.random.Generator) -> None:
    """One file of a case file goes."""
    _draw_file(record, rng).unlink()


def add_file(record: Record, rng: np.random.Generator) -> None:
    """One file comes, anywhere in a case file."""
    folder = _draw_file(record, rng).parent
    (folder / f"more-{rng.integers(1000)}.json").write_bytes(b"[]" if rng.random() < 0.5 else b"")


def remove_case_file(record: Record, rng: np.random.Generator) -> None:
    """A case file goes."""
    shutil.rmtree(_draw_case_file(record, rng))


def replace_case_file(record: Record, rng: np.random.Generator) -> None:
    """A case file gets another one's contents."""
    one, two = (sorted(record.case_files.iterdir())[place] for place in rng.choice(RELEASES, 2, replace=False))
    shutil.rmtree(one)
    shutil.copytree(two, one)


def rewrite_case_file(record: Record, rng: np.random.Generator) -> None:
    """A file and case.json are changed to match; half the time the folder is named anew to match as well."""
    folder = _draw_case_file(record, rng)
    record.rewrite_case_file(folder, "gates.json", b"[]", is_renamed=bool(rng.random() < 0.5))


def change_head_file(record: Record, rng: np.random.Generator) -> None:
    """A byte of a line, or the whole file."""
    path = record.head_path
    if rng.random() < 0.1:
        path.unlink()
        return
    lines = path.read_bytes().splitlines()
    _change_byte_in(path, lines[rng.integers(len(lines))], rng)


KINDS: Final[dict[str, Callable[[Record, np.random.Generator], None]]] = {
    "byte_of_an_entry": change_entry_byte,
    "byte_of_a_digest": change_digest_byte,
    "entries_cut": cut_entries,
    "entries_reordered": reorder_entries,
    "tail_cut": cut_tail,
    "rewritten": rewrite_chain,
    "forged": forge_ledger,
    "entry_slipped_in": slip_entry_in,
    "byte_of_a_file": change_file_byte,
    "files_swapped": swap_files,
    "file_removed": remove_file,
    "file_added": add_file,
    "case_file_removed": remove_case_file,
    "case_file_replaced": replace_case_file,
    "case_file_rewritten": rewrite_case_file,
    "head_file": change_head_file,
}


def _change_byte_in(path: Path, part: bytes, rng: np.random.Generator) -> None:
    """Give one byte of ``part``, wherever it lies in the file, another value."""
    whole = bytearray(path.read_bytes())
    begins = whole.find(part)
    if begins < 0:  # an entry that lies on several pages of the database
        part = part[:200]
        begins = whole.find(part)
    place = begins + int(rng.integers(len(part)))
    whole[place] ^= int(rng.integers(1, 256))
    path.write_bytes(bytes(whole))


def _change_value(sealed: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Change one value of an entry's body, or its kind, to another of the same type."""
    body = dict(sealed["body"])
    places = sorted(key for key, value in body.items() if isinstance(value, str))
    if not places:
        return {**sealed, "kind": f"{sealed['kind']}_"}
    key = places[int(rng.integers(len(places)))]
    return {**sealed, "body": {**body, key: f"{body[key]}'"}}


def _reseal(rows: Rows, place: int, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Rows:
    """Change the entry at ``place`` and number and chain it and all that follow anew, as their writer would have."""
    import json

    sealed_rows = rows[:place]
    previous = rows[place - 1][2] if place else GENESIS
    for number, row in enumerate(rows[place:], start=place + 1):
        sealed = {**json.loads(row[1]), "number": number, "previous": previous}
        sealed = change(sealed) if number == place + 1 else sealed
        previous = digest(sealed)
        sealed_rows.append((number, canonical_json(sealed).decode(), previous))
    return sealed_rows


def _draw_case_file(record: Record, rng: np.random.Generator) -> Path:
    return sorted(record.case_files.iterdir())[int(rng.integers(RELEASES))]


def _draw_file(record: Record, rng: np.random.Generator) -> Path:
    files = sorted(path for path in _draw_case_file(record, rng).rglob("*") if path.is_file())
    return files[int(rng.integers(len(files)))]


def _memory() -> str | None:
    """Return a folder in memory, None where there is none."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a temporary folder is made in it


def _write(kept: SeedResults, seeds: list[int]) -> None:
    found = [kept.find(seed, "changes") for seed in seeds]
    figures = {}
    for kind in KINDS:
        made, noticed = (sum(one[what][kind] for one in found) for what in ("made", "noticed"))
        figures[kind] = _share(noticed, made, "")
    made, noticed = (sum(sum(one[what].values()) for one in found) for what in ("made", "noticed"))
    figures["noticed"] = _share(noticed, made, "each of 10,000")
    figures["changes"] = Figure(made, made, made, "changes", "higher", "10,000")
    alarms = sum(one["alarms"] for one in found)
    figures["false_alarms"] = Figure(alarms, alarms, alarms, "of untouched records", "lower", "")
    write_result("tampering", command="python -m benchmarks.tampering", seeds=seeds, figures=figures, peers={})
    kept.drop()


def _share(noticed: int, made: int, goal: str) -> Figure:
    from scipy.stats import binomtest

    within = binomtest(noticed, made).proportion_ci(method="exact")
    return Figure(noticed / made, float(within.low), float(within.high), "share noticed", "higher", goal)


if __name__ == "__main__":
    main()
