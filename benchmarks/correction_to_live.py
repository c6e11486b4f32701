"""How long from an agent's correction to a live release that learnt from it?

Protocol, fixed before the run. A turn is played for each seed, in a home of its own.

*Before the clock.* BANKING77 plays the history (`cxloop replay`, fake desk, packaged recipe): 6,000 labels make the
first champion from scratch. Lots are as packaged (a fifth is audited). `cxloop serve` answers from that home, in a
process of its own. The rest of the training part, then the official test part, is sent to `/v1/triage` in an order
drawn by the seed, until the champion was wrong on 200 messages of the open lot. `collect_job` takes the traffic in.

*On the clock.* 200 corrections, each the true label of a message that the champion misread, are sent one by one to
`/v1/corrections`; each has its own start, the moment before it is sent. Then, in the order in which the schedules and
sensors would start them: `collect_job` reads the gateway's log; `review_job` settles the corrections and sends cases to
people, corrected ones first (the whole budget of 200), the audited ones of the traffic beside them; simulated people
answer all of them at once, with the mistakes of configs/demo.yaml; `review_job` fetches and settles their answers;
`retrain_job` freezes the set, trains warm, registers and judges; a reviewer approves, as by `cxloop promote`; the
gateway follows the alias. A correction's age ends when `/ready` names the new release; a triage answer must name it
then, too.

Two hundred labels beside six thousand seldom show a gain, so the release is asked to be no worse (`cxloop run retrain
--refresh`), by a margin of 0.02 (packaged: 0.01); the other gates are those of `cxloop replay` (10 cases at least; a
packaged home asks for 50), and nobody is asked between two releases. A turn whose release the gates hold has no ages;
it is counted, and the figures are of the others.

Left out: the waits for the next tick (`collect_job` and `review_job` run at a minute of each hour, sensors look every
two to five minutes), Dagster's start of a process for each run, and the time that people take to read. Included: the
gateway, which answers from the same cores.

p95 is over the corrections of all turns that went live; its interval is from the least to the most p95 of a turn. The
other figures are means over turns, from the least to the most. Reported: how many corrected messages a person read, how
many carry a label in the set that trained the release, how many of those the agent's label. An absolute time of one
machine: it says whether the budget is kept there.

    python -m benchmarks.correction_to_live --data ../shared/data
"""

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import polars as pl
from rich.console import Console

from assets.authors import STARTED_BY, name_user
from assets.lineage import metadata_of
from assets.registry import TRAINING_SETS
from assets.resources import FAKE_DESK
from benchmarks.harness.live_servers import LiveHome, Served, serve_gateway
from benchmarks.harness.results import Figure, SeedResults, write_result
from labeling import tables as t
from labeling.desk.fake import FakeReviewDesk
from labeling.desk.sending import IS_SENT
from labeling.home import Home
from labeling.sources.lots import assign_lots
from pipelines.keys_file import add_key
from pipelines.replay.crowd import FakeCrowd
from pipelines.replay.feed import Feed, Message
from pipelines.replay.labelled_script import FileOptions, labelled_script
from pipelines.replay.narration import ConsoleNarrator
from pipelines.replay.playing import Script, play_script
from pipelines.replay.showing import approver
from pipelines.replay.state import load_state
from pipelines.running import Runner, facts_of, open_instance
from pipelines.sensors import count_new_labels
from training.registry.mlflow_registry import MlflowRegistry
from training.registry.registry import PROMOTE, RELEASE

TASK: Final = "intent"
SEEDS: Final = 5
FULL: Final[Mapping[str, Any]] = {"seed_labels": 6_000, "corrections": 200, "margin": 0.02}
TINY: Final[Mapping[str, Any]] = {"seed_labels": 1_500, "corrections": 20, "margin": 0.25}
_BATCH: Final = 50
_AGENTS: Final = 8
_LIVE_SECONDS: Final = 120.0
_REFRESH: Final = {"release_challenger": {"config": {"request": "refresh"}}}
_CORRECTED_FIRST: Final = dict.fromkeys(("uncertainty", "handoff", "novelty", "gate_request", "label_error"), 0.0)


def main() -> None:
    """Play the turns that have no result yet, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of the data sets")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many seeds, from 0")
    parser.add_argument("--tiny", action="store_true", help="a few hundred labels: shows that it works, writes nothing")
    asked = parser.parse_args()
    name, protocol = ("correction_to_live_tiny", TINY) if asked.tiny else ("correction_to_live", FULL)
    kept, turns = SeedResults(name, protocol), []
    for seed in range(asked.seeds):
        turn = kept.find(seed, "turn")
        if turn is None:
            turn = play_turn(asked.data / "banking77.csv", seed, protocol)
            kept.keep(seed, "turn", turn)
        turns.append(turn)
        print(f"seed {seed}: {json.dumps({**turn, 'ages': summarise_ages(turn['ages'])})}", flush=True)
    figures = summarise(turns)
    for title, figure in figures.items():
        print(f"{title}: {figure.value:.4g} ({figure.low:.4g} to {figure.high:.4g}) {figure.unit} {figure.goal}")
    if not asked.tiny:
        command = "python -m benchmarks.correction_to_live --data ../shared/data"
        shown = [{**turn, "ages": summarise_ages(turn["ages"])} for turn in turns]
        peers = {"from_scratch": {"seconds": [turn["cold"] for turn in turns]}, "turns": shown}
        write_result(name, command=command, seeds=list(range(asked.seeds)), figures=figures, peers=peers)
    kept.drop()


def summarise_ages(ages: Sequence[float]) -> str:
    """Return the least, the middle and the greatest of ``ages`` in words."""
    return f"{min(ages):.1f}, {np.median(ages):.1f}, {max(ages):.1f} s" if ages else "never live"


def make_script(file: Path, seed: int, protocol: Mapping[str, Any]) -> tuple[Script, list[Message]]:
    """Return the script that plays the history alone, and every message of ``file`` in an order drawn by ``seed``."""
    corrections = protocol["corrections"]
    options = FileOptions(
        files={TASK: str(file)},
        seed_labels=protocol["seed_labels"],
        weeks=1,
        reviews=corrections,
        strategy="cover",
        seed=seed,
        desk="fake",
    )
    script = labelled_script(options)
    selection = {**script.changes["selection.yaml"], "shares": _CORRECTED_FIRST | {"disagreement": 1.0}}
    del selection["lots"]
    gates = {**script.changes["gates.yaml"], "most_disagreements": 0, "margin": protocol["margin"]}
    changes = {**script.changes, "selection.yaml": {**selection, "gold_share": 0.0}, "gates.yaml": gates}

    def play_history(start: datetime) -> Feed:
        return dataclasses.replace(script.feed(start), weeks=(), held_out=())

    feed = script.feed(datetime.now(UTC))
    messages = [*feed.history.messages, *(one for week in feed.weeks for one in week.messages), *feed.held_out]
    order = np.random.default_rng(seed).permutation(len(messages))
    return dataclasses.replace(script, changes=changes, feed=play_history), [messages[place] for place in order]


def play_turn(file: Path, seed: int, protocol: Mapping[str, Any]) -> dict[str, Any]:
    """Make a home with a champion, and measure one turn in it: ages, what took how long, and what was learnt."""
    script, messages = make_script(file, seed, protocol)
    with tempfile.TemporaryDirectory(prefix="cxloop-bench-") as folder:
        home = Home(Path(folder) / "home")
        play_script(script, home, ConsoleNarrator(Console(stderr=True)), now=datetime.now(UTC), approve=approver(home))
        state, registry = load_state(home), MlflowRegistry(home.mlflow_uri, home.mlflow_artifacts)
        if state is None or registry.alias(RELEASE, "champion") is None:
            raise SystemExit(f"seed {seed}: the history gave no champion: no figure")
        live = LiveHome(home, registry, add_key(home, "assistant", role="assistant")[0], [], [])
        desktop = add_key(home, "desktop", role="desktop")[0]
        with home.lock(), open_instance(home) as instance, serve_gateway(live) as served:
            runner = Runner(home, instance, desk="fake")
            site = Site(served, desktop)
            wrong, sent = find_errors(site, home, runner, messages, most=protocol["corrections"])
            runner.run("collect_job")
            learnt = metadata_of(instance, "release_challenger")[TRAINING_SETS][TASK]
            turn = run_turn(Turn(home, runner, site, script, messages), wrong, seed=seed, learnt=learnt)
            now_learnt = metadata_of(instance, "release_challenger")[TRAINING_SETS][TASK]
            return {
                **turn,
                **count_learnt(home, wrong, now_learnt),
                "traffic": sent,
                "cold": state.seconds["0:retrain"],
            }


class Site:
    """The gateway, as an assistant and an agent's desktop ask it over one kept connection."""

    def __init__(self, served: Served, desktop: str) -> None:
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{served.port}", timeout=60)
        self._assistant, self._desktop = served.headers, {"Authorization": f"Bearer {desktop}"}

    def triage(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """Return what is answered to ``messages``, all of it on record."""
        kept = ("interaction_id", "conversation_id", "customer_id", "text", "channel", "language", "segment")
        bodies = [{name: message.event[name] for name in kept} for message in messages]
        answers = self._post("/v1/triage/batch", {"messages": bodies}, self._assistant)["answers"]
        if not all(answer["recorded"] and answer["answers"] for answer in answers):
            raise SystemExit("a message was not answered by a release, or not recorded: no figure")
        return answers

    def ask(self, text: str) -> dict[str, Any]:
        """Return what is answered to a message without an id; with one, the answer recorded before would come again."""
        return self._post("/v1/triage", {"text": text}, self._assistant)

    def correct(self, message: Message, *, said: str, agent: str) -> None:
        """Send the correction of one message."""
        correction = {
            "interaction_id": message.interaction_id,
            "task": TASK,
            "label": message.truth[TASK],
            "previous_label": said,
            "agent_id": agent,
        }
        self._post("/v1/corrections", correction, self._desktop)

    def version(self) -> str | None:
        """Return the version that answers now, as ``/ready`` names it."""
        return self._client.get("/ready").json()["version"]

    def _post(self, path: str, body: object, headers: Mapping[str, str]) -> dict[str, Any]:
        answered = self._client.post(path, json=body, headers=dict(headers))
        if answered.status_code != 200:
            raise SystemExit(f"{path} answered {answered.status_code}: no figure")
        return answered.json()


@dataclasses.dataclass(frozen=True)
class Turn:
    """What one turn is played with; ``messages`` are all that may be at the desk."""

    home: Home
    runner: Runner
    site: Site
    script: Script
    messages: Sequence[Message]


def find_errors(
    site: Site, home: Home, runner: Runner, messages: Sequence[Message], *, most: int
) -> tuple[list[tuple[Message, str]], int]:
    """Have messages answered that the home lacks, until ``most`` of the open lot were misread; return these.

    Returns:
        Each misread message with what was said of it, and how many messages were sent.
    """
    known = set(home.tables.read(t.INTERACTIONS, columns=["interaction_id"])["interaction_id"])
    fresh = [message for message in messages if message.interaction_id not in known]
    names = pl.Series([message.event["conversation_id"] for message in fresh])
    lots = assign_lots(names, policy=runner.loop().settings.selection.lots, key=home.key())["lot"]
    wrong: list[tuple[Message, str]] = []
    for start in range(0, len(fresh), _BATCH):
        asked = fresh[start : start + _BATCH]
        said = [answer["answers"][TASK]["label"] for answer in site.triage(asked)]
        rows = zip(asked, said, lots[start : start + _BATCH], strict=True)
        wrong += [(message, label) for message, label, lot in rows if lot == "open" and label != message.truth[TASK]]
        if len(wrong) >= most:
            return wrong[:most], start + len(asked)
    raise SystemExit(f"{most} misread messages are needed, found {len(wrong)} among {len(fresh)}: ask for fewer")


def run_turn(turn: Turn, wrong: Sequence[tuple[Message, str]], *, seed: int, learnt: str) -> dict[str, Any]:
    """Correct ``wrong`` and do what follows, up to the release that is live; return ages and times in seconds.

    ``learnt`` is the set that the champion was trained on.
    """
    rng, found = np.random.default_rng(seed), {}
    starts = []
    for message, said in wrong:
        starts.append(time.monotonic())
        turn.site.correct(message, said=said, agent=f"agent-{rng.integers(_AGENTS) + 1:02d}")
    taken, last = {"sent": time.monotonic() - starts[0]}, time.monotonic()
    for name, step in _steps(turn, learnt):
        found |= step() or {}
        taken[name], last = time.monotonic() - last, time.monotonic()
        if found.get("verdict", PROMOTE) != PROMOTE:
            return {"ages": [], "seconds": taken, **found}
    said = turn.site.ask(wrong[0][0].text)["version"]
    if said != found["version"]:
        raise SystemExit(f"/ready names release {found['version']}, a triage answer {said}: no figure")
    return {"ages": [last - start for start in starts], "seconds": taken, **found}


def _steps(turn: Turn, learnt: str) -> list[tuple[str, Callable[[], dict[str, Any] | None]]]:
    """Return what is done once corrections were sent, by name and in order; each may return what it found."""
    run = turn.runner.run

    def collect() -> None:
        run("collect_job")

    def review() -> None:
        run("review_job")

    def read() -> dict[str, Any]:
        return {"answers": answer_cases(turn)}

    def retrain() -> dict[str, Any]:
        fresh = count_new_labels(turn.runner.loop(), TASK, learnt=learnt)
        facts = facts_of(run("retrain_job", ops=_REFRESH, tags={STARTED_BY: name_user()}).all_events)
        judged, trained = facts["release_challenger"], facts[f"{TASK}_candidate"]
        about = {"version": judged["version"], "verdict": judged["verdict"], "start": trained["start"]}
        return {"new_labels": fresh, **about, "gates": [] if judged["verdict"] == PROMOTE else open_gates(turn.home)}

    def approve() -> None:
        registry = turn.runner.loop().open_registry()
        waiting = registry.alias(RELEASE, "challenger")
        if waiting is None:
            raise SystemExit("the gates said promote, but no release waits: no figure")
        approver(turn.home)(waiting)
        if registry.alias(RELEASE, "champion") != waiting:
            raise SystemExit(f"release {waiting} was approved, but is not the champion: no figure")

    return [
        ("collected", collect),
        ("selected", review),
        ("read", read),
        ("settled", review),
        ("trained and judged", retrain),
        ("approved", approve),
        ("reloaded", lambda: wait_for_release(turn)),
    ]


def open_gates(home: Home) -> list[str]:
    """Return the gates that the newest judged release did not pass, each with what was measured."""
    from training.judging.case_file import CaseFile
    from training.registry.ledger import Ledger
    from training.registry.standing import read_standing

    judged = read_standing(Ledger(home.ledger_path).entries()).judged
    newest = judged[max(judged, key=int)]
    case_file = CaseFile.open(home.case_files / newest.body["case_file"])
    gates = [gate for of_task in case_file.gates.values() for gate in of_task]
    return [
        f"{gate.name}: {gate.verdict}, {gate.measured}" for gate in gates if gate.verdict not in {"passed", "waived"}
    ]


def answer_cases(turn: Turn) -> int:
    """Have simulated people answer, now, what waits at the desk unanswered; return how many answers they gave."""
    tables = turn.home.tables
    queue = tables.read(t.REVIEW_QUEUE, columns=["case_id", "reason"])
    given = tables.read(t.REVIEWS, columns=["case_id"])
    waiting = tables.read(t.REVIEW_TASKS, where=IS_SENT).join(queue, on="case_id").join(given, on="case_id", how="anti")
    desk = FakeReviewDesk(turn.home.path / FAKE_DESK)
    people = turn.script.people(lambda: FakeCrowd(desk, lambda: datetime.now(UTC)))
    return people.answer_cases(
        waiting.sort("case_id"), {message.interaction_id: message for message in turn.messages}, lambda _: None
    )


def wait_for_release(turn: Turn) -> None:
    """Return once the gateway names the registry's champion as the release that answers.

    Raises:
        SystemExit: it does not within two minutes.
    """
    champion = turn.runner.loop().open_registry().alias(RELEASE, "champion")
    deadline = time.monotonic() + _LIVE_SECONDS
    while turn.site.version() != champion:
        if time.monotonic() > deadline:
            raise SystemExit(f"release {champion} was not live within {_LIVE_SECONDS:.0f} s: no figure")
        time.sleep(0.05)


def count_learnt(home: Home, wrong: Sequence[tuple[Message, str]], training_set: str) -> dict[str, int]:
    """Return how many messages were corrected, read by a person, in the training set, and there as corrected."""
    truth = pl.DataFrame(
        [(message.interaction_id, message.truth[TASK]) for message, _ in wrong],
        schema=["interaction_id", "corrected"],
        orient="row",
    )
    read = home.tables.read(t.REVIEWS, columns=["interaction_id"], where=pl.col("label").is_not_null()).unique()
    frozen = home.tables.read(
        t.TRAINING_SETS, columns=["interaction_id", "label"], where=pl.col("training_set_id") == training_set
    )
    trained = truth.join(frozen, on="interaction_id")
    return {
        "corrected": truth.height,
        "read": truth.join(read, on="interaction_id", how="semi").height,
        "trained": trained.height,
        "trained_as_corrected": trained.filter(pl.col("label") == pl.col("corrected")).height,
    }


def summarise(turns: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
    """Return the figures of all turns.

    Raises:
        SystemExit: no release went live.
    """
    live = [turn for turn in turns if turn["ages"]]
    if not live:
        raise SystemExit(f"the gates held every release: no figure ({[turn['gates'] for turn in turns]})")
    ages = [age for turn in live for age in turn["ages"]]
    p95s = [float(np.percentile(turn["ages"], 95)) for turn in live]
    held = len(turns) - len(live)
    whole = float(np.percentile(ages, 95))
    figures = {
        "correction to live, p95": Figure(whole, min(p95s), max(p95s), "s", "lower", "at most 120, aim 60"),
        "turns that the gates held": Figure(held, held, held, f"of {len(turns)} turns", "lower", ""),
    }
    for step in live[0]["seconds"]:
        figures[f"of it: {step}"] = _spread([turn["seconds"][step] for turn in live], "s", "lower")
    for name in ("corrected", "read", "trained", "trained_as_corrected"):
        figures[f"messages {name}"] = _spread([turn[name] for turn in live], "messages", "higher")
    figures["new labels"] = _spread([turn["new_labels"] for turn in live], "labels", "higher")
    return figures


def _spread(values: Sequence[float], unit: str, better: str) -> Figure:
    return Figure(sum(values) / len(values), min(values), max(values), unit, better, "")


if __name__ == "__main__":
    main()
