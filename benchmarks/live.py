"""How fast does the gateway answer, beside ``mlflow models serve`` of the same release, and does it drop anything?

Protocol, fixed before the run. A home that `cxloop demo` made lends its releases and messages; a copy of its registry
is served on all cores, the clients being a process of their own on the same machine. One request is one message;
clients keep their connections and send the next message when the answer is there. Each server has answered for ten
seconds before anything is timed.

- *Latency*: by round, the gateway is asked by 1, 8 and 64 clients in turn, so many seconds each; p50 and p99.
- *Throughput*: by round, 64 clients ask the gateway and MLflow's server, as it comes (one worker) and with a worker for
  each core, one after the other, in an order that turns each round; requests answered a second, and the ratio within
  the round. All stand ready throughout. The gateway redacts, records (fsync) and checks keys; MLflow's server does none
  of it. Beside it: the processor's time that a request costs each server.
- *Reload*: 8 clients ask while the alias champion moves to another release, and back, twice. Counted: requests that
  were not answered with 200. Timed: from the move to the first answer of the other release, cold (the first time) and
  warm (it was champion before).
- *Kill*: 8 clients ask, each request under an idempotency key; after a time drawn by the seed the process is killed
  with -9. Counted: answers that were recorded by their word and do not stand in the log exactly once.
- *Soak*: 8 clients ask for ten minutes; memory (RSS) each five seconds. The figure is the mean of the last tenth of the
  time less that of the second tenth, in MB: growth after a minute of warming up.

Figures are means over rounds with 95% t intervals; a p99 is that of a round's requests.

    python -m benchmarks.live                   # --home DIR: a home that `cxloop demo --desk fake` made before
"""

import argparse
import contextlib
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.harness.http_load import Load, Loaded, end_load, run_load, start_load
from benchmarks.harness.live_servers import LiveHome, Served, copy_home, play_demo, serve_gateway, serve_mlflow
from benchmarks.harness.results import Figure, SeedResults, over_rounds, write_result
from labeling.sources.events import SEGMENTS, decode_event, read_lines
from training.registry.registry import RELEASE

CLIENTS: Final = (1, 8, 64)
ROUNDS: Final = 5
SECONDS: Final = 20.0
KILLS: Final = 10
SOAK: Final = 600.0
WORKERS: Final = {"mlflow models serve": 1, "mlflow models serve, a worker a core": os.cpu_count() or 1}
_WARM_UP: Final = 10.0
_TEXTS: Final = 2_000


def main() -> None:
    """Run what has no result yet, and write the figures."""
    asked = _parse()
    protocol = {"version": 4, "seconds": asked.seconds, "soak": asked.soak}
    kept = SeedResults("live", protocol)
    with tempfile.TemporaryDirectory() as folder:
        home = asked.home or play_demo(Path(folder) / "demo")
        live = copy_home(home, Path(folder), texts=_TEXTS)
        _once(kept, 0, f"rounds {asked.rounds}", lambda: run_rounds(live, asked))
        _once(kept, 0, "reload", lambda: run_reload(live, asked.seconds))
        for number in range(asked.kills):
            _once(kept, number, "kill", lambda number=number: run_kill(live, number))
        _once(kept, 0, "soak", lambda: run_soak(live, asked.soak))
    figures, peers = summarise(kept, asked)
    for name, figure in figures.items():
        print(f"{name}: {figure.value:.4g} ({figure.low:.4g} to {figure.high:.4g}) {figure.unit} {figure.goal}")
    if (asked.rounds, asked.seconds, asked.kills, asked.soak) == (ROUNDS, SECONDS, KILLS, SOAK):
        command = "python -m benchmarks.live"
        write_result("live", command=command, seeds=list(range(asked.rounds)), figures=figures, peers=peers)
        kept.drop()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="how fast the gateway answers")
    parser.add_argument(
        "--home", type=Path, help="a home with a champion; it is not changed; without, a demo makes one"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each load")
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--soak", type=float, default=SOAK, help="seconds of the soak")
    return parser.parse_args()


def _once(kept: SeedResults, seed: int, arm: str, run: Callable[[], Any]) -> Any:
    if (found := kept.find(seed, arm)) is None:
        found = run()
        kept.keep(seed, arm, found)
        print(f"{arm} {seed}: {json.dumps(found)[:300]}", flush=True)
    return found


def ask(served: Served, texts: Sequence[str], *, clients: int, seconds: float, keys: str = "") -> Load:
    """Return the load of so many clients on ``served``."""
    bodies = [json.dumps(served.body(text)) for text in texts]
    return Load(served.port, served.path, bodies, served.headers, clients, seconds, keys)


def run_rounds(live: LiveHome, asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Return latency and throughput of every round."""
    rounds = []
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(serve_gateway(live))
        peers = {name: stack.enter_context(serve_mlflow(live, workers=count)) for name, count in WORKERS.items()}
        for served in (ours, *peers.values()):
            run_load(ask(served, live.texts, clients=8, seconds=min(_WARM_UP, asked.seconds)))
        for number in range(asked.rounds):
            found: dict[str, Any] = {}
            for clients in CLIENTS:
                loaded = run_load(ask(ours, live.texts, clients=clients, seconds=asked.seconds))
                found[f"p50 {clients}"], found[f"p99 {clients}"] = np.percentile(loaded.taken, (50, 99)).tolist()
                found[f"unanswered {clients}"] = unanswered(loaded)
            arms = [("ours", ours), *peers.items()]
            for name, served in [*arms[number % len(arms) :], *arms[: number % len(arms)]]:
                worked = served.cpu_seconds()
                loaded = run_load(ask(served, live.texts, clients=64, seconds=asked.seconds))
                found[name], found[f"{name} unanswered"] = rate(loaded), unanswered(loaded)
                found[f"{name} work"] = (served.cpu_seconds() - worked) / max(1, len(loaded.taken))
            rounds.append(found)
    return rounds


def run_reload(live: LiveHome, seconds: float) -> dict[str, Any]:
    """Return how many requests were not answered while the champion changed, and the seconds that it took."""
    other, champion = live.versions[-2:]
    found: dict[str, Any] = {"unanswered": 0, "cold": [], "warm": []}
    with serve_gateway(live) as served:
        run_load(ask(served, live.texts, clients=8, seconds=min(_WARM_UP, seconds)))
        for number, version in enumerate((other, champion, other, champion)):
            load = start_load(ask(served, live.texts, clients=8, seconds=seconds))
            time.sleep(seconds / 4)
            moved = time.monotonic()
            live.registry.set_alias(RELEASE, "champion", version)
            taken = _wait_for_version(served, live, version) - moved
            loaded = end_load(load)
            found["warm" if number else "cold"].append(taken)
            found["unanswered"] += unanswered(loaded)
    live.registry.set_alias(RELEASE, "champion", champion)
    return found


def _wait_for_version(served: Served, live: LiveHome, version: str) -> float:
    for _ in range(600):
        loaded = run_load(ask(served, live.texts, clients=1, seconds=0.01))
        if version in loaded.versions:
            return time.monotonic()
    raise SystemExit(f"release {version} never answered: no figure")


def run_kill(live: LiveHome, seed: int) -> dict[str, int]:
    """Return how many answers one killed gateway gave, and how many of them are not in the log exactly once."""
    seconds = float(np.random.default_rng(seed).uniform(1, 4))
    with serve_gateway(live) as served:
        load = start_load(ask(served, live.texts, clients=8, seconds=seconds + 3, keys=f"kill {seed} "))
        time.sleep(seconds)
        served.process.kill()
        loaded = end_load(load)
    logged: Counter[str] = Counter()
    for path in live.home.gateway_log.glob(SEGMENTS):
        logged.update(
            event["answer"]["interaction_id"] for _, line in read_lines(path) if (event := decode_event(line))
        )
    return {"answers": len(loaded.names), "wrong": sum(logged[name] != 1 for name in loaded.names)}


def run_soak(live: LiveHome, seconds: float) -> dict[str, Any]:
    """Return the memory of the gateway by second, in MB, under a steady load, and how many were not answered."""
    memory = []
    with serve_gateway(live) as served:
        load = start_load(ask(served, live.texts, clients=8, seconds=seconds))
        began = time.monotonic()
        while load.poll() is None and time.monotonic() - began < seconds:
            memory.append((time.monotonic() - began, served.process.memory_info().rss / 1e6))
            time.sleep(min(5.0, seconds / 20))
        loaded = end_load(load)
    return {"memory": memory, "unanswered": unanswered(loaded), "answered": len(loaded.taken)}


def rate(loaded: Loaded) -> float:
    """Return the requests answered a second."""
    return len(loaded.taken) / loaded.seconds


def unanswered(loaded: Loaded) -> int:
    """Return how many requests were not answered with 200."""
    return sum(count for status, count in loaded.statuses.items() if status != "200")


def summarise(kept: SeedResults, asked: argparse.Namespace) -> tuple[dict[str, Figure], dict[str, Any]]:
    """Return the figures, and MLflow's."""
    rounds = kept.find(0, f"rounds {asked.rounds}")
    figures = {
        f"{name}, {clients} clients": over_rounds(
            [1000 * one[f"{name} {clients}"] for one in rounds], "ms", "lower", ""
        )
        for clients in CLIENTS
        for name in ("p50", "p99")
    }
    figures["throughput"] = over_rounds([one["ours"] for one in rounds], "requests/s", "higher", "")
    for name in WORKERS:
        ratios = [one["ours"] / one[name] for one in rounds]
        figures[f"throughput beside {name}"] = over_rounds(ratios, "times", "higher", "at least 3, aim 5")
    figures["processor time"] = over_rounds([1e3 * one["ours work"] for one in rounds], "ms/request", "lower", "")
    reload_ = kept.find(0, "reload")
    figures["dropped in reloads"] = _exact(reload_["unanswered"], "requests", "0")
    figures["reload, cold"] = _exact(max(reload_["cold"]), "s", "at most 10")
    figures["rollback, warm"] = _exact(max(reload_["warm"]), "s", "at most 10")
    killed = [kept.find(number, "kill") for number in range(asked.kills)]
    answers = sum(one["answers"] for one in killed)
    wrong = sum(one["wrong"] for one in killed)
    figures["answered under kills"] = Figure(answers, answers, answers, "answers", "higher", "")
    figures["not once in the log"] = _exact(wrong, "answers", "0")
    memory = kept.find(0, "soak")["memory"]
    minute = asked.soak / 10
    early = statistics.mean(size for at, size in memory if minute <= at < 2 * minute)
    late = statistics.mean(size for at, size in memory if at >= asked.soak - minute)
    figures["memory grown in the soak"] = _exact(late - early, "MB", "flat")
    figures["memory"] = _exact(late, "MB", "")
    peers = {
        name: {
            "workers": count,
            "requests/s": [one[name] for one in rounds],
            "processor ms/request": [1e3 * one[f"{name} work"] for one in rounds],
        }
        for name, count in WORKERS.items()
    }
    by_minute = [[size for at, size in memory if 60 * start <= at < 60 * start + 60] for start in range(10)]
    return figures, peers | {"memory by minute, MB": [statistics.mean(sizes) for sizes in by_minute if sizes]}


def _exact(value: float, unit: str, goal: str) -> Figure:
    return Figure(value, value, value, unit, "lower", goal)


if __name__ == "__main__":
    main()
