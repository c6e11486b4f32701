"""How fast, and in how much memory, are messages taken in from Parquet?

Protocol, fixed before the run. One Parquet file of 1,000,000 interactions: nine in ten texts from BANKING77, one in ten
a generated support message that holds personal data (`harness/messages.py`); 1 % of the rows repeat an id, 0.5 % are
faulty (an empty text, a time in the future, a missing id). cxloop's whole collection takes it in: read, redacted by
pattern, validated by Great Expectations, put into lots, staged by dlt, merged by id. The peer is the plain way, on the
first rows of the same file: dlt's Parquet reader and a Delta merge, each row validated by pydantic and each text read
by presidio's pattern recognisers. Rows a second of each, in processes of their own, from the moment that everything is
imported; three rounds, the arms in turn. The memory is the largest resident set of cxloop's process.

    python -m benchmarks.collecting --data ../shared/data
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import psutil

from assets.settings import load_settings
from benchmarks.harness.messages import generate_messages
from benchmarks.harness.results import Figure, over_rounds, write_result
from labeling.home import Home
from labeling.tables import INTERACTIONS, QUARANTINE
from pipelines.new_home import make_home

_SEED = 7
_PERSONAL = 2_000
_LOCALES = ("en_US", "en_GB", "de_DE", "fr_FR", "es_ES")
_DAYS = 100


def main() -> None:
    """Measure both ways and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds banking77.csv")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the file")
    parser.add_argument("--plain-rows", type=int, default=5_000, help="rows that the plain way takes in")
    parser.add_argument("--rounds", type=int, default=3, help="two or more")
    chosen = parser.parse_args()
    rows = draw_rows(chosen.rows, chosen.data / "banking77.csv", rng=np.random.default_rng(_SEED))
    ours, plain, memory = [], [], []
    with tempfile.TemporaryDirectory(prefix="cxloop-collecting-") as folder:
        for number in range(chosen.rounds):
            seconds, gigabytes = take_in_cxloop(rows, Path(folder) / f"ours-{number}")
            ours.append(rows.height / seconds)
            memory.append(gigabytes)
            plain.append(chosen.plain_rows / take_in_plainly(rows.head(chosen.plain_rows), Path(folder) / f"p{number}"))
            print(f"round {number}: cxloop {ours[-1]:,.0f} rows/s in {gigabytes:.2f} GB, plain {plain[-1]:,.0f} rows/s")
    figures = {
        "rows_per_second": over_rounds(ours, "rows/s", "higher", ">= 50000 (aim)"),
        "times_the_plain_way": over_rounds(
            [a / b for a, b in zip(ours, plain, strict=True)], "times", "higher", ">= 10"
        ),
        "memory": Figure(max(memory), min(memory), max(memory), "GB", "lower", "<= 2"),
    }
    command = f"python -m benchmarks.collecting --rows {chosen.rows} --plain-rows {chosen.plain_rows}"
    path = write_result("collecting", command=command, seeds=[_SEED], figures=figures, peers={"plain rows/s": plain})
    for name, figure in figures.items():
        print(f"{name}: {figure.value:,.2f} ({figure.low:,.2f} to {figure.high:,.2f}) {figure.unit} {figure.goal}")
    print(f"written: {path}")


def draw_rows(count: int, banking77: Path, *, rng: np.random.Generator) -> pl.DataFrame:
    """Return ``count`` interactions as a source gives them."""
    plain = pl.read_csv(banking77)["text"].to_numpy()
    personal = np.array([said.text for said in generate_messages(_PERSONAL, seed=_SEED, locales=_LOCALES)])
    texts = np.where(rng.random(count) < 0.1, rng.choice(personal, count), rng.choice(plain, count))
    ids = np.array([f"m-{number}" for number in rng.permutation(count)], dtype=object)
    repeated = rng.random(count) < 0.01
    ids[repeated] = rng.choice(ids, int(repeated.sum()))
    now = datetime.now(UTC)
    begun = int((now - timedelta(days=_DAYS)).timestamp())
    at = pl.Series(rng.integers(0, _DAYS * 86_400, count) + begun).cast(pl.Int64) * 1_000_000
    rows = pl.DataFrame(
        {
            "interaction_id": ids,
            "conversation_id": [f"c-{number}" for number in rng.integers(0, count // 3 + 1, count)],
            "turn": rng.integers(0, 6, count).astype(np.int32),
            "occurred_at": at.cast(INTERACTIONS.schema["occurred_at"]),
            "updated_at": at.cast(INTERACTIONS.schema["updated_at"]),
            "channel": rng.choice(["chat", "email", "phone"], count),
            "language": ["en"] * count,
            "customer_id": [f"u-{number}" for number in rng.integers(0, 200_000, count)],
            "text": texts,
            "handled_by": ["ai"] * count,
        },
        schema_overrides={"interaction_id": pl.String, "text": pl.String},
    )
    fault = pl.Series(rng.integers(0, 600, count))  # three in six hundred
    future = pl.lit(now + timedelta(days=2)).cast(INTERACTIONS.schema["occurred_at"])
    return rows.with_columns(
        text=pl.when(fault == 0).then(pl.lit("")).otherwise("text"),
        occurred_at=pl.when(fault == 1).then(future).otherwise("occurred_at"),
        interaction_id=pl.when(fault == 2).then(None).otherwise("interaction_id"),
    )


def take_in_cxloop(rows: pl.DataFrame, place: Path) -> tuple[float, float]:
    """Return the seconds and the memory (GB) of collecting ``rows`` into a new home."""
    home = Home(place)
    make_home(home, profile="local", check=load_settings)
    file = home.inbox / "interactions" / "all.parquet"
    rows.write_parquet(file, row_group_size=50_000)
    seconds, gigabytes = run_arm("cxloop", place, file)
    stored = home.tables.read(INTERACTIONS, columns=["turn"]).height
    refused = home.tables.read(QUARANTINE, columns=["position"]).height
    if not rows["interaction_id"].n_unique() - 1 - refused <= stored <= rows.height - refused:
        raise SystemExit(f"{stored} stored and {refused} refused do not add up to {rows.height}: no figure")
    return seconds, gigabytes


def take_in_plainly(rows: pl.DataFrame, place: Path) -> float:
    """Return the seconds of the plain way."""
    place.mkdir()
    file = place / "all.parquet"
    rows.write_parquet(file)
    return run_arm("plain", place, file)[0]


def run_arm(arm: str, place: Path, file: Path) -> tuple[float, float]:
    """Run one arm in a process of its own; return its seconds from ``begun`` to ``done``, and its memory in GB."""
    command = [sys.executable, "-m", "benchmarks.harness.taking", arm, str(place), str(file)]
    with psutil.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        largest = [0]
        watcher = threading.Thread(target=_watch, args=(running, largest), daemon=True)
        watcher.start()
        said = running.stdout.read().split()
    watcher.join()
    if running.returncode or "done" not in said:
        raise SystemExit(f"{arm} failed with code {running.returncode}: no figure")
    return float(said[said.index("done") + 1]), largest[0] / 1e9


def _watch(running: psutil.Popen, largest: list[int]) -> None:
    while running.is_running() and running.status() != psutil.STATUS_ZOMBIE:
        try:
            largest[0] = max(largest[0], running.memory_info().rss)
        except psutil.NoSuchProcess:
            return
        time.sleep(0.05)


if __name__ == "__main__":
    main()
