"""How long, and in how much memory, does it take to choose 500 cases of a million?

Protocol, fixed before the run. A generated pool of 1,000,000 scored cases: 384-d float32 features of length 1 from a
mixture of 300 clusters with sizes after Zipf, a twentieth of the rows copies of another, a margin each, predicted
labels of 77 intents, a hundredth of the rows corrected and as many escalated, an open gate request; 2,000 labelled
texts of the same mixture, a twentieth of them outside every label. cxloop chooses 500 by the packaged policy, all
reasons and caps included. The peer is the diversity strategy of small-text and of scikit-activeml, given the same
features and labels: greedy k-centres (Sener and Savarese, 2018; `GreedyCoreset`, `CoreSet`) on pools of 1,000 rows and
up, twice as many each time, until a pool takes longer than the stated limit; the largest that it did is what counts,
and cxloop is timed on as many rows of the same pool for the ratio. Each run in a process of its own, from the moment
that everything is imported and the pool made, arms in turn; the memory is the largest resident set of cxloop's process
while it chooses, its million features included.

    python -m benchmarks.selecting
"""

import argparse
import subprocess
import sys
import threading
import time

import psutil

from benchmarks.harness.results import SeedResults, over_rounds, write_result

PEERS = ("small_text", "skactiveml")
_SMALLEST = 1_000


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the pool")
    parser.add_argument("--count", type=int, default=500, help="cases to choose")
    parser.add_argument("--rounds", type=int, default=3, help="two or more")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds that a peer may take on a pool")
    chosen = parser.parse_args()
    protocol = {name: getattr(chosen, name) for name in ("rows", "count", "limit")}
    results = SeedResults("selecting", protocol)
    ours = [measure(results, seed, "cxloop", chosen.rows, chosen.count) for seed in range(chosen.rounds)]
    ratios: list[float] = []
    peers: dict[str, list[float]] = {}
    for seed in range(chosen.rounds):
        largest = {peer: find_largest(results, seed, peer, chosen) for peer in PEERS}
        peers |= {f"{peer}, seed {seed}: rows, seconds": list(found) for peer, found in largest.items()}
        rows, seconds = max(largest.values())
        if not rows:
            raise SystemExit(f"no peer chose from any pool within {chosen.limit:g} seconds: no figure")
        same = measure(results, seed, f"cxloop:{rows}", rows, chosen.count)
        ratios.append(seconds / same[0])
    figures = {
        "seconds": over_rounds([one[0] for one in ours], "s", "lower", "<= 5 (aim 3)"),
        "memory": over_rounds([one[1] for one in ours], "GB", "lower", "<= 3 (aim 2)"),
        "times_the_peer_on_its_largest_pool": over_rounds(ratios, "times", "higher", ">= 20 (aim)"),
    }
    command = f"python -m benchmarks.selecting --rows {chosen.rows} --count {chosen.count} --limit {chosen.limit:g}"
    path = write_result("selecting", command=command, seeds=list(range(chosen.rounds)), figures=figures, peers=peers)
    results.drop()
    for name, figure in figures.items():
        print(f"{name}: {figure.value:,.2f} ({figure.low:,.2f} to {figure.high:,.2f}) {figure.unit} {figure.goal}")
    print(f"written: {path}")


def find_largest(results: SeedResults, seed: int, peer: str, chosen: argparse.Namespace) -> tuple[int, float]:
    """Return rows and seconds of the largest pool that ``peer`` chose from within the limit, 0 and 0 where of none."""
    found = (0, 0.0)
    rows = max(_SMALLEST, 2 * chosen.count)
    while rows <= chosen.rows:
        seconds = measure(results, seed, f"{peer}:{rows}", rows, chosen.count, limit=chosen.limit)[0]
        if seconds > chosen.limit:
            break
        found, rows = (rows, seconds), rows * 2
    return found


def measure(
    results: SeedResults, seed: int, arm: str, rows: int, count: int, *, limit: float = 1e9
) -> tuple[float, float]:
    """Return seconds and gigabytes of one run, from before where it was done before; infinite beyond ``limit``."""
    kept = results.find(seed, arm)
    if kept is None:
        kept = run(arm.partition(":")[0], seed, rows, count, limit)
        results.keep(seed, arm, kept)
        print(f"seed {seed}, {arm}: {kept[0]:.2f} s of {rows:,} rows in {kept[1]:.2f} GB", flush=True)
    return kept[0], kept[1]


def run(arm: str, seed: int, rows: int, count: int, limit: float) -> list[float]:
    """Run one arm in a process of its own; it says ``begun`` when its pool is made, and ``done`` with its seconds."""
    command = [sys.executable, "-m", "benchmarks.harness.selecting", arm, str(seed), str(rows), str(count)]
    with psutil.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        if running.stdout.readline().strip() != "begun":
            raise SystemExit(f"{arm} did not begin: no figure")
        largest = [0]
        watcher = threading.Thread(target=watch, args=(running, largest, time.monotonic() + limit + 1), daemon=True)
        watcher.start()
        said = running.stdout.read().split()
    watcher.join()
    if running.returncode == -9 and limit < 1e9:
        return [float("inf"), largest[0] / 1e9]
    if running.returncode or said[:1] != ["done"]:
        raise SystemExit(f"{arm} failed with code {running.returncode}: no figure")
    return [float(said[1]), largest[0] / 1e9]


def watch(running: psutil.Popen, largest: list[int], until: float) -> None:
    """Keep the largest resident set; end the process that goes on after ``until``."""
    while running.is_running() and running.status() != psutil.STATUS_ZOMBIE:
        try:
            largest[0] = max(largest[0], running.memory_info().rss)
        except psutil.NoSuchProcess:
            return
        if time.monotonic() > until:
            running.kill()
            return
        time.sleep(0.02)


if __name__ == "__main__":
    main()
