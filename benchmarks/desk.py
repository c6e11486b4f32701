"""How fast do cases go out and answers come back, with a real Label Studio?

Protocol, fixed before the run. One Label Studio (SQLite, loopback) of its own, nothing else in it.
*Send*: 1,000 cases of which a fifth is blind and a tenth wants two answers, each a conversation of three turns with
suggestions for both tasks, go as `review_tasks` sends them (state sending, look-up, import, state sent) into a new
project; seconds from the call to its return, one round to warm up, then five or more: mean with a t interval.
*Fetch*: two projects hold `small` (1,000) and `large` (20,000) tasks. In each round four people give 100 new answers in
each; then `fetch_answers` (new, changed and deleted answers since the cursor, which reaches back five minutes) is timed
three times on both in turn, the first of them turning by one each round, before it is stored; a round's figure is the
ratio of the medians. The geometric mean over rounds after one to warm up, with a t interval on the logarithms.

    python -m benchmarks.desk --tasks 20000 --repeats 5
"""

import argparse
import tempfile
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.harness.desks import TAXONOMY, make_case, start_label_studio
from benchmarks.harness.results import Figure, SeedResults, write_result
from labeling import tables as t
from labeling.delta import Tables
from labeling.desk.annotating import Annotator, GivenAnswer, answer_cases, join
from labeling.desk.fetching import fetch_answers
from labeling.desk.label_studio import LabelStudioDesk
from labeling.desk.label_studio_api import LabelStudioApi
from labeling.desk.label_studio_tasks import write_task
from labeling.desk.sending import Dispatch
from labeling.desk.server import RunningServer

_SMALL = 1_000
_IMPORT = 500
_PEOPLE = 4
_TIMES = 3
_ANSWER = {"intent": "card_blocked", "sentiment": "negative", "handoff": "not_needed"}


class Project:
    """One project of the server, with tables of its own and tasks that nobody has answered yet."""

    def __init__(self, server: RunningServer, folder: Path, name: str) -> None:
        self.server, self.tables = server, Tables(folder / name)
        title = f"{name} {uuid.uuid4().hex[:6]}"
        self.desk = LabelStudioDesk(server.url, server.token, project_title=title)
        self.number = int(self.desk.open_project(TAXONOMY))
        self.unanswered: list[str] = []

    def fill(self, count: int) -> None:
        """Put ``count`` tasks in, whatever it takes."""
        api = LabelStudioApi(self.server.url, self.server.token)
        for start in range(0, count, _IMPORT):
            tasks = [write_task(make_case(number), TAXONOMY) for number in range(start, min(start + _IMPORT, count))]
            self.unanswered += [str(task) for task in api.import_tasks(self.number, tasks)]

    def send(self, count: int) -> float:
        """Send ``count`` cases as the asset does; return the seconds it took."""
        cases = [make_case(number) for number in range(count)]
        begun = time.perf_counter()
        Dispatch(self.tables, self.desk, str(self.number), datetime.now(UTC)).send(cases)
        return time.perf_counter() - begun

    def answer(self, people: Sequence[Annotator], count: int) -> None:
        """Have ``count`` more tasks answered."""
        mine, self.unanswered = self.unanswered[:count], self.unanswered[count:]
        given = [GivenAnswer(people[at % len(people)], task, _ANSWER, 4.0) for at, task in enumerate(mine)]
        if answer_cases(self.server.url, given) != count:
            raise SystemExit("not every answer was taken: no figure")

    def fetch(self) -> float:
        """Return the seconds that one fetch takes; nothing is stored."""
        begun = time.perf_counter()
        fetch_answers(self.tables, self.desk, taxonomy=TAXONOMY, redact=None)
        return time.perf_counter() - begun

    def store(self, expected: int) -> None:
        """Fetch and store; all ``expected`` new answers must have come."""
        fetched = fetch_answers(self.tables, self.desk, taxonomy=TAXONOMY, redact=None)
        if self.tables.merge(t.REVIEWS, fetched.rows).inserted != expected * len(_ANSWER):
            raise SystemExit("a fetch lost or doubled answers: no figure")


def main() -> None:
    """Time sending and fetching, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="not needed here; every benchmark takes it")
    parser.add_argument("--cases", type=int, default=1_000, help="cases sent at once")
    parser.add_argument("--tasks", type=int, default=20_000, help="tasks of the large project")
    parser.add_argument("--small", type=int, default=_SMALL, help="tasks of the small project")
    parser.add_argument("--answers", type=int, default=100, help="new answers a round and project")
    parser.add_argument("--repeats", type=int, default=5, help="rounds after the warm-up, two or more")
    chosen = parser.parse_args()
    asked = {name: getattr(chosen, name) for name in ("cases", "tasks", "small", "answers")}
    kept = SeedResults("desk", asked)
    rounds = range(chosen.repeats + 1)
    with tempfile.TemporaryDirectory(prefix="cxloop-desk-") as folder, start_label_studio(Path(folder)) as server:
        sent = [send_once(kept, server, Path(folder), number, chosen.cases) for number in rounds][1:]
        fetched = fetch_rounds(kept, server, Path(folder), chosen)[1:]
    report(sent, fetched, asked)
    if chosen.repeats >= 5:
        kept.drop()


def send_once(kept: SeedResults, server: RunningServer, folder: Path, number: int, cases: int) -> float:
    """Return the seconds of one round of sending."""
    seconds = kept.find(number, "send")
    if seconds is None:
        seconds = Project(server, folder, f"send-{number}").send(cases)
        kept.keep(number, "send", seconds)
    print(f"send {number}: {cases} cases in {seconds:.1f} s", flush=True)
    return seconds


def fetch_rounds(
    kept: SeedResults, server: RunningServer, folder: Path, chosen: argparse.Namespace
) -> list[dict[str, float]]:
    """Return the median seconds of a fetch by project, round by round."""
    found = [kept.find(number, "fetch") for number in range(chosen.repeats + 1)]
    if all(found):
        return found
    people = [join(server.url, server.token, f"ann-{number}") for number in range(_PEOPLE)]
    projects = {"small": Project(server, folder, "small"), "large": Project(server, folder, "large")}
    for name, count in (("small", chosen.small), ("large", chosen.tasks)):
        projects[name].fill(count)
        print(f"{name}: {count} tasks", flush=True)
    for number, known in enumerate(found):
        if known is None:
            found[number] = fetch_once(projects, people, number, chosen.answers)
            kept.keep(number, "fetch", found[number])
        print(f"fetch {number}: " + ", ".join(f"{name} {found[number][name]:.2f} s" for name in projects), flush=True)
    return found


def fetch_once(
    projects: dict[str, Project], people: Sequence[Annotator], number: int, answers: int
) -> dict[str, float]:
    """Have both projects answered, and time a fetch on each in turn; return the medians."""
    seconds: dict[str, list[float]] = {name: [] for name in projects}
    for project in projects.values():
        project.answer(people, answers)
    names = sorted(projects, reverse=bool(number % 2))
    for _ in range(_TIMES):
        for name in names:
            seconds[name].append(projects[name].fetch())
    for project in projects.values():
        project.store(answers)
    return {name: float(np.median(taken)) for name, taken in seconds.items()}


def report(sent: Sequence[float], fetched: Sequence[dict[str, float]], asked: dict[str, int]) -> None:
    """Write the figures and print them."""
    logs = np.log([one["large"] / one["small"] for one in fetched])
    ratio = [float(np.exp(log)) for log in _interval(logs)]
    figures = {
        "send_seconds": Figure(*_interval(np.array(sent)), "seconds", "lower", "<= 15"),
        "fetch_ratio": Figure(ratio[0], ratio[1], ratio[2], "times", "lower", "<= 1.3"),
    }
    command = f"python -m benchmarks.desk --cases {asked['cases']} --tasks {asked['tasks']} --repeats {len(sent)}"
    path = write_result(
        "desk", command=command, seeds=[0], figures=figures, peers={"fetch_seconds": list(fetched), **asked}
    )
    for name, figure in figures.items():
        print(f"{name}: {figure.value:.2f} ({figure.low:.2f} to {figure.high:.2f}) {figure.goal}")
    print(f"written: {path}")


def _interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return the mean with its 95% t interval (Student, 1908)."""
    middle = float(values.mean())
    reach = float(stats.t.ppf(0.975, len(values) - 1)) * float(stats.sem(values))
    return middle, middle - reach, middle + reach


if __name__ == "__main__":
    main()
