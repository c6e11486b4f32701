"""Does taking in new events get slower as a table grows, or as its commits do?

Protocol, fixed before the run. 10,000 new interactions go into a home whose table of interactions is one of these:
`small` (10,000 rows, one commit), `large` (1,000,000 rows of a hundred weeks, one commit), `worn` (the large one after
1,000 more commits of ten rows, no maintenance) and `tidy` (the worn one after `compact`). Their ids are random, so that
order helps nobody; their times are those of the week after. Two operations: `merge` is `Tables.merge` alone; `collect`
is the whole collection of one JSON Lines file (read, redact, type, check, stage, merge, note). The peer, in the same
run: deltalake's MERGE by id into a table partitioned by week, without the partitions as literals, on small and large.
Each timing has its own copy of the home; arms in turn, their order turned by one each time; one round to warm up, then
five or more. A figure is the arm's seconds over those of `small` in the same round: the geometric mean over rounds,
with a t interval on the logarithms.

    python -m benchmarks.growth --stored 1000000 --commits 1000 --repeats 5
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from deltalake import DeltaTable, write_deltalake
from scipy import stats

from assets.feedback import take_in
from assets.resources import Loop
from assets.settings import load_settings
from benchmarks.harness.results import Figure, write_result
from labeling.home import Home
from labeling.tables import INTERACTIONS
from pipelines.new_home import make_home

BATCH = 10_000
SMALL = 10_000
_SEED = 7
_START = datetime(2024, 1, 1, tzinfo=UTC)
_DAYS = 700
_AFTER = _START + timedelta(days=_DAYS)
_GOALS = {"collect_large": "<= 1.25"}


def main() -> None:
    """Time every operation on every home, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="not needed here; every benchmark takes it")
    parser.add_argument("--stored", type=int, default=1_000_000, help="rows of the large table")
    parser.add_argument("--commits", type=int, default=1_000, help="commits that wear it")
    parser.add_argument("--repeats", type=int, default=5, help="rounds after the warm-up, two or more")
    chosen = parser.parse_args()
    rng = np.random.default_rng(_SEED)
    with tempfile.TemporaryDirectory(prefix="cxloop-growth-") as folder:
        homes = build_homes(Path(folder), stored=chosen.stored, commits=chosen.commits, rng=rng)
        seconds = time_rounds(homes, Path(folder) / "copy", rounds=chosen.repeats + 1, rng=rng)
    figures = {
        f"{operation}_{arm}": ratio(taken, by_arm["small"], goal=_GOALS.get(f"{operation}_{arm}", ""))
        for operation, by_arm in seconds.items()
        for arm, taken in by_arm.items()
        if arm != "small" and operation != "peer"
    }
    peer = ratio(seconds["peer"]["large"], seconds["peer"]["small"], goal="")
    command = f"python -m benchmarks.growth --stored {chosen.stored} --commits {chosen.commits}"
    path = write_result(
        "growth",
        command=f"{command} --repeats {chosen.repeats}",
        seeds=[_SEED],
        figures=figures,
        peers={"deltalake_merge_by_id_large": [peer.value, peer.low, peer.high], "seconds": seconds},
    )
    for name, figure in {**figures, "peer_large": peer}.items():
        print(f"{name}: {figure.value:.2f} ({figure.low:.2f} to {figure.high:.2f}) {figure.goal}")
    for operation, by_arm in seconds.items():
        print(f"{operation}: " + ", ".join(f"{arm} {np.median(taken):.3f} s" for arm, taken in by_arm.items()))
    print(f"written: {path}")


def build_homes(folder: Path, *, stored: int, commits: int, rng: np.random.Generator) -> dict[str, Home]:
    """Make one home an arm, with its stored rows."""
    homes = {arm: Home(folder / arm) for arm in ("small", "large", "worn", "tidy")}
    for arm, rows in (("small", SMALL), ("large", stored)):
        make_home(homes[arm], profile="local", check=load_settings)
        homes[arm].tables.merge(INTERACTIONS, as_rows(draw_messages(rows, rng=rng)))
    shutil.copytree(homes["large"].path, homes["worn"].path)
    for _ in range(commits):
        homes["worn"].tables.merge(INTERACTIONS, as_rows(draw_messages(10, rng=rng)))
    shutil.copytree(homes["worn"].path, homes["tidy"].path)
    homes["tidy"].tables.compact(INTERACTIONS)
    for arm in ("small", "large"):
        write_peer(homes[arm])
    return homes


def draw_messages(count: int, *, rng: np.random.Generator, start: datetime = _START, days: int = _DAYS) -> pl.DataFrame:
    """Return interactions as a source gives them: random ids and texts, times spread evenly over ``days``."""
    at = pl.Series(rng.integers(0, days * 86_400, count)) * 1_000_000 + int(start.timestamp()) * 1_000_000
    numbers = rng.integers(0, 10**9, count)
    return pl.DataFrame(
        {
            "interaction_id": [rng.bytes(16).hex() for _ in range(count)],
            "conversation_id": [rng.bytes(8).hex() for _ in range(count)],
            "turn": np.ones(count, dtype=np.int32),
            "occurred_at": at.cast(INTERACTIONS.schema["occurred_at"]),
            "updated_at": at.cast(INTERACTIONS.schema["updated_at"]),
            "channel": ["chat"] * count,
            "language": ["en"] * count,
            "customer_id": [f"customer-{number % 50_000}" for number in numbers],
            "text": [f"Order {number} was due last week; where is it, and who pays?" for number in numbers],
            "handled_by": ["ai"] * count,
        }
    )


def as_rows(messages: pl.DataFrame) -> pl.DataFrame:
    """Return messages as rows of INTERACTIONS."""
    known = messages.rename({"customer_id": "customer_key"}).with_columns(pl.lit("open").alias("lot"))
    return pl.concat([INTERACTIONS.empty(), known], how="diagonal")


def time_rounds(
    homes: Mapping[str, Home], copy: Path, *, rounds: int, rng: np.random.Generator
) -> dict[str, dict[str, list[float]]]:
    """Time each operation on a copy of each home; return seconds by operation and arm, the first round left out."""
    operations: dict[str, Callable[[Home, pl.DataFrame], float]] = {
        "merge": merge_once,
        "collect": collect_once,
        "peer": merge_plainly_once,
    }
    seconds = {name: {arm: [] for arm in homes if name != "peer" or has_peer(homes[arm])} for name in operations}
    arms = list(homes)
    for number in range(rounds):
        events = draw_messages(BATCH, rng=rng, start=_AFTER, days=7)
        for arm in arms[number % len(arms) :] + arms[: number % len(arms)]:
            for name, operate in operations.items():
                if arm not in seconds[name]:
                    continue
                shutil.copytree(homes[arm].path, copy)
                taken = operate(Home(copy), events)
                shutil.rmtree(copy)
                if number:
                    seconds[name][arm].append(taken)
    return seconds


def merge_once(home: Home, events: pl.DataFrame) -> float:
    """Return how long merging ``events`` takes."""
    rows = as_rows(events)
    begun = time.perf_counter()
    merged = home.tables.merge(INTERACTIONS, rows)
    taken = time.perf_counter() - begun
    _require(merged.inserted, "merge")
    return taken


def collect_once(home: Home, events: pl.DataFrame) -> float:
    """Return how long collecting ``events`` from one file of JSON Lines takes."""
    events.write_ndjson(home.inbox / "interactions" / "new.jsonl")
    loop = Loop(home=str(home.path), now_is=(_AFTER + timedelta(days=8)).isoformat(), desk="fake")
    before = home.tables.read(INTERACTIONS, columns=["turn"]).height
    begun = time.perf_counter()
    take_in(loop, INTERACTIONS)
    taken = time.perf_counter() - begun
    _require(home.tables.read(INTERACTIONS, columns=["turn"]).height - before, "collect")
    return taken


def write_peer(home: Home) -> None:
    """Store the home's interactions as a plain Delta table partitioned by week."""
    rows = home.tables.read(INTERACTIONS)
    write_deltalake(_peer(home), _with_week(rows).to_arrow(), partition_by=["week"])


def has_peer(home: Home) -> bool:
    """Whether the home has the plain table."""
    return _peer(home).is_dir()


def merge_plainly_once(home: Home, events: pl.DataFrame) -> float:
    """Return how long deltalake's own MERGE by id takes."""
    rows = _with_week(as_rows(events)).to_arrow()
    begun = time.perf_counter()
    merger = DeltaTable(_peer(home)).merge(
        rows, predicate="t.interaction_id = s.interaction_id", source_alias="s", target_alias="t"
    )
    merger = merger.when_matched_update_all(predicate="s.updated_at > t.updated_at")
    done = merger.when_not_matched_insert_all().execute()
    taken = time.perf_counter() - begun
    _require(done["num_target_rows_inserted"], "peer")
    return taken


def ratio(taken: Sequence[float], base: Sequence[float], *, goal: str) -> Figure:
    """Return the geometric mean of the paired ratios with its 95% t interval (Student, 1908)."""
    logs = np.log(np.array(taken) / np.array(base))
    reach = float(stats.t.ppf(0.975, len(logs) - 1)) * float(stats.sem(logs))
    middle = float(logs.mean())
    value, low, high = (float(np.exp(log)) for log in (middle, middle - reach, middle + reach))
    return Figure(value, low, high, "times", "lower", goal)


def _peer(home: Home) -> Path:
    return home.path / "peer"


def _with_week(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.col("occurred_at").dt.strftime("%G-W%V").alias("week"))


def _require(stored: int, operation: str) -> None:
    if stored != BATCH:
        raise SystemExit(f"{operation} stored {stored} rows of {BATCH}: no figure")


if __name__ == "__main__":
    main()
