"""Does a collection that is killed lose or double anything?

Protocol, fixed before the run. A mixed feed (``benchmarks.harness.mixed_feed``: JSON Lines, CSV, Parquet and SQLite,
with bad rows, repeated, late and amended events, corrections before their interaction) is collected as
`cxloop collect` does it, the scoring of messages left out, in a process of its own.
Undisturbed twice, from copies of one home: the tables must be equal, and the longer of the two
durations, from the end of imports to the end of the process, is D. Then 100 times: a fresh copy, an instant drawn
uniformly over [0, D] after the end of imports, `kill -9` of the process and all that it started, one plain rerun. A
process that ends before its instant was not killed: the instant is drawn again, and counted. The rerun must succeed,
and interactions, predictions, corrections, escalations, parked, quarantine and deliveries must equal those of the
undisturbed run, every column but the times of collecting. Rows are compared in any order. A database notes each
reading of it, also one that brings nothing new: of the notes of one origin the one with the most rows is compared.
The figure is the number of equal runs, scaled to 100; its interval is Clopper and Pearson's (95%).

    python -m benchmarks.kills --kills 100
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from scipy import stats

from assets.settings import load_settings
from benchmarks.harness.mixed_feed import write_feed
from benchmarks.harness.results import Figure, SeedResults, write_result
from labeling import tables as t
from labeling.home import Home
from pipelines.new_home import make_home

COMPARED = (t.INTERACTIONS, t.PREDICTIONS, t.CORRECTIONS, t.ESCALATIONS, t.PARKED, t.QUARANTINE, t.DELIVERIES)
_TIMES_OF_COLLECTING = ("collected_at", "quarantined_at", "parked_at")
_ORIGIN = ("source", "table", "origin", "version")
_KEY = "only-for-this-benchmark"
_SEED = 7
_LONGEST = 300.0

Snapshot = dict[str, pl.DataFrame]


@dataclass(frozen=True)
class Ran:
    """How one collection ended: its exit code (None: killed), and seconds from the end of imports to its end."""

    code: int | None
    seconds: float


def main() -> None:
    """Compare what is missing of the kills, and write the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="not needed here; every benchmark takes it")
    parser.add_argument("--kills", type=int, default=100, help="how many")
    parser.add_argument("--rows", type=int, default=3_000, help="interactions in the feed")
    chosen = parser.parse_args()
    kept = SeedResults("kills", {"rows": chosen.rows})
    with tempfile.TemporaryDirectory(prefix="cxloop-kills-") as folder:
        template = make_template(Path(folder), rows=chosen.rows)
        expected, longest = undisturbed(template, Path(folder))
        counts = {name: frame.height for name, frame in expected.items()}
        print(f"undisturbed: {longest:.1f} s after imports; rows {counts}")
        outcomes = []
        for number in range(chosen.kills):
            outcome = kept.find(number, "kill")
            if outcome is None:
                outcome = kill_once(template, Path(folder), expected, number=number, longest=longest)
                kept.keep(number, "kill", outcome)
            outcomes.append(outcome)
            told = "equal" if outcome["equal"] else f"DIFFERENT: {outcome['differ']}, rerun ended {outcome['code']}"
            print(f"kill {number} at {outcome['at']:.2f} s: {told}")
    report(outcomes, counts, longest)
    if chosen.kills >= 100:
        kept.drop()


def make_template(folder: Path, *, rows: int) -> Path:
    """Return a home with the feed in its inbox, and nothing collected yet."""
    home = Home(folder / "template")
    make_home(home, profile="local", check=load_settings)
    write_feed(home.path, folder / "crm.sqlite", rows=rows, rng=np.random.default_rng(_SEED))
    load_settings(home.configs)
    return home.path


def undisturbed(template: Path, folder: Path) -> tuple[Snapshot, float]:
    """Collect twice from copies of ``template``; return the tables, which must be equal, and the longer duration."""
    snapshots, seconds = [], []
    for name in ("first", "second"):
        home = _copy(template, folder / name)
        ran = collect_in_process(home)
        if ran.code != 0:
            raise SystemExit(f"the undisturbed collection ended with code {ran.code}: no figure")
        snapshots.append(snapshot(home))
        seconds.append(ran.seconds)
        shutil.rmtree(home)
    if differ := differing(*snapshots):
        raise SystemExit(f"two undisturbed collections differ in {', '.join(differ)}: no figure")
    if empty := [name for name, frame in snapshots[0].items() if frame.is_empty()]:
        raise SystemExit(f"the feed reaches no {', '.join(empty)}: no figure")
    return snapshots[0], max(seconds)


def kill_once(template: Path, folder: Path, expected: Snapshot, *, number: int, longest: float) -> dict[str, object]:
    """Kill one collection, run it again, and compare; ``missed`` counts the instants at which it had already ended."""
    rng = np.random.default_rng([_SEED, number])
    missed = 0
    while True:
        home = _copy(template, folder / f"kill-{number}")
        at = float(rng.uniform(0, longest))
        if collect_in_process(home, kill_after=at).code is None:
            break
        missed += 1
        shutil.rmtree(home)
    code = collect_in_process(home).code
    differ = differing(expected, snapshot(home)) if code == 0 else []
    is_equal = code == 0 and not differ
    shutil.rmtree(home)
    return {"at": at, "equal": is_equal, "differ": differ, "code": code, "missed": missed}


def collect_in_process(home: Path, *, kill_after: float | None = None) -> Ran:
    """Run the collection under test; the only function that knows how."""
    command = [sys.executable, "-m", "benchmarks.harness.collecting", str(home)]
    environment = {**os.environ, "CXLOOP_KEY": _KEY}
    with (
        (home.parent / f"{home.name}.log").open("wb") as log,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, env=environment, start_new_session=True
        ) as running,
    ):
        try:
            if running.stdout is None or running.stdout.readline() != b"ready\n":
                raise SystemExit(f"the collection did not start: see {log.name}")
            begun = time.monotonic()
            left = _LONGEST if kill_after is None else kill_after
            try:
                running.communicate(timeout=left)
            except subprocess.TimeoutExpired:
                if kill_after is None:
                    raise SystemExit(f"a collection of over {_LONGEST:.0f} s: no figure") from None
                return Ran(None, time.monotonic() - begun)
            return Ran(running.returncode, time.monotonic() - begun)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)


def snapshot(home: Path) -> Snapshot:
    """Return every compared table without the times of collecting, its rows in one order."""
    tables = Home(home).tables
    found = {}
    for table in COMPARED:
        rows = tables.read(table)
        if table == t.DELIVERIES:
            rows = rows.sort("rows", descending=True).unique(list(_ORIGIN), keep="first", maintain_order=True)
        rows = rows.drop([column for column in _TIMES_OF_COLLECTING if column in rows.columns])
        found[table.name] = rows.sort(rows.columns, nulls_last=True)
    return found


def differing(one: Snapshot, other: Snapshot) -> list[str]:
    """Return the tables in which two snapshots differ, each with both numbers of rows."""
    return [
        f"{name} ({frame.height} and {other[name].height} rows)"
        for name, frame in one.items()
        if not frame.equals(other[name])
    ]


def report(outcomes: list[dict[str, object]], counts: dict[str, int], longest: float) -> None:
    """Write the figure and print it."""
    equal, kills = sum(bool(outcome["equal"]) for outcome in outcomes), len(outcomes)
    bounds = stats.binomtest(equal, kills).proportion_ci(method="exact")
    figure = Figure(100 * equal / kills, 100 * bounds.low, 100 * bounds.high, "equal runs of 100", "higher", "= 100")
    missed = sum(int(str(outcome["missed"])) for outcome in outcomes)
    peers = {"kills": kills, "drawn_again": missed, "undisturbed_seconds": longest, "undisturbed_rows": counts}
    command = f"python -m benchmarks.kills --kills {kills}"
    write_result("kills", command=command, seeds=[_SEED], figures={"equal_runs": figure}, peers=peers)
    print(f"equal_runs: {equal} of {kills} (goal {figure.goal} of 100); {missed} instants drawn again")


def _copy(template: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(template, to))


if __name__ == "__main__":
    main()
