"""Does a review whose process or server is killed lose or double a case or an answer?

Protocol, fixed before the run. A real Label Studio (SQLite) of its own. Each trial has a new project and new tables
with 200 queued cases, every tenth for two people. A review (fetch, store, recount, ask again, send: what `review_job`
does at the desk) runs in a process of its own. Trials alternate between two instants of the work and two victims:
*send*, the first review, which sends all cases; *fetch*, a later one, after two people gave 30 answers, two of them
skips; and killing the review's process, or the server. Undisturbed, each kind of review is run three times; the
longest, from the end of imports to the end of the process, is D. Then 50 times: `kill -9` at an instant drawn uniformly
over [0, D]; a server is started again; two plain reviews, as the next two hours would bring them. An instant at which
the review had already ended is drawn again, and counted. Both reviews must succeed. Then the desk must hold each case
exactly once, REVIEW_TASKS must say of each that it was sent, to the task that stands there, and REVIEWS must hold each
answer that was given exactly once, as it was given. The figure is the number of trials in which all of that holds,
scaled to 50, with Clopper and Pearson's interval (95%).

    python -m benchmarks.desk_kills --kills 50
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy import stats

from benchmarks.harness.desks import TAXONOMY, start_label_studio
from benchmarks.harness.results import Figure, SeedResults, write_result
from labeling import tables as t
from labeling.delta import Tables
from labeling.desk.annotating import GivenAnswer, answer_cases, join
from labeling.desk.label_studio import LabelStudioDesk
from labeling.desk.label_studio_api import LabelStudioApi
from labeling.desk.server import RunningServer

_SEED: Final = 11
_LONGEST: Final = 300.0
_ANSWERS: Final = 30
_KINDS: Final = ("send", "fetch")
_VICTIMS: Final = ("process", "server")
_GOOD: Final = {"intent": "card_blocked", "sentiment": "negative", "handoff": "needed"}


@dataclass
class Server:
    """A Label Studio that is started again, over the same folder, whenever it was killed."""

    folder: Path
    running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    now: RunningServer | None = None
    token: str = ""

    def get(self) -> RunningServer:
        """Return the server, which answers."""
        if self.now is None or not self.now.is_alive:
            self.running.close()
            self.now = self.running.enter_context(start_label_studio(self.folder, token=self.token))
            self.token = self.now.token
        return self.now

    def kill(self) -> None:
        """Kill the server's own process, as the kernel would where memory runs out."""
        if self.now:
            os.kill(self.now.pid, signal.SIGKILL)


@dataclass
class Trial:
    """One project with tables of its own, and the answers that people gave."""

    server: Server
    folder: Path
    title: str
    given: dict[tuple[str, str], dict[str, str] | None] = field(default_factory=dict)

    @property
    def tables(self) -> Tables:
        """The trial's tables."""
        return Tables(self.folder / "tables")

    def queue(self, count: int) -> None:
        """Queue ``count`` cases."""
        now = datetime.now(UTC)
        names = [f"{number:04d}" for number in range(count)]
        known = {"occurred_at": now, "updated_at": now, "turn": 1, "text": "Where is my order?", "channel": "chat"}
        messages = [{"interaction_id": name, "conversation_id": f"of-{name}"} | known for name in names]
        self.tables.merge(t.INTERACTIONS, t.INTERACTIONS.frame(messages))
        plain = {"reason": "uncertainty", "blind": False, "picked_at": now}
        rows = [
            {"case_id": f"case-{name}", "interaction_id": name, "overlap": 2 if name.endswith("1") else 1} | plain
            for name in names
        ]
        self.tables.merge(t.REVIEW_QUEUE, t.REVIEW_QUEUE.frame(rows))

    def answer(self) -> None:
        """Have two people answer some of what was sent; each fifteenth answer is a skip."""
        server = self.server.get()
        people = [join(server.url, server.token, name) for name in ("ann-1", "ann-2")]
        sent = self.tables.read(t.REVIEW_TASKS).sort("case_id").head(_ANSWERS)
        given = []
        for number, row in enumerate(sent.iter_rows(named=True)):
            person, labels = people[number % 2], None if number % 15 == 7 else _GOOD
            given.append(GivenAnswer(person, row["desk_task_id"], labels, 3.0))
            self.given[row["case_id"], person.name] = labels
        answer_cases(server.url, given)

    def review(self, *, kill: str = "", after: float = 0.0) -> tuple[int | None, float]:
        """Review in a process of its own; return its exit code (None: killed), and seconds after its imports."""
        server = self.server.get()
        command = [sys.executable, "-m", "benchmarks.harness.reviewing", str(self.folder / "tables")]
        with (
            (self.folder / "review.log").open("ab") as log,
            subprocess.Popen(
                [*command, server.url, server.token, self.title], stdout=subprocess.PIPE, stderr=log
            ) as running,
        ):
            if running.stdout is None or running.stdout.readline() != b"ready\n":
                raise SystemExit(f"the review did not start: see {log.name}")
            begun = time.monotonic()
            timer = threading.Timer(after, self.server.kill if kill == "server" else running.kill)
            if kill:
                timer.start()
            try:
                code = running.wait(_LONGEST)
            finally:
                timer.cancel()
                running.kill()
            return (None if code == -signal.SIGKILL else code), time.monotonic() - begun

    def faults(self) -> list[str]:
        """Return what was lost or doubled, in words."""
        return [*self._faults_of_cases(), *self._faults_of_answers()]

    def _faults_of_cases(self) -> list[str]:
        server = self.server.get()
        project = int(LabelStudioDesk(server.url, server.token, project_title=self.title).open_project(TAXONOMY))
        tasks = LabelStudioApi(server.url, server.token).list_tasks(project, columns="id,data")
        at_desk = [(task["data"]["case_id"], str(task["id"])) for task in tasks]
        times = Counter(key for key, _ in at_desk)
        said = self.tables.read(t.REVIEW_TASKS)
        queued = set(self.tables.read(t.REVIEW_QUEUE)["case_id"])
        found = [f"{key} stands {count} times" for key, count in times.items() if count > 1]
        found += [f"{key} is lost" for key in queued - times.keys()]
        places = set(said.select("case_id", "desk_task_id").iter_rows())
        if set(said["state"]) != {"sent"} or places != set(at_desk):
            found.append("REVIEW_TASKS says otherwise")
        return found

    def _faults_of_answers(self) -> list[str]:
        stored: dict[tuple[str, str], list[tuple[str, str | None]]] = {}
        for row in self.tables.read(t.REVIEWS).iter_rows(named=True):
            stored.setdefault((row["case_id"], row["annotator_id"]), []).append((row["task"], row["label"]))
        wanted = {
            key: sorted((labels or dict.fromkeys(TAXONOMY.task_names)).items()) for key, labels in self.given.items()
        }
        found = {key: sorted(rows) for key, rows in stored.items()}
        return [] if found == wanted else [f"{len(found)} answers are stored, {len(wanted)} were given"]


def main() -> None:
    """Kill what is missing of the kills, and write the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="not needed here; every benchmark takes it")
    parser.add_argument("--kills", type=int, default=50, help="how many")
    parser.add_argument("--cases", type=int, default=200, help="cases of each trial")
    chosen = parser.parse_args()
    kept = SeedResults("desk_kills", {"cases": chosen.cases})
    with tempfile.TemporaryDirectory(prefix="cxloop-desk-kills-") as folder:
        server = Server(Path(folder))
        with server.running:
            longest = undisturbed(server, Path(folder), chosen.cases)
            outcomes = []
            for number in range(chosen.kills):
                outcome = kept.find(number, "kill")
                if outcome is None:
                    outcome = kill_once(server, Path(folder), number, cases=chosen.cases, longest=longest)
                    kept.keep(number, "kill", outcome)
                outcomes.append(outcome)
                told = "; ".join(outcome["faults"]) or "nothing lost, nothing doubled"
                print(
                    f"kill {number} ({outcome['kind']}, {outcome['victim']}) at {outcome['at']:.2f} s: {told}",
                    flush=True,
                )
    report(outcomes, longest)
    if chosen.kills >= 50:
        kept.drop()


def undisturbed(server: Server, folder: Path, cases: int) -> dict[str, float]:
    """Review three trials without a kill, which must lose and double nothing; return the longest seconds by kind."""
    seconds: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    for number in range(3):
        for kind in _KINDS:
            trial = prepare(server, folder, f"undisturbed {kind} {number}", kind=kind, cases=cases)
            code, took = trial.review()
            if code != 0 or trial.faults():
                raise SystemExit(f"the undisturbed review ended with code {code}, {trial.faults()}: no figure")
            seconds[kind].append(took)
    print(f"undisturbed: {seconds}", flush=True)
    return {kind: max(took) for kind, took in seconds.items()}


def prepare(server: Server, folder: Path, title: str, *, kind: str, cases: int) -> Trial:
    """Return a trial that is about to send, or to fetch."""
    trial = Trial(server, folder / title.replace(" ", "-"), title)
    trial.folder.mkdir()
    trial.queue(cases)
    if kind == "fetch":
        trial.review()
        trial.answer()
    return trial


def kill_once(server: Server, folder: Path, number: int, *, cases: int, longest: dict[str, float]) -> dict[str, Any]:
    """Kill one review or its server, review twice more, and look for what was lost or doubled."""
    rng = np.random.default_rng([_SEED, number])
    kind, victim = _KINDS[number % 2], _VICTIMS[number // 2 % 2]
    missed = 0
    while True:
        trial = prepare(server, folder, f"kill {number} {missed}", kind=kind, cases=cases)
        at = float(rng.uniform(0, longest[kind]))
        code, _ = trial.review(kill=victim, after=at)
        if code != 0:
            break
        missed += 1
    codes = [trial.review()[0] for _ in range(2)]
    faults = [*trial.faults(), *(f"a later review ended with code {code}" for code in codes if code != 0)]
    return {"kind": kind, "victim": victim, "at": at, "faults": faults[:5], "missed": missed}


def report(outcomes: list[dict[str, Any]], longest: dict[str, float]) -> None:
    """Write the figure and print it."""
    good, kills = sum(not outcome["faults"] for outcome in outcomes), len(outcomes)
    bounds = stats.binomtest(good, kills).proportion_ci(method="exact")
    figure = Figure(50 * good / kills, 50 * bounds.low, 50 * bounds.high, "good trials of 50", "higher", "= 50")
    missed = sum(int(outcome["missed"]) for outcome in outcomes)
    peers = {"kills": kills, "drawn_again": missed, "undisturbed_seconds": longest}
    command = f"python -m benchmarks.desk_kills --kills {kills}"
    write_result("desk_kills", command=command, seeds=[_SEED], figures={"good_trials": figure}, peers=peers)
    print(f"good_trials: {good} of {kills} (goal {figure.goal} of 50); {missed} instants drawn again")


if __name__ == "__main__":
    main()
